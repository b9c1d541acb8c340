/* The waits-for graph against its definition: thousands of random graphs, small and large,
 * for each of which the tasks that can never go on are found by asking again and again who
 * can. */
#include "tests/unit/snap.h"

#include "query/waits_for.h"

enum { GRAPHS = 20000, MOST = 40, LINKS = 4 };

static uint64_t state = 1;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((state >> 33) % n);
}

/* ---- random graphs ---- */

/* A task, one that the snapshot does not have, or nothing. */
static uint64_t anyone(size_t n)
{
	uint32_t kind = below(40);
	return kind == 0 ? 0 : ID(kind == 1 ? n + 5 : below((uint32_t)n));
}

static void on_tasks(struct snapshot *s, struct wait *w)
{
	size_t n = w->kind == WAIT_TASK || w->kind == WAIT_SHIELD ? 1 : 1 + below(LINKS);
	uint64_t *v = arena_array(s->arena, n, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = anyone(s->ntasks);
	w->tasks = v;
	w->ntasks = n;
	w->left = (int64_t)(n + (below(8) == 0));
}

static void on_holders(struct snapshot *s, struct wait *w)
{
	size_t n = w->kind == WAIT_LOCK ? 1 : below(LINKS + 1);
	struct holder *v = arena_array(s->arena, n, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = (struct holder){ .task = anyone(s->ntasks), .thread = 1 };
	w->holders = v;
	w->nholders = n;
	w->total = w->kind == WAIT_SEMAPHORE ? (int64_t)(n + (below(5) == 0)) : -1;
}

static struct snapshot *random_graph(void)
{
	static const enum wait_kind kinds[] = { WAIT_TASK, WAIT_GATHER, WAIT_WAIT, WAIT_SHIELD, WAIT_LOCK,
						WAIT_SEMAPHORE, WAIT_SLEEP, WAIT_FUTURE };
	/* Of the first so many kinds only, so that some graphs are dense with rings. */
	uint32_t some = 1 + below(sizeof kinds / sizeof *kinds), timers = 2 + below(30);
	struct snapshot *s = snap_new(1 + below(MOST));
	for (size_t i = 0; i < s->ntasks; i++) {
		struct task *t = &s->tasks[i];
		enum wait_kind kind = kinds[below(some)];
		struct wait *w = snap_wait(s, kind);
		if (kind == WAIT_LOCK || kind == WAIT_SEMAPHORE)
			on_holders(s, w);
		else if (kind != WAIT_SLEEP && kind != WAIT_FUTURE)
			on_tasks(s, w);
		if (below(timers) == 0)
			w->deadline_in = 1;
		t->must_cancel = below(30) == 0;
		t->wait = w;
		if (below(20) == 0) {
			t->state = TASK_RUNNABLE;
			t->wait = NULL;
		}
	}
	snapshot_index(s);
	return s;
}

/* ---- the definition ---- */

static size_t find(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; i < s->ntasks; i++)
		if (id && s->tasks[i].id == id)
			return i;
	return s->ntasks;
}

/* Whether a timer ends it, or one whose end is passed on to it by those that await it. */
static void ended_by_timers(const struct snapshot *s, bool *timed)
{
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < s->ntasks; i++) {
			const struct wait *w = s->tasks[i].wait;
			bool passes = w && w->kind != WAIT_SHIELD && w->kind != WAIT_WAIT;
			if (w && !isnan(w->deadline_in) && !timed[i])
				more = timed[i] = true;
			for (size_t k = 0; passes && timed[i] && k < w->ntasks; k++) {
				size_t to = find(s, w->tasks[k]);
				if (to < s->ntasks && !timed[to])
					more = timed[to] = true;
			}
		}
	}
}

/* Of the ids that are waited for: how many may go on, and how many are no tasks here. */
static void may(const struct snapshot *s, const bool *goes, uint64_t id, size_t *moving, size_t *unknown)
{
	size_t to = find(s, id);
	*moving += to < s->ntasks && goes[to];
	*unknown += to == s->ntasks;
}

static bool may_go_on(const struct snapshot *s, const bool *goes, const bool *timed, size_t i)
{
	const struct task *t = &s->tasks[i];
	const struct wait *w = t->wait;
	size_t moving = 0, unknown = 0, n;
	if (t->state != TASK_WAITING || t->must_cancel || timed[i] || !w)
		return true;
	for (size_t k = 0; k < w->ntasks; k++)
		may(s, goes, w->tasks[k], &moving, &unknown);
	for (size_t k = 0; k < w->nholders; k++)
		may(s, goes, w->holders[k].task, &moving, &unknown);
	n = w->ntasks + w->nholders;
	if (w->kind == WAIT_SEMAPHORE) /* free permits, or any that is given back */
		return (int64_t)n < w->total || n == 0 || moving || unknown;
	if (w->kind == WAIT_WAIT || w->kind == WAIT_GATHER) /* the first that ends, or that fails */
		return moving || unknown || (size_t)w->left > n;
	/* All that are waited for have to end: one that never does is enough. */
	return moving + unknown == n;
}

static void check_stuck(const struct snapshot *s, const struct waits_for *g)
{
	bool goes[MOST] = { false }, timed[MOST] = { false };
	ended_by_timers(s, timed);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < s->ntasks; i++)
			if (!goes[i] && may_go_on(s, goes, timed, i))
				more = goes[i] = true;
	}
	for (size_t i = 0; i < s->ntasks; i++)
		if (g->stuck[i] == goes[i])
			fail_msg("task %zu of %zu: stuck is %d", i, s->ntasks, g->stuck[i]);
}

static bool waits_for_it(const struct snapshot *s, size_t i, size_t to)
{
	const struct wait *w = s->tasks[i].wait;
	bool found = false;
	for (size_t k = 0; w && k < w->ntasks; k++)
		found |= w->tasks[k] == s->tasks[to].id;
	for (size_t k = 0; w && k < w->nholders; k++)
		found |= w->holders[k].task == s->tasks[to].id;
	return found;
}

/* A task that may go on and waits for several is led to one of them only where all lead to
 * one root, or, of a gather, to a child that never ends. */
static void check_toward(const struct snapshot *s, const struct waits_for *g, uint32_t i)
{
	assert_true(waits_for_it(s, i, g->toward[i]));
	bool never = s->tasks[i].wait->kind == WAIT_GATHER && g->stuck[g->toward[i]];
	for (uint32_t k = g->starts[i]; k < g->starts[i + 1] && !g->stuck[i] && !never; k++)
		assert_int_equal(g->root[g->next[k]], g->root[i]);
}

/* A root is reached by whom each waits for, in fewer steps than there are tasks; the rings
 * are those of stuck tasks, and every stuck task leads to one. */
static void check_roots(const struct snapshot *s, const struct waits_for *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t at = i, steps = 0;
		if (g->toward[i] != WAITS_FOR_NONE)
			check_toward(s, g, i);
		for (; at != g->root[i] && steps <= g->n; steps++) {
			at = g->toward[at];
			assert_true(at < g->n);
		}
		assert_true(steps <= g->n);
		assert_int_equal(g->root[at], at);
		assert_true(g->in_ring[at] || !g->stuck[i]);
		assert_true(g->in_ring[at] || g->toward[at] == WAITS_FOR_NONE);
		for (at = g->toward[i], steps = 0; at != i && at != WAITS_FOR_NONE && steps <= g->n; steps++)
			at = g->toward[at];
		assert_true(g->in_ring[i] == (at == i));
	}
}

static void test_random_graphs(void **unused)
{
	(void)unused;
	size_t stuck = 0, rings = 0, free_ones = 0;
	for (uint32_t k = 0; k < GRAPHS; k++) {
		struct snapshot *s = random_graph();
		struct waits_for g;
		assert_null(waits_for_make(&g, s));
		check_stuck(s, &g);
		check_roots(s, &g);
		for (uint32_t i = 0; i < g.n; i++) {
			stuck += g.stuck[i];
			rings += g.in_ring[i];
			free_ones += !g.stuck[i];
		}
		waits_for_free(&g);
		snapshot_free(s);
	}
	/* The graphs were of all sorts. */
	assert_true(stuck > GRAPHS && rings > GRAPHS / 2 && rings < stuck && free_ones > GRAPHS);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_graphs) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

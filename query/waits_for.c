#include "query/waits_for.h"

#include <math.h>
#include <stdlib.h>

/* Of very many holders or children, so many are followed for one task. */
#define NEXT_MAX (1u << 20)
#define LEVELS_MAX 16

static uint32_t index_of(const struct waits_for *g, uint64_t id)
{
	const struct task *t = id ? snapshot_task(g->s, id) : NULL;
	return t ? (uint32_t)(t - g->s->tasks) : WAITS_FOR_NONE;
}

/* asyncio.wait() and as_completed() may return with the first; all others need all. */
static bool one_is_enough(const struct wait *w)
{
	return w->kind == WAIT_WAIT || (w->kind == WAIT_SEMAPHORE && w->nholders);
}

/* Marks the tasks that a timer will cancel: those that have one, and those that such a task
 * awaits, for its end is passed on to them; not so through shield() and wait(). */
static bool *find_timed(const struct waits_for *g)
{
	bool *timed = calloc((size_t)g->n + 1, sizeof *timed);
	uint32_t *todo = calloc((size_t)g->n + 1, sizeof *todo), n = 0;
	for (uint32_t i = 0; timed && todo && i < g->n; i++) {
		const struct wait *w = g->s->tasks[i].wait;
		if (w && !isnan(w->deadline_in))
			timed[todo[n++] = i] = true;
	}
	while (n) {
		uint32_t i = todo[--n];
		const struct wait *w = g->s->tasks[i].wait;
		for (size_t k = 0; w && w->kind != WAIT_SHIELD && w->kind != WAIT_WAIT && k < w->ntasks; k++) {
			uint32_t to = index_of(g, w->tasks[k]);
			if (to != WAITS_FOR_NONE && !timed[to])
				timed[todo[n++] = to] = true;
		}
	}
	free(todo);
	return timed;
}

/* Whether nobody but the tasks that it waits for can wake a task that no timer cancels. */
static bool only_by_them(const struct task *t)
{
	const struct wait *w = t->wait;
	if (t->state != TASK_WAITING || !w || t->must_cancel)
		return false;
	/* A semaphore whose other permits were taken in a way that is not seen. */
	if (w->kind == WAIT_SEMAPHORE)
		return w->holders && w->total >= 0 && (int64_t)w->nholders >= w->total;
	return w->ntasks || w->nholders;
}

/* Appends those that task i waits for, or counts them where next is NULL. */
static uint32_t successors(const struct waits_for *g, uint32_t i, uint32_t *next)
{
	const struct task *t = &g->s->tasks[i];
	const struct wait *w = t->state == TASK_WAITING ? t->wait : NULL;
	uint32_t n = 0;
	for (size_t k = 0; w && k < w->ntasks && n < NEXT_MAX; k++) {
		uint32_t to = index_of(g, w->tasks[k]);
		if (to == WAITS_FOR_NONE)
			continue;
		if (next)
			next[n] = to;
		n++;
	}
	for (size_t k = 0; w && !w->ntasks && k < w->nholders && n < NEXT_MAX; k++) {
		uint32_t to = index_of(g, w->holders[k].task);
		if (to == WAITS_FOR_NONE)
			continue;
		if (next)
			next[n] = to;
		n++;
	}
	return n;
}

static err_t adjacency(struct waits_for *g)
{
	size_t total = 0;
	g->starts = calloc((size_t)g->n + 1, sizeof *g->starts);
	if (!g->starts)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < g->n; i++) {
		g->starts[i] = (uint32_t)total;
		total += successors(g, i, NULL);
		if (total >= UINT32_MAX)
			return ERR_NOMEM;
	}
	g->starts[g->n] = (uint32_t)total;
	g->next = calloc(total + 1, sizeof *g->next);
	if (!g->next)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < g->n; i++)
		successors(g, i, g->next + g->starts[i]);
	return NULL;
}

/* Whether holders or tasks are named that the snapshot does not have: they may do anything. */
static bool all_known(const struct waits_for *g, uint32_t i)
{
	const struct wait *w = g->s->tasks[i].wait;
	size_t named = w->ntasks ? w->ntasks : w->nholders;
	/* Of a gather, children that are no tasks. */
	if (w->ntasks && w->left >= 0 && (size_t)w->left > w->ntasks && one_is_enough(w))
		return false;
	return !one_is_enough(w) || g->starts[i + 1] - g->starts[i] == named;
}

static bool can_go_on(const struct waits_for *g, uint32_t i)
{
	uint32_t n = g->starts[i + 1] - g->starts[i], stuck = 0;
	for (uint32_t k = g->starts[i]; k < g->starts[i + 1]; k++)
		stuck += g->stuck[g->next[k]];
	return g->any[i] ? stuck < n : stuck == 0;
}

/* The largest set of tasks of which each needs another of the set: whoever may go on is
 * taken out, then those whom that lets go on, until nothing changes. */
static err_t find_stuck(struct waits_for *g)
{
	uint32_t *todo = calloc((size_t)g->n + 1, sizeof *todo), ntodo = 0;
	uint32_t *by_starts = calloc((size_t)g->n + 2, sizeof *by_starts);
	uint32_t *by = calloc((size_t)g->starts[g->n] + 1, sizeof *by);
	bool *timed = find_timed(g);
	err_t e = todo && by_starts && by && timed ? NULL : ERR_NOMEM;
	/* Who waits for whom, turned round; starts are counted one place ahead. */
	for (uint32_t k = 0; !e && k < g->starts[g->n]; k++)
		by_starts[g->next[k] + 1]++;
	for (uint32_t i = 0; !e && i < g->n; i++)
		by_starts[i + 1] += by_starts[i];
	for (uint32_t i = 0; !e && i < g->n; i++)
		for (uint32_t k = g->starts[i]; k < g->starts[i + 1]; k++)
			by[--by_starts[g->next[k] + 1]] = i;
	/* Filling took each start down from its end: the start of i is at i + 1 now. */
	for (uint32_t i = 0; !e && i < g->n; i++) {
		g->stuck[i] = g->starts[i + 1] > g->starts[i] && !timed[i] && only_by_them(&g->s->tasks[i]) && all_known(g, i);
		if (!g->stuck[i])
			todo[ntodo++] = i;
	}
	while (!e && ntodo) {
		uint32_t v = todo[--ntodo];
		uint32_t end = v + 2 <= g->n ? by_starts[v + 2] : g->starts[g->n];
		for (uint32_t k = by_starts[v + 1]; k < end; k++) {
			uint32_t i = by[k];
			if (!g->stuck[i] || !can_go_on(g, i))
				continue;
			g->stuck[i] = false;
			todo[ntodo++] = i;
		}
	}
	free(todo);
	free(by_starts);
	free(by);
	free(timed);
	return e;
}

/* Of several, a stuck one is what holds a stuck task up. A task that waits for several that
 * may go on is a root, until it is known that they all lead to one (see agree()). */
static uint32_t choose(const struct waits_for *g, uint32_t i)
{
	for (uint32_t k = g->starts[i]; g->stuck[i] && k < g->starts[i + 1]; k++)
		if (g->stuck[g->next[k]])
			return g->next[k];
	return g->starts[i] + 1 == g->starts[i + 1] ? g->next[g->starts[i]] : WAITS_FOR_NONE;
}

/* Lets those that wait for several follow them where all lead to one root. */
static bool agree(struct waits_for *g)
{
	bool changed = false;
	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t first = g->starts[i], end = g->starts[i + 1], k = first;
		if (g->toward[i] != WAITS_FOR_NONE || end - first < 2)
			continue;
		uint32_t root = g->root[g->next[first]];
		while (k < end && g->root[g->next[k]] == root)
			k++;
		if (k < end || root == i)
			continue;
		g->toward[i] = g->next[first];
		changed = true;
	}
	return changed;
}

static void mark_ring(struct waits_for *g, uint32_t from, bool stuck)
{
	uint32_t at = from;
	do {
		g->root[at] = from;
		g->in_ring[at] = stuck;
		at = g->toward[at];
	} while (at != from);
	/* Tasks that wait for each other until a timer fires: the first is the root. */
	if (!stuck)
		g->toward[from] = WAITS_FOR_NONE;
}

/* Follows each task to its end, which all on the way share. */
static err_t find_roots(struct waits_for *g)
{
	uint32_t *path = calloc((size_t)g->n + 1, sizeof *path);
	uint32_t *seen = calloc((size_t)g->n + 1, sizeof *seen);
	for (uint32_t i = 0; path && seen && i < g->n; i++) {
		uint32_t n = 0, at = i;
		while (g->root[at] == WAITS_FOR_NONE && seen[at] != i + 1) {
			seen[at] = i + 1;
			path[n++] = at;
			if (g->toward[at] == WAITS_FOR_NONE)
				g->root[at] = at;
			else
				at = g->toward[at];
		}
		if (g->root[at] == WAITS_FOR_NONE)
			mark_ring(g, at, g->stuck[at]);
		while (n--)
			if (g->root[path[n]] == WAITS_FOR_NONE)
				g->root[path[n]] = g->root[at];
	}
	err_t e = path && seen ? NULL : ERR_NOMEM;
	free(path);
	free(seen);
	return e;
}

err_t waits_for_make(struct waits_for *g, const struct snapshot *s)
{
	*g = (struct waits_for){ .s = s, .n = (uint32_t)s->ntasks };
	size_t room = (size_t)g->n + 1;
	g->any = calloc(room, sizeof *g->any);
	g->stuck = calloc(room, sizeof *g->stuck);
	g->in_ring = calloc(room, sizeof *g->in_ring);
	g->toward = calloc(room, sizeof *g->toward);
	g->root = calloc(room, sizeof *g->root);
	if (s->ntasks >= UINT32_MAX || !g->any || !g->stuck || !g->in_ring || !g->toward || !g->root)
		return ERR_NOMEM;
	TRY(adjacency(g));
	for (uint32_t i = 0; i < g->n; i++)
		g->any[i] = s->tasks[i].wait && one_is_enough(s->tasks[i].wait);
	TRY(find_stuck(g));
	for (uint32_t i = 0; i < g->n; i++)
		g->toward[i] = choose(g, i);
	/* Groups of groups take a pass for each level. */
	for (int pass = 0; pass < LEVELS_MAX; pass++) {
		for (uint32_t i = 0; i < g->n; i++)
			g->root[i] = WAITS_FOR_NONE;
		TRY(find_roots(g));
		if (!agree(g))
			return NULL;
	}
	return NULL;
}

void waits_for_free(struct waits_for *g)
{
	free(g->starts);
	free(g->next);
	free(g->any);
	free(g->stuck);
	free(g->in_ring);
	free(g->toward);
	free(g->root);
	*g = (struct waits_for){ 0 };
}

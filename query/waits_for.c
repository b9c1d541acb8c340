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

static int by_tid(const void *a, const void *b)
{
	const struct thread_stack *x = *(const struct thread_stack *const *)a, *y = *(const struct thread_stack *const *)b;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

/* Threads in order of their ids: the snapshot has the main thread first. */
struct lookup { const struct waits_for *g; const struct thread_stack **threads; size_t n; };

static uint32_t thread_index(const struct lookup *l, pid_t tid)
{
	struct thread_stack key = { .tid = tid };
	const struct thread_stack *k = &key;
	const struct thread_stack **found = tid && l->n
		? bsearch(&k, l->threads, l->n, sizeof *l->threads, by_tid) : NULL;
	return found ? l->g->ntasks + (uint32_t)(*found - l->g->s->threads) : WAITS_FOR_NONE;
}

static bool lookup_make(struct lookup *l, const struct waits_for *g)
{
	*l = (struct lookup){ .g = g, .threads = calloc(g->s->nthreads + 1, sizeof *l->threads) };
	for (size_t i = 0; l->threads && i < g->s->nthreads; i++)
		if (g->s->threads[i].tid)
			l->threads[l->n++] = &g->s->threads[i];
	if (l->n)
		qsort(l->threads, l->n, sizeof *l->threads, by_tid);
	return l->threads != NULL;
}

static const struct executor *executor_of(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; id && i < s->nexecutors; i++)
		if (s->executors[i].id == id)
			return &s->executors[i];
	return NULL;
}

static pid_t loops_thread(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; id && i < s->nloops; i++)
		if (s->loops[i].id == id && s->loops[i].running)
			return s->loops[i].thread;
	return 0;
}

/* asyncio.wait() and as_completed() may return with the first; a gather or a group ends when
 * the first fails; a call that is queued begins when one worker comes back. All others need
 * all. */
static bool one_is_enough(const struct wait *w)
{
	switch (w->kind) {
	case WAIT_WAIT:
	case WAIT_GATHER:
	case WAIT_TASKGROUP:
		return true;
	case WAIT_SEMAPHORE:
	case WAIT_POOL:
		return w->nholders;
	case WAIT_QUEUE_PUT:
	case WAIT_QUEUE_JOIN:
		return w->nwakers;
	case WAIT_EXECUTOR:
		return !w->nthreads;
	default:
		return false;
	}
}

/* Marks the tasks that a timer will cancel: those that have one, and those that such a task
 * awaits, for its end is passed on to them; not so through shield() and wait(). */
static bool *find_timed(const struct waits_for *g)
{
	bool *timed = calloc((size_t)g->ntasks + 1, sizeof *timed);
	uint32_t *todo = calloc((size_t)g->ntasks + 1, sizeof *todo), n = 0;
	for (uint32_t i = 0; timed && todo && i < g->ntasks; i++) {
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

/* All workers of an executor are in calls, and it is known in which threads. */
static bool all_busy(const struct snapshot *s, uint64_t id)
{
	const struct executor *e = executor_of(s, id);
	return e && e->max_workers > 0 && e->busy >= e->max_workers && e->nthreads >= (size_t)e->busy;
}

/* Whether nobody but those that it waits for can wake a task that no timer cancels. */
static bool only_by_them(const struct snapshot *s, const struct task *t)
{
	const struct wait *w = t->wait;
	if (t->state != TASK_WAITING || !w || t->must_cancel)
		return false;
	/* A semaphore whose other permits were taken in a way that is not seen. */
	if (w->kind == WAIT_SEMAPHORE)
		return w->holders && !w->inferred && w->total >= 0 && (int64_t)w->nholders >= w->total;
	if (w->kind == WAIT_EXECUTOR && !w->nthreads)
		return all_busy(s, w->id);
	/* A connection that is at its end goes back to its pool or leaves its server by itself. */
	if (w->kind == WAIT_SERVER_CLOSE || w->kind == WAIT_POOL)
		return false;
	return w->ntasks || w->nholders || w->nthreads;
}

/* The same of a thread. */
static bool thread_only_by_them(const struct snapshot *s, const struct thread_wait *w)
{
	if (!w || w->timed)
		return false;
	switch (w->kind) {
	case THREAD_WAIT_TASK:
	case THREAD_WAIT_LOOP:
		return true;
	case THREAD_WAIT_CALL:
		return w->thread || all_busy(s, w->executor);
	case THREAD_WAIT_LOCK:
		return w->nholders == 1;
	case THREAD_WAIT_THREAD:
		return w->thread != 0;
	default:
		return false;
	}
}

struct list { uint32_t *v, n; }; /* v NULL: only counted */

static void put(struct list *l, uint32_t to)
{
	if (to == WAITS_FOR_NONE || l->n >= NEXT_MAX)
		return;
	if (l->v)
		l->v[l->n] = to;
	l->n++;
}

static void put_holders(struct list *l, const struct lookup *by, const struct holder *v, size_t n)
{
	for (size_t k = 0; k < n; k++)
		put(l, v[k].task ? index_of(by->g, v[k].task) : thread_index(by, v[k].thread));
}

static void put_workers(struct list *l, const struct lookup *by, uint64_t executor)
{
	const struct executor *e = executor_of(by->g->s, executor);
	for (size_t k = 0; e && k < e->nthreads; k++)
		put(l, thread_index(by, e->threads[k]));
}

static void of_task(struct list *l, const struct lookup *by, const struct task *t)
{
	const struct wait *w = t->state == TASK_WAITING ? t->wait : NULL;
	if (!w)
		return;
	for (size_t k = 0; k < w->ntasks; k++)
		put(l, index_of(by->g, w->tasks[k]));
	if (!w->ntasks)
		put_holders(l, by, w->holders, w->nholders);
	if (w->kind == WAIT_QUEUE_PUT || w->kind == WAIT_QUEUE_JOIN)
		put_holders(l, by, w->wakers, w->nwakers);
	for (size_t k = 0; k < w->nthreads; k++)
		put(l, thread_index(by, w->threads[k]));
	if (!w->nthreads && (w->kind == WAIT_EXECUTOR || w->kind == WAIT_SHUTDOWN))
		put_workers(l, by, w->id);
}

static void of_thread(struct list *l, const struct lookup *by, const struct thread_wait *w)
{
	if (!w)
		return;
	put(l, index_of(by->g, w->task));
	put_holders(l, by, w->holders, w->nholders);
	put(l, thread_index(by, w->kind == THREAD_WAIT_LOOP ? loops_thread(by->g->s, w->loop) : w->thread));
	if (w->kind == THREAD_WAIT_CALL && !w->thread)
		put_workers(l, by, w->executor);
}

/* Those that node i waits for, appended to next or, where that is NULL, counted. */
static uint32_t successors(const struct lookup *by, uint32_t i, uint32_t *next)
{
	struct list l = { .v = next };
	const struct task *t = node_task(by->g, i);
	if (t)
		of_task(&l, by, t);
	else
		of_thread(&l, by, node_thread(by->g, i)->wait);
	return l.n;
}

/* The threads that are blocked while loops run in them keep the tasks of these. */
static err_t find_carriers(struct waits_for *g, const struct lookup *by)
{
	struct map threads = { 0 };
	uint64_t at;
	for (size_t i = 0; i < g->s->nloops; i++) {
		const struct loop *l = &g->s->loops[i];
		uint32_t thread = l->running ? thread_index(by, l->thread) : WAITS_FOR_NONE;
		if (thread != WAITS_FOR_NONE && node_thread(g, thread)->wait)
			map_set(&threads, l->id, thread);
	}
	for (uint32_t i = 0; i < g->n; i++) {
		const struct task *t = node_task(g, i);
		bool kept = t && !t->copied && t->state <= TASK_WAITING && map_get(&threads, t->loop, &at);
		g->carrier[i] = kept ? (uint32_t)at : WAITS_FOR_NONE;
	}
	err_t e = threads.failed ? ERR_NOMEM : NULL;
	map_free(&threads);
	return e;
}

static err_t adjacency(struct waits_for *g, const struct lookup *by)
{
	size_t total = 0;
	g->starts = calloc((size_t)g->n + 1, sizeof *g->starts);
	if (!g->starts)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < g->n; i++) {
		g->starts[i] = (uint32_t)total;
		total += successors(by, i, NULL);
		if (total >= UINT32_MAX)
			return ERR_NOMEM;
	}
	g->starts[g->n] = (uint32_t)total;
	g->next = calloc(total + 1, sizeof *g->next);
	if (!g->next)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < g->n; i++)
		successors(by, i, g->next + g->starts[i]);
	return NULL;
}

/* Whether holders or tasks are named that the snapshot does not have: they may do anything. */
static bool all_known(const struct waits_for *g, uint32_t i)
{
	const struct task *t = node_task(g, i);
	uint32_t known = g->starts[i + 1] - g->starts[i];
	if (!t)
		return known > 0;
	const struct wait *w = t->wait;
	if (!one_is_enough(w))
		return true;
	if (w->kind == WAIT_EXECUTOR)
		return known > 0;
	/* Of a gather, children that are neither tasks nor calls in threads. */
	if (w->kind != WAIT_SEMAPHORE && w->left >= 0 && (size_t)w->left > w->ntasks + w->nthreads)
		return false;
	return known == w->nthreads + (w->ntasks ? w->ntasks : w->nholders);
}

/* What a node waits for by itself, whatever becomes of the thread that its loop runs in. */
static bool held_up(const struct waits_for *g, uint32_t i)
{
	uint32_t n = g->starts[i + 1] - g->starts[i], stuck = 0;
	for (uint32_t k = g->starts[i]; k < g->starts[i + 1]; k++)
		stuck += g->stuck[g->next[k]];
	return g->any[i] ? stuck == n : stuck > 0;
}

static bool carried(const struct waits_for *g, uint32_t i)
{
	return g->carrier[i] != WAITS_FOR_NONE && g->stuck[g->carrier[i]];
}

/* Who waits for whom, turned round: by[starts[v]] … wait for v. */
struct reverse { uint32_t *starts, *by; };

static void reverse_edges(const struct waits_for *g, struct reverse *r, uint32_t i, bool fill)
{
	uint32_t end = g->starts[i + 1];
	for (uint32_t k = g->starts[i]; k <= end; k++) {
		uint32_t to = k < end ? g->next[k] : g->carrier[i];
		if (to == WAITS_FOR_NONE)
			continue;
		if (fill)
			r->by[--r->starts[to]] = i;
		else
			r->starts[to]++;
	}
}

static bool reverse_make(struct reverse *r, const struct waits_for *g)
{
	r->starts = calloc((size_t)g->n + 1, sizeof *r->starts);
	r->by = calloc((size_t)g->starts[g->n] + g->n + 1, sizeof *r->by);
	if (!r->starts || !r->by)
		return false;
	for (uint32_t i = 0; i < g->n; i++)
		reverse_edges(g, r, i, false);
	/* Counts become ends; filling takes each down to its start. */
	for (uint32_t i = 1; i <= g->n; i++)
		r->starts[i] += r->starts[i - 1];
	for (uint32_t i = 0; i < g->n; i++)
		reverse_edges(g, r, i, true);
	return true;
}

static bool blocked(const struct waits_for *g, const bool *timed, uint32_t i)
{
	const struct task *t = node_task(g, i);
	if (g->starts[i + 1] == g->starts[i])
		return false;
	return t ? !timed[i] && only_by_them(g->s, t) && all_known(g, i)
		 : thread_only_by_them(g->s, node_thread(g, i)->wait);
}

/* The largest set of nodes of which each needs another of the set: whoever may go on is
 * taken out, then those whom that lets go on, until nothing changes. */
static err_t find_stuck(struct waits_for *g)
{
	uint32_t *todo = calloc((size_t)g->n + 1, sizeof *todo), ntodo = 0;
	bool *own = calloc((size_t)g->n + 1, sizeof *own), *timed = find_timed(g);
	struct reverse r = { 0 };
	err_t e = todo && own && timed && reverse_make(&r, g) ? NULL : ERR_NOMEM;
	for (uint32_t i = 0; !e && i < g->n; i++) {
		own[i] = blocked(g, timed, i);
		g->stuck[i] = own[i] || g->carrier[i] != WAITS_FOR_NONE;
		if (!g->stuck[i])
			todo[ntodo++] = i;
	}
	while (!e && ntodo) {
		uint32_t v = todo[--ntodo];
		for (uint32_t k = r.starts[v]; k < r.starts[v + 1]; k++) {
			uint32_t i = r.by[k];
			if (!g->stuck[i] || carried(g, i) || (own[i] && held_up(g, i)))
				continue;
			g->stuck[i] = false;
			todo[ntodo++] = i;
		}
	}
	free(todo);
	free(own);
	free(timed);
	free(r.starts);
	free(r.by);
	return e;
}

/* Of several, a stuck one is what holds a stuck node up. What waits for several that may go
 * on is a root, until it is known that they all lead to one (see agree()). A task whose loop
 * is kept from running waits for that, where it does not wait for something stuck itself. */
static uint32_t choose(const struct waits_for *g, uint32_t i)
{
	const struct task *t = node_task(g, i);
	bool waits = g->starts[i] < g->starts[i + 1];
	/* What one child's failure may end waits for the others meanwhile. */
	bool all = t && t->wait && (t->wait->kind == WAIT_GATHER || t->wait->kind == WAIT_TASKGROUP);
	for (uint32_t k = g->starts[i]; (g->stuck[i] || all) && k < g->starts[i + 1]; k++)
		if (g->stuck[g->next[k]])
			return g->next[k];
	if (carried(g, i) || !waits || (t && t->state != TASK_WAITING))
		return g->carrier[i];
	return g->starts[i] + 1 == g->starts[i + 1] ? g->next[g->starts[i]] : WAITS_FOR_NONE;
}

/* Threads that wait for the same are one end, as of all workers for one queue. */
static bool same_end(const struct waits_for *g, uint32_t a, uint32_t b)
{
	const struct thread_stack *x = node_thread(g, a), *y = node_thread(g, b);
	return a == b || (x && y && x->wait && y->wait && x->wait->id && x->wait->id == y->wait->id &&
			  x->wait->kind == y->wait->kind);
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
		while (k < end && same_end(g, g->root[g->next[k]], root))
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

static bool node_any(const struct waits_for *g, uint32_t i)
{
	const struct task *t = node_task(g, i);
	const struct thread_wait *w = t ? NULL : node_thread(g, i)->wait;
	return t ? t->wait && one_is_enough(t->wait) : w && w->kind == THREAD_WAIT_CALL && !w->thread;
}

err_t waits_for_make(struct waits_for *g, const struct snapshot *s)
{
	*g = (struct waits_for){ .s = s, .n = (uint32_t)(s->ntasks + s->nthreads), .ntasks = (uint32_t)s->ntasks };
	struct lookup by;
	size_t room = (size_t)g->n + 1;
	g->any = calloc(room, sizeof *g->any);
	g->stuck = calloc(room, sizeof *g->stuck);
	g->in_ring = calloc(room, sizeof *g->in_ring);
	g->toward = calloc(room, sizeof *g->toward);
	g->root = calloc(room, sizeof *g->root);
	g->carrier = calloc(room, sizeof *g->carrier);
	if (s->ntasks + s->nthreads >= UINT32_MAX || !g->carrier || !g->any || !g->stuck || !g->in_ring || !g->toward || !g->root)
		return ERR_NOMEM;
	err_t e = lookup_make(&by, g) ? adjacency(g, &by) : ERR_NOMEM;
	if (!e)
		e = find_carriers(g, &by);
	free(by.threads);
	TRY(e);
	for (uint32_t i = 0; i < g->n; i++)
		g->any[i] = node_any(g, i);
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
	free(g->carrier);
	free(g->any);
	free(g->stuck);
	free(g->in_ring);
	free(g->toward);
	free(g->root);
	*g = (struct waits_for){ 0 };
}

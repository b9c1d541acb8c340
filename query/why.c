#include "query/why.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "query/findings.h"
#include "query/ring.h"
#include "query/shape.h"

const char *root_kind_name(enum root_kind k)
{
	static const char *const names[ROOT_KINDS] = {
		[ROOT_DEADLOCK] = "deadlock", [ROOT_TASK] = "task", [ROOT_THREAD] = "thread",
		[ROOT_TIMER] = "timer", [ROOT_IO] = "io", [ROOT_PROCESS] = "process",
		[ROOT_EXECUTOR] = "executor", [ROOT_LOOP] = "loop", [ROOT_NOBODY] = "nobody",
		[ROOT_UNKNOWN] = "unknown",
	};
	return (unsigned)k < ROOT_KINDS ? names[k] : "unknown";
}

/* What ends a wait for no task. */
static const enum root_kind by_wait[WAIT_KINDS] = {
	[WAIT_SLEEP] = ROOT_TIMER, [WAIT_TASK] = ROOT_TASK, [WAIT_GATHER] = ROOT_TASK,
	[WAIT_WAIT] = ROOT_TASK, [WAIT_TASKGROUP] = ROOT_TASK, [WAIT_SHIELD] = ROOT_TASK,
	[WAIT_FUTURE] = ROOT_UNKNOWN, [WAIT_LOCK] = ROOT_UNKNOWN, [WAIT_SEMAPHORE] = ROOT_UNKNOWN,
	[WAIT_CONDITION] = ROOT_UNKNOWN, [WAIT_EVENT] = ROOT_UNKNOWN, [WAIT_BARRIER] = ROOT_UNKNOWN,
	[WAIT_QUEUE_GET] = ROOT_UNKNOWN, [WAIT_QUEUE_PUT] = ROOT_UNKNOWN, [WAIT_QUEUE_JOIN] = ROOT_UNKNOWN,
	[WAIT_SOCKET] = ROOT_IO, [WAIT_STREAM_READ] = ROOT_IO, [WAIT_STREAM_WRITE] = ROOT_IO,
	[WAIT_EXECUTOR] = ROOT_EXECUTOR, [WAIT_SUBPROCESS] = ROOT_PROCESS, [WAIT_POOL] = ROOT_UNKNOWN,
	[WAIT_SERVER_CLOSE] = ROOT_IO, [WAIT_SHUTDOWN] = ROOT_THREAD, [WAIT_TLS] = ROOT_IO,
	[WAIT_THREAD] = ROOT_THREAD, [WAIT_UNKNOWN] = ROOT_UNKNOWN,
};

static enum root_kind kind_of(const struct task *t)
{
	const struct wait *w = t->wait;
	if (t->state != TASK_WAITING || !w)
		return ROOT_TASK;
	enum root_kind k = by_wait[w->kind];
	if (k != ROOT_UNKNOWN)
		return k;
	if (w->available || (w->nholders && !w->holders[0].task))
		return ROOT_NOBODY;
	return isnan(w->deadline_in) ? ROOT_UNKNOWN : ROOT_TIMER;
}

/* ---- sentences ---- */

static const char *kept(struct why *y, struct strbuf *b)
{
	const char *s = b->failed ? NULL : arena_str(y->arena, b->s ? b->s : "");
	strbuf_free(b);
	return s;
}

/* ", inside Lock since Pool.get app.py:41": the managers that its own code is inside of. */
static void say_holds(struct strbuf *b, const struct task *t)
{
	bool first = true;
	for (size_t i = 0; i < t->stack.ncontexts; i++) {
		const struct context *c = &t->stack.contexts[i];
		const struct frame *f = t->stack.frames[c->frame];
		const char *dot = c->type ? strrchr(c->type, '.') : NULL;
		if (c->entering || !c->type || f->owner == CODE_ASYNCIO || f->owner == CODE_STDLIB)
			continue;
		strbuf_str(b, first ? ", inside " : ", ");
		strbuf_str(b, dot ? dot + 1 : c->type);
		strbuf_str(b, " since ");
		shape_place(b, f->function, f->file, c->line);
		first = false;
	}
}

/* "stream-read: 10.0.0.7:5432 on fd 14 at Store.get store.py:49" */
static void say_wait(struct strbuf *b, const struct snapshot *s, const struct task *t)
{
	if (t->state == TASK_RUNNING)
		strbuf_str(b, "runs");
	else if (t->state == TASK_RUNNABLE)
		strbuf_str(b, "is ready to run");
	else {
		strbuf_str(b, "waits for ");
		if (!shape_wait(b, s, t))
			strbuf_str(b, "what cannot be told");
	}
	say_where(b, t);
	if (t->wait && t->wait->available && t->state == TASK_WAITING)
		strbuf_str(b, ", which is there: nobody has woken it");
}

static void say_one(struct strbuf *b, const struct snapshot *s, const struct root *r)
{
	const struct task *t = snapshot_task(s, r->task);
	if (r->waiting) {
		say_count(b, r->waiting);
		strbuf_str(b, r->waiting == 1 ? " task waits, in the end, for " : " tasks wait, in the end, for ");
		shape_name(b, t->name, t->id);
		strbuf_str(b, ", which ");
	} else {
		shape_name(b, t->name, t->id);
		strbuf_char(b, ' ');
	}
	say_wait(b, s, t);
	say_holds(b, t);
	if (t->wait && t->state == TASK_WAITING)
		say_holders(b, s, t->wait);
}

static const struct thread_stack *thread_of(const struct snapshot *s, pid_t tid)
{
	for (size_t i = 0; i < s->nthreads; i++)
		if (s->threads[i].tid == tid)
			return &s->threads[i];
	return NULL;
}

/* "3 tasks wait, in the end, for thread 12 (w1), which waits for Queue 0x… at f app.py:5" */
static void say_thread(struct strbuf *b, const struct snapshot *s, const struct root *r)
{
	const struct thread_stack *t = thread_of(s, r->nthreads ? r->threads[0] : r->thread);
	if (!t)
		return;
	say_count(b, r->waiting);
	strbuf_str(b, r->waiting == 1 ? " task waits, in the end, for " : " tasks wait, in the end, for ");
	if (r->alike > 1) {
		say_count(b, r->alike);
		strbuf_str(b, " threads, each of which ");
	} else {
		say_waiter(b, (struct waiter){ .thread = t });
		strbuf_str(b, ", which ");
	}
	if (t->wait) {
		strbuf_str(b, "waits for ");
		say_thread_wait(b, s, t->wait);
	} else {
		strbuf_str(b, "is");
	}
	say_thread_place(b, s, t);
}

static void say_alike(struct strbuf *b, const struct snapshot *s, const struct root *r)
{
	const struct task *t = snapshot_task(s, r->tasks[0]);
	say_count(b, r->ntasks);
	strbuf_str(b, " tasks each wait for ");
	strbuf_str(b, wait_kind_name(t->wait->kind));
	if (t->wait->kind == WAIT_POOL && t->wait->detail)
		strbuf_fmt(b, ": %s", t->wait->detail);
	say_where(b, t);
	say_holders(b, s, t->wait);
	if (r->waiting) {
		strbuf_str(b, ", and ");
		say_count(b, r->waiting);
		strbuf_str(b, r->waiting == 1 ? " task for them" : " tasks for them");
	}
}

static void say_deadlock(struct strbuf *b, const struct snapshot *s, const struct root *r)
{
	if (r->nring == 1)
		strbuf_fmt(b, "Deadlock of a %s with itself: ", r->ntasks ? "task" : "thread");
	else
		strbuf_str(b, "Deadlock: ");
	say_ring(b, s, r->ring, r->nring);
	if (r->waiting) {
		strbuf_str(b, ". ");
		say_count(b, r->waiting);
		strbuf_fmt(b, "%s task%s", r->ntasks ? " other" : "", r->waiting == 1 ? " waits" : "s wait");
		strbuf_str(b, r->nring == 1 ? " for it" : " for them");
	}
}

static err_t say(struct why *y, struct root *r)
{
	struct strbuf b = { 0 };
	if (r->kind == ROOT_DEADLOCK)
		say_deadlock(&b, y->graph.s, r);
	else if (r->task)
		say_one(&b, y->graph.s, r);
	else if (r->nthreads || (!r->ntasks && r->thread))
		say_thread(&b, y->graph.s, r);
	else
		say_alike(&b, y->graph.s, r);
	strbuf_char(&b, '.');
	r->message = kept(y, &b);
	return r->message ? NULL : ERR_NOMEM;
}

/* ---- condensing ---- */

/* Roots that nobody else waits for are one where they wait for the same at the same place. */
static bool tasks_alike(const struct task *a, const struct task *b)
{
	const struct frame *x = shape_last(&a->stack), *y = shape_last(&b->stack);
	if (a->state != TASK_WAITING || b->state != TASK_WAITING || !a->wait || !b->wait)
		return false;
	if (a->wait->kind == WAIT_POOL && a->wait->id != b->wait->id)
		return false;
	return a->wait->kind == b->wait->kind && x && y && x->line == y->line && x->file == y->file &&
	       x->function == y->function;
}

/* Threads, whoever waits for them, where they wait for the same thing. */
static bool threads_alike(const struct thread_wait *a, const struct thread_wait *b)
{
	return a && b && a->kind == b->kind && a->id == b->id && a->id;
}

static bool alike(const struct waits_for *g, uint32_t i, uint32_t k)
{
	const struct task *a = node_task(g, i), *b = node_task(g, k);
	if (a && b)
		return tasks_alike(a, b);
	return !a && !b && threads_alike(node_thread(g, i)->wait, node_thread(g, k)->wait);
}

static uint64_t likeness(const struct waits_for *g, uint32_t i)
{
	const struct task *t = node_task(g, i);
	const struct frame *f = t ? shape_last(&t->stack) : NULL;
	const struct thread_wait *w = t ? NULL : node_thread(g, i)->wait;
	uint64_t h = f ? (uint64_t)(uintptr_t)f->file * 31 + (uint64_t)f->line : w ? w->id : 0;
	h = h * 0x9E3779B97F4A7C15u + (t ? (uint64_t)(t->wait ? t->wait->kind + 1 : 0) : 1000);
	return h ? h : 1;
}

struct ends {
	uint32_t *waiting;       /* of each node that is a root, how many tasks lead to it */
	uint32_t *first, *more;  /* alike: the first of them, and a list of the others */
	uint32_t *count;
};

static bool ring_of(struct why *y, struct root *r, uint32_t from)
{
	const struct waits_for *g = &y->graph;
	uint32_t at = from;
	size_t n = 0;
	do
		n++;
	while ((at = g->toward[at]) != from);
	uint64_t *tasks = arena_array(y->arena, n, sizeof *tasks);
	pid_t *threads = arena_array(y->arena, n, sizeof *threads);
	struct waiter *ring = arena_array(y->arena, n, sizeof *ring);
	if (!tasks || !threads || !ring)
		return false;
	for (; r->nring < n; at = g->toward[at]) {
		struct waiter x = ring[r->nring++] = waiter_of(g, at);
		if (x.task)
			tasks[r->ntasks++] = x.task->id;
		else
			threads[r->nthreads++] = x.thread->tid;
	}
	r->tasks = tasks;
	r->threads = threads;
	r->ring = ring;
	return true;
}

/* Those that are told together with the first. */
static bool gather(struct why *y, struct root *r, const struct ends *e, uint32_t first)
{
	const struct waits_for *g = &y->graph;
	bool tasks = node_task(g, first) != NULL;
	uint64_t *ids = arena_array(y->arena, e->count[first], sizeof *ids);
	pid_t *threads = arena_array(y->arena, e->count[first], sizeof *threads);
	if (!ids || !threads)
		return false;
	r->waiting = 0;
	for (uint32_t i = first; i != WAITS_FOR_NONE; i = e->more[i]) {
		r->waiting += e->waiting[i];
		if (tasks)
			ids[r->ntasks++] = g->s->tasks[i].id;
		else
			threads[r->nthreads++] = node_thread(g, i)->tid;
	}
	r->tasks = ids;
	r->threads = threads;
	r->alike = e->count[first];
	return true;
}

static bool is_waiting(const struct task *t)
{
	return t->state == TASK_WAITING && t->wait;
}

/* What runs and holds nobody up is no answer to why. */
static bool is_end(const struct waits_for *g, const struct ends *e, uint32_t i)
{
	const struct task *t = node_task(g, i);
	if (g->root[i] != i)
		return false;
	if (g->in_ring[i])
		return true;
	return t ? task_alive(t) && (is_waiting(t) || e->waiting[i]) : e->waiting[i];
}

static bool may_be_like(const struct waits_for *g, const struct ends *e, uint32_t i)
{
	const struct task *t = node_task(g, i);
	if (g->root[i] != i || g->in_ring[i])
		return false;
	return t ? !e->waiting[i] && is_waiting(t) : e->waiting[i] && node_thread(g, i)->wait;
}

/* Links each root that may be told with others to the first that is like it. */
static err_t link_alike(struct why *y, struct ends *e)
{
	const struct waits_for *g = &y->graph;
	struct map seen = { 0 };
	err_t err = NULL;
	uint32_t *last = calloc((size_t)g->n + 1, sizeof *last);
	for (uint32_t i = 0; i < g->n; i++)
		e->more[i] = WAITS_FOR_NONE;
	for (uint32_t i = 0; last && i < g->n && !err; i++) {
		uint64_t at;
		e->first[i] = i;
		e->count[i] = 1;
		last[i] = i;
		if (!may_be_like(g, e, i))
			continue;
		if (!map_get(&seen, likeness(g, i), &at)) {
			err = map_set(&seen, likeness(g, i), i + 1ull) ? NULL : ERR_NOMEM;
			continue;
		}
		uint32_t first = (uint32_t)at - 1;
		if (!alike(g, first, i))
			continue;
		e->first[i] = first;
		e->count[first]++;
		e->more[last[first]] = i;
		last[first] = i;
	}
	if (!last)
		err = ERR_NOMEM;
	free(last);
	map_free(&seen);
	return err;
}

static bool root_make(struct why *y, struct root *r, const struct ends *e, uint32_t i)
{
	const struct waits_for *g = &y->graph;
	const struct task *t = node_task(g, i);
	*r = (struct root){ .kind = t ? kind_of(t) : ROOT_THREAD, .waiting = e->waiting[i], .task = t ? t->id : 0,
			    .thread = t ? 0 : node_thread(g, i)->tid, .alike = 1 };
	if (g->in_ring[i]) {
		r->kind = ROOT_DEADLOCK;
		r->task = 0;
		r->thread = 0;
		if (!ring_of(y, r, i))
			return false;
		/* Its own members lead to it, too; the first does not count itself. */
		r->waiting -= r->ntasks - (t && r->ntasks ? 1 : 0);
	} else if (e->count[i] > 1) {
		r->task = 0;
		r->thread = 0;
		return gather(y, r, e, i);
	}
	return true;
}

static err_t collect(struct why *y, struct ends *e)
{
	const struct waits_for *g = &y->graph;
	struct VEC(struct root) all = { 0 };
	err_t err = NULL;
	for (uint32_t i = 0; i < g->n && !err; i++) {
		struct root r;
		y->root_of[i] = WAITS_FOR_NONE;
		if (e->first[i] != i || !is_end(g, e, i))
			continue;
		y->root_of[i] = (uint32_t)all.n;
		if (!root_make(y, &r, e, i) || !vec_push(&all, r))
			err = ERR_NOMEM;
	}
	for (uint32_t i = 0; i < g->n && !err; i++)
		y->root_of[i] = y->root_of[e->first[g->root[i]]];
	y->roots = err ? NULL : arena_dup(y->arena, all.v, all.n * sizeof *all.v);
	y->nroots = y->roots ? all.n : 0;
	vec_free(&all);
	return y->roots ? NULL : ERR_NOMEM;
}

static size_t weight(const struct root *r)
{
	return r->alike > 1 && !r->waiting ? r->ntasks : r->waiting;
}

static const struct root *sorted;
static int by_weight(const void *a, const void *b)
{
	const struct root *x = &sorted[*(const uint32_t *)a], *y = &sorted[*(const uint32_t *)b];
	if ((x->kind == ROOT_DEADLOCK) != (y->kind == ROOT_DEADLOCK))
		return x->kind == ROOT_DEADLOCK ? -1 : 1;
	/* One that others wait for says more than a crowd whose tasks nobody waits for. */
	if ((x->waiting > 0) != (y->waiting > 0))
		return x->waiting ? -1 : 1;
	if (weight(x) != weight(y))
		return weight(x) > weight(y) ? -1 : 1;
	return x < y ? -1 : x > y;
}

static err_t sort(struct why *y)
{
	uint32_t *order = calloc(y->nroots + 1, sizeof *order), *place = calloc(y->nroots + 1, sizeof *place);
	struct root *v = arena_array(y->arena, y->nroots + 1, sizeof *v);
	err_t e = order && place && v ? NULL : ERR_NOMEM;
	for (uint32_t i = 0; !e && i < y->nroots; i++)
		order[i] = i;
	sorted = y->roots;
	if (!e)
		qsort(order, y->nroots, sizeof *order, by_weight);
	for (uint32_t i = 0; !e && i < y->nroots; i++) {
		v[i] = y->roots[order[i]];
		place[order[i]] = i;
	}
	for (uint32_t i = 0; !e && i < y->graph.n; i++)
		if (y->root_of[i] != WAITS_FOR_NONE)
			y->root_of[i] = place[y->root_of[i]];
	if (!e)
		y->roots = v;
	free(order);
	free(place);
	return e;
}

err_t why_make(struct why *y, const struct snapshot *s)
{
	*y = (struct why){ .arena = arena_new() };
	if (!y->arena)
		return ERR_NOMEM;
	TRY(waits_for_make(&y->graph, s));
	size_t room = (size_t)y->graph.n + 1;
	struct ends e = { .waiting = calloc(room, sizeof *e.waiting), .first = calloc(room, sizeof *e.first),
			  .more = calloc(room, sizeof *e.more), .count = calloc(room, sizeof *e.count) };
	y->root_of = calloc(room, sizeof *y->root_of);
	err_t err = e.waiting && e.first && e.more && e.count && y->root_of ? NULL : ERR_NOMEM;
	for (uint32_t i = 0; !err && i < y->graph.ntasks; i++)
		if (y->graph.root[i] != i)
			e.waiting[y->graph.root[i]]++;
	if (!err)
		err = link_alike(y, &e);
	if (!err)
		err = collect(y, &e);
	if (!err)
		err = sort(y);
	for (size_t i = 0; !err && i < y->nroots; i++)
		err = say(y, &y->roots[i]);
	free(e.waiting);
	free(e.first);
	free(e.more);
	free(e.count);
	return err;
}

void why_free(struct why *y)
{
	waits_for_free(&y->graph);
	free(y->root_of);
	arena_free(y->arena);
	*y = (struct why){ 0 };
}

/* pool-exhausted: tasks wait until a pool, or one of anyio's limiters, is given back what others
 * have. */
#include "query/findings.h"
#include "query/ring.h"
#include "query/shape.h"

static bool waits_for_others(const struct task *t)
{
	const struct wait *w = t->state == TASK_WAITING ? t->wait : NULL;
	if (!w)
		return false;
	if (w->kind == WAIT_POOL)
		return w->nholders || w->left == 0;
	return w->kind == WAIT_SEMAPHORE && w->total > 0 && w->left == 0 && (int64_t)w->nholders >= w->total;
}

/* Of a semaphore: all permits are had by tasks that wait for calls in threads, as of the
 * limiter of anyio's worker threads. */
static bool all_in_threads(const struct snapshot *s, const struct wait *w)
{
	for (size_t i = 0; i < w->nholders; i++) {
		const struct task *t = w->holders[i].task ? snapshot_task(s, w->holders[i].task) : NULL;
		if (!t || t->state != TASK_WAITING || !t->wait || !t->wait->nthreads)
			return false;
	}
	return true;
}

static const struct task *before_of(const struct checking *k, const struct task *t)
{
	const struct task *was = k->before && t ? snapshot_task(k->before, t->id) : NULL;
	return was && was->coro_id == t->coro_id && was->state == t->state && was->fut_waiter == t->fut_waiter ? was
													    : NULL;
}

/* Whether those that have what it gave out were the same in both looks, and have not moved. */
static bool none_moves(const struct checking *k, const struct wait *w)
{
	for (size_t i = 0; i < w->nholders; i++) {
		const struct task *t = w->holders[i].task ? snapshot_task(k->now, w->holders[i].task) : NULL;
		if (w->holders[i].task && (!t || t->state != TASK_WAITING || !before_of(k, t)))
			return false;
	}
	return true;
}

/* All that wait for the same as one, in order. That somebody waits at an instant is what a pool
 * is for; of one look alone more cannot be said. That the permits of a semaphore
 * are in use is what it is for, however long; threads that do not come back are not. */
static void pool_item(struct checking *k, const struct task *first)
{
	const struct snapshot *s = k->now;
	const struct wait *w = first->wait;
	bool waited = false;
	uint64_t *ids = arena_array(s->arena, s->ntasks + 1, sizeof *ids);
	struct item x = { .of = first, .tasks = ids };
	k->nomem |= !ids;
	for (const struct task *t = first; ids && t < s->tasks + s->ntasks; t++) {
		if (!waits_for_others(t) || t->wait->id != w->id)
			continue;
		ids[x.ntasks++] = t->id;
		waited |= before_of(k, t) != NULL;
	}
	x.milder = !waited || !none_moves(k, w);
	if (w->kind == WAIT_POOL || (!x.milder && all_in_threads(s, w)))
		item_add(k, &x);
}

void pool_check(struct checking *k)
{
	struct map seen = { 0 };
	for (size_t i = 0; i < k->now->ntasks; i++)
		if (waits_for_others(&k->now->tasks[i]) && map_add(&seen, k->now->tasks[i].wait->id, 1))
			pool_item(k, &k->now->tasks[i]);
	k->nomem |= seen.failed;
	map_free(&seen);
}

/* What of the pool a task waits for, itself or in one that it awaits. */
static bool waits_at(const struct snapshot *s, const struct task *t, uint64_t pool)
{
	for (int depth = 0; t && t->state == TASK_WAITING && t->wait && depth < 4; depth++) {
		if (t->wait->id == pool)
			return true;
		t = t->wait->ntasks == 1 ? snapshot_task(s, t->wait->tasks[0]) : NULL;
	}
	return false;
}

/* Whether all that have something of the pool wait for more of it. */
static bool wait_themselves(const struct snapshot *s, const struct wait *w)
{
	for (size_t i = 0; i < w->nholders; i++)
		if (!w->holders[i].task || !waits_at(s, snapshot_task(s, w->holders[i].task), w->id))
			return false;
	return w->nholders;
}

void pool_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	const struct wait *w = t->wait;
	say_count(b, x->ntasks);
	strbuf_fmt(b, x->ntasks == 1 ? " task waits for %s" : " tasks wait for %s", w->detail ? w->detail : "a pool");
	strbuf_str(b, x->ntasks == 1 ? ": " : ", such as ");
	shape_name(b, t->name, t->id);
	say_where(b, t);
	say_holders(b, k->now, w);
	if (wait_themselves(k->now, w))
		strbuf_str(b, ". So those that have something of it wait for more of it: let a task take one at a "
			      "time, or all that it needs at once.");
	else if (w->kind != WAIT_POOL)
		strbuf_str(b, ". None of them has gone on meanwhile; \"why\" says what they wait for in the end.");
	else if (w->nholders)
		strbuf_str(b, ". \"why\" follows them; give back what is taken with \"async with\", read responses to "
			      "their end or close them, and give the wait a timeout.");
	else
		strbuf_str(b, ". No task is seen to have what it gave out: look for responses and connections that "
			      "objects keep, or that were dropped and not given back.");
}

void pool_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " pools have nothing left for those who wait at them");
}

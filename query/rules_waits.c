/* Rules about what tasks wait for: deadlocks, and wake-ups that were lost. */
#include "query/findings.h"
#include "query/ring.h"
#include "query/shape.h"
#include "query/waits_for.h"

/* ---- deadlock: a ring through a lock or a thread; await-cycle has the others ---- */

static bool of_awaits_only(const struct waits_for *g, uint32_t from)
{
	uint32_t at = from;
	do {
		if (!node_task(g, at) || held_by(waiter_of(g, at), waiter_of(g, g->toward[at])))
			return false;
		at = g->toward[at];
	} while (at != from);
	return true;
}

static void ring_item(struct checking *k, const struct waits_for *g, uint32_t from)
{
	size_t n = 0;
	uint32_t at = from;
	do
		n++;
	while ((at = g->toward[at]) != from);
	uint64_t *ids = arena_array(k->now->arena, n, sizeof *ids);
	struct waiter *ring = arena_array(k->now->arena, n, sizeof *ring);
	if (!ids || !ring) {
		k->nomem = true;
		return;
	}
	struct item x = { .of = ring, .tasks = ids, .count = n };
	for (size_t i = 0; i < n; i++, at = g->toward[at]) {
		ring[i] = waiter_of(g, at);
		if (ring[i].task)
			ids[x.ntasks++] = ring[i].task->id;
	}
	item_add(k, &x);
}

void deadlock_check(struct checking *k)
{
	struct waits_for g;
	err_t e = waits_for_make(&g, k->now);
	k->nomem |= e != NULL;
	for (uint32_t i = 0; !e && i < g.n; i++)
		if (g.in_ring[i] && g.root[i] == i && !of_awaits_only(&g, i))
			ring_item(k, &g, i);
	waits_for_free(&g);
}

void deadlock_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct waiter *ring = x->of;
	bool threads = false;
	for (size_t i = 0; i < x->count; i++)
		threads |= ring[i].thread != NULL;
	if (x->count == 1)
		strbuf_fmt(b, "A %s waits for what it has itself, and can never go on: ", threads ? "thread" : "task");
	else
		strbuf_fmt(b, "%s wait for each other, and none of them can ever go on: ",
			   !threads ? "Tasks" : x->ntasks ? "Tasks and threads" : "Threads");
	say_ring(b, k->now, ring, x->count);
	strbuf_str(b, threads ? ". What blocks a loop's thread must not wait for what that loop is to do: await it "
				"there, with asyncio.wrap_future() or in a thread; \"why\" says who waits behind them."
			      : ". Cancelling one of them ends it; \"why\" says who waits behind them.");
}

void deadlock_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	bool threads = false;
	(void)k;
	for (size_t i = 0; i < n; i++)
		threads |= items[i].ntasks < items[i].count;
	say_count(b, n);
	strbuf_fmt(b, " rings of tasks%s wait for each other and can never go on", threads ? " and threads" : "");
}

/* ---- lost-wakeup: what is waited for is there, and the loop has nothing left to do ---- */

static const struct task *same_wait(const struct snapshot *s, const struct task *t)
{
	const struct task *was = snapshot_task(s, t->id);
	if (!was || was->coro_id != t->coro_id || was->state != TASK_WAITING || !was->wait)
		return NULL;
	return was->wait->kind == t->wait->kind && was->wait->id == t->wait->id &&
	       was->fut_waiter == t->fut_waiter ? was : NULL;
}

/* The loops that have something to do now, or of which that is not known. */
static bool busy_loops(const struct snapshot *s, struct map *busy)
{
	for (size_t i = 0; i < s->nloops; i++)
		if ((!s->loops[i].running || s->loops[i].ready) && !map_set(busy, s->loops[i].id, 1))
			return false;
	for (size_t i = 0; i < s->ntasks; i++) {
		const struct task *t = &s->tasks[i];
		if ((t->state == TASK_RUNNING || t->state == TASK_RUNNABLE) && !map_set(busy, t->loop, 1))
			return false;
	}
	return true;
}

void lostwakeup_check(struct checking *k)
{
	struct map busy = { 0 };
	if (k->before && (!busy_loops(k->before, &busy) || !busy_loops(k->now, &busy)))
		k->nomem = true;
	for (size_t i = 0; k->before && i < k->now->ntasks; i++) {
		const struct task *t = &k->now->tasks[i];
		if (t->state != TASK_WAITING || !t->wait || !t->wait->available || map_get(&busy, t->loop, NULL))
			continue;
		const struct task *was = same_wait(k->before, t);
		if (was && was->wait->available)
			item_task(k, t);
	}
	map_free(&busy);
}

void lostwakeup_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	(void)k;
	say_task(b, t);
	strbuf_str(b, " waits for ");
	say_object(b, t);
	say_where(b, t);
	strbuf_str(b, t->wait->kind == WAIT_EVENT ? ", which is set" :
		      t->wait->kind == WAIT_QUEUE_GET ? ", which has items" : ", which is free");
	strbuf_str(b, "; nothing in its loop is about to wake it: the wake-up was lost. Look for what releases or "
		      "sets it from another thread, and for classes that change how it does.");
}

void lostwakeup_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " tasks wait for what is there, and nothing is about to wake them");
}

/* ---- join-without-consumer: nobody is left who could call task_done() ---- */

static bool nobody_left(const struct task *t)
{
	return t && t->state == TASK_WAITING && t->wait && t->wait->kind == WAIT_QUEUE_JOIN && t->wait->left > 0 &&
	       t->wait->wakers && !t->wait->nwakers;
}

void join_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->ntasks; i++) {
		const struct task *t = &k->now->tasks[i];
		if (nobody_left(t) && (!k->before || nobody_left(same_wait(k->before, t))))
			item_task(k, t);
	}
}

void join_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	(void)k;
	say_task(b, t);
	strbuf_str(b, " waits in join() of ");
	say_object(b, t);
	say_where(b, t);
	strbuf_str(b, ", and no other task, thread or module is seen to have that queue: its consumers have ended "
		      "without calling task_done() for what they took. Look at how they ended "
		      "(\"ps --all\", with the agent \"ps-terminated\").");
}

void join_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " tasks wait in join() of queues that no other task is seen to have");
}

/* ---- asleep-with-work: the loop sleeps while callbacks are ready ---- */

void asleep_check(struct checking *k)
{
	for (size_t i = 0; k->before && i < k->now->nloops; i++) {
		const struct loop *l = &k->now->loops[i], *was = snapshot_loop(k->before, l->id);
		if (!was || !l->asleep || !was->asleep || l->ready <= 0 || was->ready <= 0)
			continue;
		struct item x = { .of = l };
		uint64_t *ids = arena_array(k->now->arena, k->now->ntasks + 1, sizeof *ids);
		for (size_t t = 0; ids && t < k->now->ntasks; t++)
			if (k->now->tasks[t].loop == l->id && k->now->tasks[t].state == TASK_RUNNABLE)
				ids[x.ntasks++] = k->now->tasks[t].id;
		x.tasks = ids;
		k->nomem |= !ids;
		item_add(k, &x);
	}
}

void asleep_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct loop *l = x->of;
	const struct task *t = x->ntasks ? snapshot_task(k->now, x->tasks[0]) : NULL;
	strbuf_str(b, "The loop ");
	strbuf_hex(b, l->id);
	strbuf_fmt(b, " in thread %d sleeps though %lld callback%s wait%s to be run", (int)l->thread,
		   (long long)l->ready, l->ready == 1 ? "" : "s", l->ready == 1 ? "s" : "");
	if (t) {
		strbuf_str(b, ", that of ");
		say_task(b, t);
		say_where(b, t);
	}
	strbuf_str(b, ": another thread has set a result or scheduled a call without "
		      "loop.call_soon_threadsafe(), so that nothing wakes the loop.");
}

void asleep_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " loops sleep though callbacks wait to be run");
}

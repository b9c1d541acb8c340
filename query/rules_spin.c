/* spin: a loop whose thread takes all the time that it gets, for one thing again and again. */
#include "query/findings.h"
#include "query/shape.h"

#include <math.h>
#include <string.h>

#define SHARE_LEAST 0.7          /* of the time between the looks */
#define APART_LEAST_S 0.05

static double share(const struct loop *l, const struct loop *was)
{
	double apart = l->wanted_at - was->wanted_at;
	return apart >= APART_LEAST_S ? (l->wanted - was->wanted) / apart : NAN;
}

/* In one and the same step: blocked-loop has that. */
static bool same_step(const struct loop *l, const struct loop *was)
{
	return !isnan(l->turn) && l->turn == was->turn && l->turn_step == was->turn_step;
}

/* The descriptor that was ready for the same handle in both looks, with as much to be read. */
static const struct watched_fd *same_descriptor(const struct loop *l, const struct loop *was)
{
	for (size_t i = 0; i < l->nwatched; i++)
		for (size_t k = 0; k < was->nwatched; k++) {
			const struct watched_fd *x = &l->watched[i], *y = &was->watched[k];
			if (x->fd == y->fd && x->handle == y->handle && x->writes == y->writes && x->unread == y->unread)
				return x;
		}
	return NULL;
}

static bool ready(const struct task *t)
{
	return t->state == TASK_RUNNABLE || t->state == TASK_RUNNING;
}

/* It has given way to others and waits for nothing, as after sleep(0). */
static bool gave_way(const struct task *t)
{
	return t->state == TASK_RUNNABLE && !t->fut_waiter;
}

/* The task that ran or was about to in both looks. */
static const struct task *same_task(const struct checking *k, uint64_t loop)
{
	for (size_t i = 0; i < k->now->ntasks; i++) {
		const struct task *t = &k->now->tasks[i];
		const struct task *was = t->loop == loop && ready(t) ? snapshot_task(k->before, t->id) : NULL;
		if (was && ready(was) && was->coro_id == t->coro_id && (gave_way(t) || gave_way(was)))
			return t;
	}
	return NULL;
}

void spin_check(struct checking *k)
{
	for (size_t i = 0; k->before && !k->now->stopped && i < k->now->nloops; i++) {
		const struct loop *l = &k->now->loops[i], *was = snapshot_loop(k->before, l->id);
		if (!was || !l->running || !was->running || !(share(l, was) >= SHARE_LEAST) || same_step(l, was))
			continue;
		const struct task *t = same_task(k, l->id);
		if (same_descriptor(l, was) || (l->callback && was->callback && strcmp(l->callback, was->callback) == 0))
			item_add(k, &(struct item){ .of = l });
		else if (t)
			item_add(k, &(struct item){ .of = l, .tasks = &t->id, .ntasks = 1, .milder = true });
	}
}

static void say_descriptor(struct strbuf *b, const struct watched_fd *x)
{
	strbuf_fmt(b, "descriptor %d is ready to be %s in both looks, and %s(), which is called for it each time, ", x->fd,
		   x->writes ? "written to" : "read", x->callback);
	if (x->writes)
		strbuf_str(b, "does not end that. Call remove_writer() once there is nothing to write.");
	else if (x->ended)
		strbuf_str(b, "does not take note that it is at its end. Call remove_reader() and close it.");
	else
		strbuf_str(b, "does not read what is there. Read it all, or call remove_reader().");
}

void spin_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct loop *l = x->of, *was = snapshot_loop(k->before, l->id);
	const struct watched_fd *w = same_descriptor(l, was);
	const struct task *t = x->ntasks ? snapshot_task(k->now, x->tasks[0]) : NULL;
	strbuf_str(b, "The loop ");
	strbuf_hex(b, l->id);
	strbuf_fmt(b, " of thread %d does not rest: its thread wanted %.0f %% of the time, turn after turn. ",
		   (int)l->thread, 100 * fmin(share(l, was), 1));
	if (w) {
		strbuf_str(b, "The ");
		say_descriptor(b, w);
	} else if (t) {
		strbuf_str(b, "In both looks ");
		say_task(b, t);
		strbuf_fmt(b, " (%s)", task_body(t) ? task_body(t) : "?");
		say_where(b, t);
		strbuf_str(b, " ran or was about to: it may be waiting for something by asking again and again. An event, a "
			      "condition or a future does that without.");
	} else {
		strbuf_fmt(b, "In both looks it was about to call %s(): a callback that schedules itself with call_soon() "
			      "keeps the loop from sleeping. Use call_later().", l->callback);
	}
}

void spin_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " loops do not rest, turn after turn");
}

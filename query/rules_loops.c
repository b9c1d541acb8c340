/* Rules about what runs tasks: loops, their timers, executors, task groups. */
#include "query/findings.h"
#include "query/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OVERDUE_S 1.0            /* a timer so late is long overdue */

/* blocked-loop */

static const struct task *running_in(const struct snapshot *s, uint64_t loop)
{
	for (size_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].loop == loop && s->tasks[i].state == TASK_RUNNING)
			return &s->tasks[i];
	return NULL;
}

static bool same_stack(const struct task *a, const struct task *b)
{
	if (a->stack.n != b->stack.n || !a->stack.n)
		return false;
	for (size_t i = 0; i < a->stack.n; i++) {
		const struct frame *x = a->stack.frames[i], *y = b->stack.frames[i];
		if (x->line != y->line || strcmp(x->function ? x->function : "", y->function ? y->function : "") != 0)
			return false;
	}
	return true;
}

enum same { SAME_NOT, SAME_LIKELY, SAME_PROVEN };

/* asyncio's own loop says which step of which turn it is in; a loop that others have
 * written may say the turn only, in which a task has one step. Of those that say neither:
 * the agent's count of steps, else the same task on the same lines, which a busy task may
 * be by chance. */
static enum same same_step(const struct loop *l, const struct loop *was, const struct task *t,
			   const struct task *then)
{
	bool same_task = t && then && t->id == then->id && t->coro_id == then->coro_id;
	if (l->turns || was->turns) {
		bool steps = l->turn_step >= 0 || was->turn_step >= 0;
		return l->turn == was->turn && (steps ? l->turn_step == was->turn_step : same_task) ? SAME_PROVEN
												     : SAME_NOT;
	}
	if (!same_task)
		return SAME_NOT;
	if (t->stats && then->stats)
		return t->stats->polls == then->stats->polls ? SAME_PROVEN : SAME_NOT;
	return same_stack(t, then) ? SAME_LIKELY : SAME_NOT;
}

void blocked_check(struct checking *k)
{
	/* Nothing of a process that is stopped goes on: that is not its loop's fault. */
	bool stopped = k->now->stopped || (k->before && k->before->stopped);
	for (size_t i = 0; k->before && !stopped && i < k->now->nloops; i++) {
		const struct loop *l = &k->now->loops[i], *was = snapshot_loop(k->before, l->id);
		if (!l->running || !was || !was->running)
			continue;
		const struct task *t = running_in(k->now, l->id);
		enum same same = same_step(l, was, t, running_in(k->before, l->id));
		if (same != SAME_NOT)
			item_add(k, &(struct item){ .of = l, .tasks = t ? &t->id : NULL, .ntasks = t ? 1 : 0,
						    .milder = same == SAME_LIKELY });
	}
}

/* The loop that runs inside a step of this one; NULL: none does. */
static const struct loop *loop_inside(const struct snapshot *s, const struct loop *outer)
{
	for (size_t i = 0; !outer->inner && outer->thread && i < s->nloops; i++)
		if (s->loops[i].inner && s->loops[i].thread == outer->thread)
			return &s->loops[i];
	return NULL;
}

static void say_holding(struct strbuf *b, const struct checking *k, const struct loop *l)
{
	const struct thread_frame *f = NULL;
	for (size_t i = 0; i < k->now->nthreads; i++)
		for (size_t n = 0; k->now->threads[i].loop == l->id && n < k->now->threads[i].nframes; n++)
			if (k->now->threads[i].frames[n].kind == FRAME_PYTHON)
				f = &k->now->threads[i].frames[n];
	if (!f)
		return;
	strbuf_str(b, ", now in ");
	shape_place(b, f->function, f->file, f->line);
}

static void say_remedy(struct strbuf *b, const struct loop *inside)
{
	if (inside) {
		strbuf_str(b, " meanwhile. In that step its thread runs another loop, ");
		strbuf_hex(b, inside->id);
		strbuf_str(b, ", until that one ends: run it in a thread of its own.");
		return;
	}
	strbuf_str(b, " meanwhile. \"stacktrace --native\" shows what holds it; work that blocks belongs into "
		      "asyncio.to_thread() or an executor.");
}

void blocked_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct loop *l = x->of, *inside = loop_inside(k->now, l);
	const struct task *t = running_in(k->now, l->id);
	size_t others = 0;
	for (size_t i = 0; i < k->now->ntasks; i++)
		others += k->now->tasks[i].loop == l->id && task_alive(&k->now->tasks[i]) && &k->now->tasks[i] != t;
	strbuf_str(b, "The loop ");
	strbuf_hex(b, l->id);
	if (l->thread)
		strbuf_fmt(b, " of thread %d", (int)l->thread);
	strbuf_str(b, x->milder ? " was met twice on the same lines of " : " has been in one and the same step of ");
	if (t)
		say_task(b, t);
	else
		strbuf_str(b, "a callback");
	strbuf_str(b, x->milder ? ", after " : " for at least ");
	shape_seconds(b, k->apart);
	if (t)
		say_where(b, t);
	if (!inside)
		say_holding(b, k, l);
	strbuf_str(b, x->milder ? "; if that was one step, " : "; ");
	say_count(b, others);
	strbuf_str(b, others == 1 ? " other task cannot run" : " other tasks cannot run");
	say_remedy(b, inside);
}

void blocked_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)items;
	say_count(b, n);
	strbuf_str(b, " loops have been in the same step for at least ");
	shape_seconds(b, k->apart);
}

/* timer-overdue */

void overdue_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->nloops; i++) {
		const struct loop *l = &k->now->loops[i];
		if (l->running && !k->now->stopped && l->overdue >= OVERDUE_S)
			item_add(k, &(struct item){ .of = l });
	}
}

void overdue_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct loop *l = x->of;
	(void)k;
	say_count(b, l->noverdue);
	strbuf_fmt(b, " timer%s of the loop ", l->noverdue == 1 ? "" : "s");
	strbuf_hex(b, l->id);
	strbuf_fmt(b, " %s due, the latest for ", l->noverdue == 1 ? "is" : "are");
	shape_seconds(b, l->overdue);
	strbuf_str(b, ": the loop does not come to them");
	if (l->ready > 0) {
		strbuf_str(b, " (");
		say_count(b, (uint64_t)l->ready);
		strbuf_str(b, " callbacks are ready before them)");
	}
	strbuf_str(b, ". Sleeps, timeouts and heartbeats are late by that much; \"stacktrace\" shows what it does "
		      "instead.");
}

void overdue_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " loops are late with their timers");
}

/* executor-saturated */

void executor_check(struct checking *k)
{
	const struct snapshot *s = k->now;
	for (size_t i = 0; i < s->nexecutors; i++) {
		const struct executor *e = &s->executors[i];
		size_t n = 0;
		if (e->max_workers <= 0 || e->busy < e->max_workers || e->queued <= 0)
			continue;
		for (size_t t = 0; t < s->ntasks; t++)
			n += s->tasks[t].wait && s->tasks[t].wait->kind == WAIT_EXECUTOR && s->tasks[t].wait->id == e->id;
		uint64_t *ids = arena_array(s->arena, n, sizeof *ids);
		if (!ids) {
			k->nomem = true;
			return;
		}
		n = 0;
		for (size_t t = 0; t < s->ntasks; t++)
			if (s->tasks[t].wait && s->tasks[t].wait->kind == WAIT_EXECUTOR && s->tasks[t].wait->id == e->id)
				ids[n++] = s->tasks[t].id;
		item_add(k, &(struct item){ .of = e, .tasks = ids, .ntasks = n });
	}
}

void executor_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct executor *e = x->of;
	strbuf_fmt(b, "The %s ", e->kind);
	strbuf_hex(b, e->id);
	if (e->name && *e->name)
		strbuf_fmt(b, " (%s)", e->name);
	strbuf_str(b, " has ");
	say_count(b, (uint64_t)e->busy);
	strbuf_str(b, " of ");
	say_count(b, (uint64_t)e->max_workers);
	strbuf_str(b, " workers busy and ");
	say_count(b, (uint64_t)e->queued);
	strbuf_fmt(b, " call%s queued", e->queued == 1 ? "" : "s");
	if (x->ntasks) {
		const struct task *t = snapshot_task(k->now, x->tasks[0]);
		strbuf_str(b, "; ");
		say_count(b, x->ntasks);
		strbuf_str(b, x->ntasks == 1 ? " task waits for it" : " tasks wait for it");
		if (t && t->wait->detail) {
			/* "scan() in …": what is called. */
			size_t n = strcspn(t->wait->detail, ")");
			strbuf_fmt(b, ", such as ");
			shape_name(b, t->name, t->id);
			strbuf_fmt(b, " for %.*s)", (int)n, t->wait->detail);
		}
	}
	strbuf_str(b, ". New calls wait behind all of these: \"stacktrace\" shows what the workers do; start fewer, "
		      "give them timeouts, or an executor of their own.");
}

void executor_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " executors have all their workers busy and calls queued");
}

/* group-aborting */

void group_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->ngroups; i++) {
		const struct group *g = &k->now->groups[i];
		if (g->aborting && g->error && g->ntasks)
			item_add(k, &(struct item){ .of = g, .tasks = g->tasks, .ntasks = g->ntasks });
	}
}

/* The request by which it cancels one of its tasks, or its owner, for a child that failed;
 * NULL: not known. */
static const struct cancel *cause_of(const struct snapshot *s, const struct group *g)
{
	for (size_t i = 0; i <= g->ntasks; i++) {
		const struct task *t = snapshot_task(s, i < g->ntasks ? g->tasks[i] : g->owner);
		for (size_t n = 0; t && n < t->ncancels; n++)
			if (t->cancels[n].because_ended && t->cancels[n].because_failed)
				return &t->cancels[n];
	}
	return NULL;
}

void group_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct group *g = x->of;
	const struct task *owner = g->owner ? snapshot_task(k->now, g->owner) : NULL;
	const struct cancel *cause = cause_of(k->now, g);
	if (cause) {
		strbuf_str(b, "Task ");
		shape_name(b, cause->because.name, cause->because.id);
		strbuf_fmt(b, " of the %s", g->kind);
	} else {
		strbuf_fmt(b, "A child of the %s", g->kind);
	}
	if (g->name)
		strbuf_fmt(b, " %s", g->name);
	if (owner) {
		strbuf_str(b, " in ");
		say_task(b, owner);
	}
	strbuf_fmt(b, " failed with %s", g->error->type ? g->error->type : "an exception");
	if (g->error->message && *g->error->message)
		strbuf_fmt(b, " (%s)", g->error->message);
	strbuf_str(b, ", so the group cancels all others (");
	say_count(b, g->ntasks);
	strbuf_str(b, " still to end)");
	if (owner) {
		strbuf_str(b, " and then raises in ");
		say_task(b, owner);
	}
	strbuf_str(b, ". Where one child's error must not end its siblings, catch it inside the child, or use a "
		      "group that lives on (aiotools' Supervisor).");
}

void group_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " task groups cancel their children for one that failed");
}

#include "query/ring.h"

#include <string.h>

#include "query/findings.h"
#include "query/shape.h"

#define HOLDERS_TOLD 3           /* of a pool or a semaphore */

static const struct holder *among(const struct holder *v, size_t n, struct waiter by)
{
	for (size_t k = 0; k < n; k++)
		if (by.task ? v[k].task == by.task->id : !v[k].task && by.thread && v[k].thread == by.thread->tid)
			return &v[k];
	return NULL;
}

const struct holder *held_by(struct waiter x, struct waiter by)
{
	if (x.task)
		return x.task->wait && !x.task->wait->ntasks
			? among(x.task->wait->holders, x.task->wait->nholders, by) : NULL;
	return x.thread && x.thread->wait ? among(x.thread->wait->holders, x.thread->wait->nholders, by) : NULL;
}

void say_object(struct strbuf *b, const struct task *t)
{
	const struct wait *w = t->wait;
	const char *class = w->detail ? w->detail : wait_kind_name(w->kind);
	char text[64];
	size_t n = strcspn(class, ",");
	n = n < sizeof text - 1 ? n : sizeof text - 1;
	memcpy(text, class, n);
	text[n] = '\0';
	strbuf_str(b, text);
	if (w->id) {
		strbuf_char(b, ' ');
		strbuf_hex(b, w->id);
	}
}

void say_taken(struct strbuf *b, const struct holder *h)
{
	if (!h->place)
		return;
	strbuf_str(b, h->since ? " since " : " at ");
	shape_place(b, h->place->function, h->place->file, h->since ? h->since : h->place->line);
}

void say_waiter(struct strbuf *b, struct waiter x)
{
	if (x.task) {
		shape_name(b, x.task->name, x.task->id);
		return;
	}
	strbuf_fmt(b, "thread %d", (int)x.thread->tid);
	if (x.thread->title || x.thread->name) {
		strbuf_str(b, " (");
		strbuf_str(b, x.thread->title ? x.thread->title : x.thread->name);
		strbuf_char(b, ')');
	}
}

void say_thread_wait(struct strbuf *b, const struct snapshot *s, const struct thread_wait *w)
{
	const struct task *t = w->task ? snapshot_task(s, w->task) : NULL;
	const char *what = w->what ? w->what : "object";
	switch (w->kind) {
	case THREAD_WAIT_TASK:
		strbuf_str(b, "the result of task ");
		shape_name(b, t ? t->name : NULL, w->task);
		return;
	case THREAD_WAIT_LOOP:
		strbuf_fmt(b, "the result of %s that the loop ", w->what ? w->what : "a call");
		strbuf_hex(b, w->loop);
		strbuf_str(b, " has not begun");
		return;
	case THREAD_WAIT_CALL:
		strbuf_fmt(b, "the result of %s() %s", w->what ? w->what : "a function",
			   w->thread ? "in an executor" : "that is queued in an executor");
		return;
	case THREAD_WAIT_FUTURE:
		strbuf_str(b, "the result of ");
		break;
	case THREAD_WAIT_QUEUE:
	case THREAD_WAIT_EVENT:
	case THREAD_WAIT_LOCK:
		break;
	default:
		strbuf_str(b, "the end of ");
		break;
	}
	strbuf_str(b, what);
	strbuf_char(b, ' ');
	strbuf_hex(b, w->id);
}

void say_thread_place(struct strbuf *b, const struct snapshot *s, const struct thread_stack *t)
{
	const struct thread_frame *best = NULL;
	enum code_owner best_owner = CODE_UNKNOWN;
	for (size_t i = 0; i < t->nframes; i++) {
		const struct thread_frame *f = &t->frames[i];
		enum code_owner owner = f->kind == FRAME_PYTHON ? code_owner(&s->folders, f->file) : CODE_UNKNOWN;
		if (f->kind == FRAME_PYTHON && (!best || owner == CODE_USER || best_owner != CODE_USER)) {
			best = f;
			best_owner = owner;
		}
	}
	if (!best)
		return;
	strbuf_str(b, " at ");
	shape_place(b, best->function, best->file, best->line);
}

/* How a thread's wait leads to the next. */
static void say_toward(struct strbuf *b, struct waiter x, struct waiter by)
{
	const struct thread_wait *w = x.thread->wait;
	if (w->kind == THREAD_WAIT_LOOP && by.thread == x.thread) {
		strbuf_str(b, ", and which it runs itself");
	} else if (w->kind == THREAD_WAIT_LOOP) {
		strbuf_str(b, ", which runs in ");
		say_waiter(b, by);
	} else if (w->kind == THREAD_WAIT_CALL) {
		strbuf_str(b, w->thread ? ", which runs in " : ", of whose workers one is ");
		say_waiter(b, by);
	} else if (w->kind == THREAD_WAIT_THREAD && by.thread) {
		strbuf_str(b, ", ");
		say_waiter(b, by);
	}
}

/* "leaf() in an executor": the detail has more, which is of this instant. */
static void say_call(struct strbuf *b, const struct wait *w)
{
	const char *end = w->detail ? strchr(w->detail, ')') : NULL;
	strbuf_fmt(b, " waits for %.*s %s", end ? (int)(end + 1 - w->detail) : 6, end ? w->detail : "a call",
		   w->nthreads ? "in an executor" : "that is queued in an executor");
}

static void say_waits(struct strbuf *b, const struct snapshot *s, struct waiter x)
{
	if (x.task && x.task->wait && x.task->wait->kind == WAIT_EXECUTOR) {
		say_call(b, x.task->wait);
		say_where(b, x.task);
		return;
	}
	if (x.task) {
		strbuf_str(b, " waits for ");
		say_object(b, x.task);
		say_where(b, x.task);
		return;
	}
	strbuf_str(b, " waits for ");
	say_thread_wait(b, s, x.thread->wait);
	say_thread_place(b, s, x.thread);
}

void say_edge(struct strbuf *b, const struct snapshot *s, struct waiter x, struct waiter by)
{
	const struct holder *h = held_by(x, by);
	bool itself = x.task == by.task && x.thread == by.thread;
	say_waiter(b, x);
	if (h) {
		say_waits(b, s, x);
		strbuf_str(b, ", which ");
		if (itself)
			strbuf_str(b, "it has itself");
		else
			say_waiter(b, by);
		strbuf_str(b, itself ? "" : " has");
		say_taken(b, h);
	} else if (x.thread) {
		say_waits(b, s, x);
		say_toward(b, x, by);
	} else if (by.task) {
		strbuf_str(b, " awaits ");
		say_waiter(b, by);
		say_where(b, x.task);
	} else if (by.thread->loop == x.task->loop) {
		strbuf_str(b, " cannot go on: its loop runs in ");
		say_waiter(b, by);
	} else {
		say_waits(b, s, x);
		strbuf_str(b, x.task->wait && x.task->wait->nthreads ? ", which runs in " : ", of whose workers one is ");
		say_waiter(b, by);
	}
}

static void say_holder(struct strbuf *b, const struct snapshot *s, const struct holder *h)
{
	const struct task *t = h->task ? snapshot_task(s, h->task) : NULL;
	shape_holder(b, s, h);
	if (!t || t->state != TASK_WAITING || !t->wait) {
		say_taken(b, h);
		return;
	}
	strbuf_str(b, ", which waits for ");
	strbuf_str(b, wait_kind_name(t->wait->kind));
	if (t->wait->ntasks == 1) {
		const struct task *on = snapshot_task(s, t->wait->tasks[0]);
		strbuf_char(b, ' ');
		shape_name(b, on ? on->name : NULL, t->wait->tasks[0]);
	}
	say_where(b, t);
}

static void say_several(struct strbuf *b, const struct snapshot *s, const char *lead, const struct holder *v, size_t n)
{
	for (size_t i = 0; i < n && i < HOLDERS_TOLD; i++) {
		strbuf_str(b, i ? "; by " : lead);
		say_holder(b, s, &v[i]);
	}
	if (n > HOLDERS_TOLD)
		strbuf_fmt(b, "; and by %zu more", n - HOLDERS_TOLD);
}

void say_holders(struct strbuf *b, const struct snapshot *s, const struct wait *w)
{
	switch (w->kind) {
	case WAIT_POOL:
	case WAIT_SEMAPHORE:
		say_several(b, s, ". It is held by ", w->holders, w->nholders);
		return;
	case WAIT_QUEUE_GET:
		say_several(b, s, ". An item could be put by ", w->wakers, w->nwakers);
		break;
	case WAIT_QUEUE_PUT:
		say_several(b, s, ". Room could be made by ", w->wakers, w->nwakers);
		break;
	case WAIT_QUEUE_JOIN:
		say_several(b, s, ". task_done() could be called by ", w->wakers, w->nwakers);
		break;
	default:
		return;
	}
	if (w->wakers && !w->nwakers)
		strbuf_str(b, ". No other task is seen to have that queue");
}

void say_ring(struct strbuf *b, const struct snapshot *s, const struct waiter *v, size_t n)
{
	for (size_t i = 0; i < n && i < RING_NAMED; i++) {
		if (i)
			strbuf_str(b, "; ");
		say_edge(b, s, v[i], v[(i + 1) % n]);
	}
	if (n > RING_NAMED) {
		strbuf_str(b, "; and so on through ");
		say_count(b, n);
		strbuf_str(b, " tasks and threads");
	}
}

#include "show/why.h"

#include "query/ring.h"
#include "query/shape.h"
#include "show/json_types.h"
#include "show/wrap.h"

static void json_root(struct json *j, const struct root *r)
{
	json_object(j);
	json_key(j, "kind");
	json_str(j, root_kind_name(r->kind));
	json_key(j, "task");
	json_id(j, r->task);
	json_key(j, "thread");
	json_positive(j, r->thread);
	json_key(j, "tasks");
	json_ids(j, r->tasks, r->ntasks);
	json_key(j, "threads");
	json_array(j);
	for (size_t i = 0; i < r->nthreads; i++)
		json_int(j, r->threads[i]);
	json_array_end(j);
	json_key(j, "waiting");
	json_int(j, (int64_t)(r->alike > 1 && !r->waiting ? r->ntasks : r->waiting));
	json_key(j, "message");
	json_str(j, r->message);
	json_object_end(j);
}

void json_why_roots(struct json *j, const struct why *y)
{
	json_key(j, "roots");
	json_array(j);
	for (size_t i = 0; i < y->nroots; i++)
		json_root(j, &y->roots[i]);
	json_array_end(j);
}

/* The next task on the way from one to its root; a ring is gone round once. */
static uint32_t next_link(const struct why *y, uint32_t at, uint32_t *ring)
{
	const struct waits_for *g = &y->graph;
	uint32_t to = g->toward[at];
	if (g->in_ring[at] && *ring == WAITS_FOR_NONE)
		*ring = at;
	return to == *ring ? WAITS_FOR_NONE : to;
}

static void json_link(struct json *j, const struct why *y, uint32_t at)
{
	const struct waits_for *g = &y->graph;
	uint32_t to = g->toward[at];
	json_object(j);
	const struct task *t = node_task(g, at);
	json_key(j, "task");
	json_id(j, t ? t->id : 0);
	json_key(j, "thread");
	if (t)
		json_null(j);
	else
		json_int(j, node_thread(g, at)->tid);
	json_wait(j, "wait", t ? t->wait : NULL);
	json_thread_wait(j, "thread_wait", t ? NULL : node_thread(g, at)->wait);
	json_key(j, "held_by");
	json_holder(j, to == WAITS_FOR_NONE ? NULL : held_by(waiter_of(g, at), waiter_of(g, to)));
	json_object_end(j);
}

void json_why_chains(struct json *j, const struct why *y, const uint32_t *tasks, size_t n)
{
	json_key(j, "chains");
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		uint32_t ring = WAITS_FOR_NONE, root = y->root_of[tasks[i]];
		json_object(j);
		json_key(j, "task");
		json_id(j, y->graph.s->tasks[tasks[i]].id);
		json_key(j, "links");
		json_array(j);
		for (uint32_t at = tasks[i]; at != WAITS_FOR_NONE; at = next_link(y, at, &ring))
			json_link(j, y, at);
		json_array_end(j);
		json_key(j, "root");
		if (root != WAITS_FOR_NONE)
			json_root(j, &y->roots[root]);
		else
			json_null(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static const char *colour(const struct root *r)
{
	return r->kind == ROOT_DEADLOCK ? "31;1" : r->kind == ROOT_NOBODY ? "33" : NULL;
}

/* Text of the target, made fit for a terminal and wrapped at its width: `lead` before its
 * first line, `hang` before the others, as they are. */
static void drawn(struct out *o, const struct term *t, const char *sgr, const char *lead, const char *text,
		  const char *hang)
{
	struct strbuf escaped = { 0 };
	size_t from = o->b.len;
	strbuf_escaped(&escaped, text);
	strbuf_str(&o->b, lead);
	term_sgr(t, &o->b, sgr, escaped.s ? escaped.s : "");
	wrap_line(&o->b, from, t->width, hang);
	strbuf_char(&o->b, '\n');
	strbuf_free(&escaped);
	out_tick(o);
}

static void line(struct out *o, const struct term *t, const char *sgr, const char *text, unsigned hang)
{
	drawn(o, t, sgr, "", text, hang == 2 ? "  " : "    ");
}

/* "Deadlock: one and two wait for each other, and 3 more tasks for them." */
static void say_deadlock(struct strbuf *b, const struct root *r)
{
	strbuf_str(b, "Deadlock: ");
	if (r->nring == 2) {
		say_waiter(b, r->ring[0]);
		strbuf_str(b, " and ");
		say_waiter(b, r->ring[1]);
	} else {
		strbuf_fmt(b, "%zu %s", r->nring, !r->nthreads ? "tasks" : !r->ntasks ? "threads" : "tasks and threads");
	}
	strbuf_str(b, r->nring == 2 ? " wait for each other" : " wait for each other in a ring");
	if (r->waiting)
		strbuf_fmt(b, ", and %zu %stask%s for them", r->waiting, r->ntasks ? "more " : "", r->waiting == 1 ? "" : "s");
	strbuf_char(b, '.');
}

/* A deadlock as a ring: a line for each that waits for the next, the last for the first. */
static void text_ring(struct out *o, const struct term *t, const struct snapshot *s, const struct root *r)
{
	struct strbuf b = { 0 };
	say_deadlock(&b, r);
	line(o, t, colour(r), b.s ? b.s : "", 2);
	for (size_t i = 0; i < r->nring && i < RING_NAMED; i++) {
		bool last = i + 1 == r->nring;
		strbuf_clear(&b);
		say_edge(&b, s, r->ring[i], r->ring[(i + 1) % r->nring]);
		drawn(o, t, NULL, !i ? " ┌> " : last ? " └─ " : " │  ", b.s ? b.s : "", last ? "      " : " │    ");
	}
	if (r->nring > RING_NAMED) {
		strbuf_clear(&b);
		strbuf_fmt(&b, "and so on through %zu more", r->nring - RING_NAMED);
		drawn(o, t, NULL, " └─ ", b.s ? b.s : "", "      ");
	}
	strbuf_free(&b);
}

static void text_root(struct out *o, const struct term *t, const struct why *y, const struct root *r)
{
	if (r->nring > 1)
		text_ring(o, t, y->graph.s, r);
	else
		line(o, t, colour(r), r->message, 2);
}

void text_why_roots(struct out *o, const struct term *t, const struct why *y)
{
	for (size_t i = 0; i < y->nroots; i++)
		text_root(o, t, y, &y->roots[i]);
	if (!y->nroots)
		strbuf_str(&o->b, "No task waits.\n");
}

/* "waits for Lock 0x…, at f app.py:8" */
static void say_link(struct strbuf *b, const struct snapshot *s, struct waiter x)
{
	const struct frame *f = x.task ? shape_last(&x.task->stack) : NULL;
	if (!x.task) {
		strbuf_str(b, x.thread->wait ? "waits for " : "is");
		if (x.thread->wait)
			say_thread_wait(b, s, x.thread->wait);
		say_thread_place(b, s, x.thread);
		return;
	}
	if (x.task->state == TASK_WAITING) {
		strbuf_str(b, "waits for ");
		if (!shape_wait(b, s, x.task))
			strbuf_str(b, "what cannot be told");
	} else {
		strbuf_fmt(b, "is %s", task_state_name(x.task->state));
	}
	if (f) {
		strbuf_str(b, " at ");
		shape_frame(b, f);
	}
}

/* How the link before leads to this one: "worker-0 has that since app.py:41, and …". */
static void say_step(struct strbuf *b, struct waiter from, struct waiter to)
{
	const struct holder *h = held_by(from, to);
	say_waiter(b, to);
	if (h) {
		strbuf_str(b, " has that");
		say_taken(b, h);
		strbuf_str(b, ", and ");
	} else if (from.task && from.task->wait && from.task->wait->nwakers) {
		strbuf_str(b, ", which has that queue too, ");
	} else if (to.task) {
		strbuf_str(b, ", which that one awaits, ");
	} else if (from.task && to.thread->loop == from.task->loop) {
		strbuf_str(b, ", in which the loop of that one runs, ");
	} else {
		strbuf_str(b, ", which that one needs, ");
	}
}

void text_why_chain(struct out *o, const struct term *t, const struct why *y, uint32_t task)
{
	uint32_t ring = WAITS_FOR_NONE, root = y->root_of[task];
	struct strbuf b = { 0 };
	for (uint32_t at = task, from = task; at != WAITS_FOR_NONE; from = at, at = next_link(y, at, &ring)) {
		struct waiter x = waiter_of(&y->graph, at);
		strbuf_clear(&b);
		if (at == task) {
			say_waiter(&b, x);
			strbuf_char(&b, ' ');
		} else {
			strbuf_str(&b, "  ");
			say_step(&b, waiter_of(&y->graph, from), x);
		}
		say_link(&b, y->graph.s, x);
		line(o, t, NULL, b.s ? b.s : "", 4);
	}
	if (root != WAITS_FOR_NONE && y->roots[root].kind == ROOT_DEADLOCK)
		text_root(o, t, y, &y->roots[root]);
	strbuf_free(&b);
}

void json_keeps(struct json *j, const struct keeps *k)
{
	json_key(j, "keeps");
	json_array(j);
	for (size_t i = 0; i < k->n; i++) {
		json_object(j);
		json_key(j, "kind");
		json_str(j, keep_kind_name(k->v[i].kind));
		json_key(j, "task");
		json_id(j, k->v[i].task);
		json_key(j, "thread");
		json_positive(j, k->v[i].thread);
		json_key(j, "message");
		json_str(j, k->v[i].message);
		json_object_end(j);
	}
	json_array_end(j);
}

void text_keeps(struct out *o, const struct term *t, const struct keeps *k)
{
	for (size_t i = 0; i < k->n; i++)
		line(o, t, k->v[i].kind == KEEP_LOOP ? "1" : NULL, k->v[i].message, 2);
	if (!k->n)
		strbuf_str(&o->b, "Nothing was found that keeps it from ending.\n");
}

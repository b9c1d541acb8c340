/* A trace for Perfetto: TrackEvent packets (protos/perfetto/trace/track_event/track_event.proto
 * of its source), written by hand, for they are few. A task is a track, a step a slice on it;
 * arrows lead from who made, woke or cancelled a task to it; two counters say how many tasks
 * there are and how many are ready. Timestamps are the target's CLOCK_MONOTONIC. */
#include "show/trace_writer.h"

#include <math.h>

#include "query/shape.h"

/* Fields, by message. */
enum { TRACE_PACKET = 1 };
enum { PACKET_TIMESTAMP = 8, PACKET_SEQUENCE = 10, PACKET_EVENT = 11, PACKET_SEQUENCE_FLAGS = 13, PACKET_TRACK = 60 };
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_PARENT = 5, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { EVENT_ANNOTATION = 4, EVENT_TYPE = 9, EVENT_TRACK = 11, EVENT_CATEGORY = 22, EVENT_NAME = 23,
       EVENT_COUNTER = 30, EVENT_FLOW = 47, EVENT_FLOW_END = 48 };
enum { ANNOTATION_INT = 4, ANNOTATION_DOUBLE = 5, ANNOTATION_STRING = 6, ANNOTATION_NAME = 10 };
enum { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_INSTANT = 3, TYPE_COUNTER = 4 };
enum { STATE_CLEARED = 1 };

/* Tracks are numbers of 64 bits: a few fixed ones, and a task's serial above these. */
enum { OF_PROCESS = 1, OF_TASKS = 2, OF_READY = 3, OF_FIRST_TASK = 16 };

/* ---- protobuf ---- */

static void varint(struct strbuf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		strbuf_char(b, (char)(v | 0x80));
	strbuf_char(b, (char)v);
}

static void number(struct strbuf *b, unsigned field, uint64_t v)
{
	varint(b, field << 3);
	varint(b, v);
}

static void fixed(struct strbuf *b, unsigned field, const void *eight_bytes)
{
	varint(b, field << 3 | 1);
	strbuf_add(b, eight_bytes, 8);
}

static void bytes(struct strbuf *b, unsigned field, const char *s, size_t n)
{
	varint(b, field << 3 | 2);
	varint(b, n);
	strbuf_add(b, s, n);
}

/* Strings have to be UTF-8, which texts of a target need not be. */
static void string(struct strbuf *b, unsigned field, const char *s)
{
	struct strbuf t = { 0 };
	strbuf_escaped(&t, s);
	bytes(b, field, t.s ? t.s : "", t.len);
	strbuf_free(&t);
}

/* ---- packets ---- */

static void packet(struct trace_writer *w, unsigned field, const struct strbuf *message, uint64_t at)
{
	struct strbuf *p = &w->line;
	strbuf_clear(p);
	if (at)
		number(p, PACKET_TIMESTAMP, at);
	number(p, PACKET_SEQUENCE, 1);
	if (!w->begun)
		number(p, PACKET_SEQUENCE_FLAGS, STATE_CLEARED);
	w->begun = true;
	bytes(p, field, message->s ? message->s : "", message->len);
	bytes(&w->out->b, TRACE_PACKET, p->s ? p->s : "", p->len);
}

static void track(struct trace_writer *w, uint64_t uuid, uint64_t parent, const char *name)
{
	struct strbuf *m = &w->inner;
	strbuf_clear(m);
	number(m, TRACK_UUID, uuid);
	if (parent)
		number(m, TRACK_PARENT, parent);
	string(m, TRACK_NAME, name);
	if (uuid == OF_TASKS || uuid == OF_READY)
		bytes(m, TRACK_COUNTER, "", 0);
	packet(w, PACKET_TRACK, m, 0);
}

static void name_task(struct trace_writer *w, uint64_t serial, const char *name)
{
	struct strbuf t = { 0 };
	strbuf_fmt(&t, "%s (#%llu)", name ? name : "task", (unsigned long long)serial);
	track(w, OF_FIRST_TASK + serial, OF_PROCESS, t.s ? t.s : "");
	strbuf_free(&t);
}

static uint64_t track_of(struct trace_writer *w, uint64_t serial, const char *name)
{
	if (map_add(&w->tracks, serial, 1))
		name_task(w, serial, name);
	return OF_FIRST_TASK + serial;
}

/* Opens w->event for annotations and the like; put() ends it. */
static struct strbuf *open_event(struct trace_writer *w, unsigned type, uint64_t uuid, const char *name)
{
	struct strbuf *e = &w->event;
	strbuf_clear(e);
	number(e, EVENT_TYPE, type);
	number(e, EVENT_TRACK, uuid);
	if (name) {
		string(e, EVENT_CATEGORY, "asyncio");
		string(e, EVENT_NAME, name);
	}
	return e;
}

static void put(struct trace_writer *w, uint64_t at)
{
	packet(w, PACKET_EVENT, &w->event, at);
}

static struct strbuf *annotation(struct trace_writer *w, const char *name)
{
	strbuf_clear(&w->inner);
	string(&w->inner, ANNOTATION_NAME, name);
	return &w->inner;
}

static void note(struct trace_writer *w, const char *name, const char *value)
{
	if (!value)
		return;
	string(annotation(w, name), ANNOTATION_STRING, value);
	bytes(&w->event, EVENT_ANNOTATION, w->inner.s, w->inner.len);
}

static void note_seconds(struct trace_writer *w, const char *name, double s)
{
	double us = s * 1e6;
	if (isnan(s))
		return;
	fixed(annotation(w, name), ANNOTATION_DOUBLE, &us);
	bytes(&w->event, EVENT_ANNOTATION, w->inner.s, w->inner.len);
}

static void note_place(struct trace_writer *w, const struct stack *st)
{
	struct strbuf t = { 0 };
	const struct frame *f = shape_last(st);
	if (f)
		shape_frame(&t, f);
	note(w, "place", t.s);
	strbuf_free(&t);
}

static void note_ref(struct trace_writer *w, const char *name, const struct task_ref *r)
{
	struct strbuf t = { 0 };
	if (r->serial > 0)
		strbuf_fmt(&t, "%s (#%lld)", r->name ? r->name : "task", (long long)r->serial);
	note(w, name, t.s);
	strbuf_free(&t);
}

/* ---- events ---- */

/* An instant on the track of the task that did it, from which an arrow leads; its number. */
static uint64_t arrow_from(struct trace_writer *w, const struct trace_event *e, const char *did)
{
	struct strbuf t = { 0 };
	if (e->by_task.serial <= 0 || e->by != BY_TASK)
		return 0;
	uint64_t flow = ++w->flows, uuid = track_of(w, (uint64_t)e->by_task.serial, e->by_task.name);
	strbuf_fmt(&t, "%s %s", did, e->task->name ? e->task->name : "a task");
	fixed(open_event(w, TYPE_INSTANT, uuid, t.s ? t.s : did), EVENT_FLOW, &flow);
	put(w, e->ns);
	strbuf_free(&t);
	return flow;
}

static void arrow_to(struct trace_writer *w, uint64_t flow)
{
	if (flow)
		fixed(&w->event, EVENT_FLOW_END, &flow);
}

static void created(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	uint64_t flow = arrow_from(w, e, "creates");
	open_event(w, TYPE_INSTANT, uuid, "created");
	arrow_to(w, flow);
	note(w, "coroutine", e->task->coro);
	note_ref(w, "by", &e->by_task);
	note_place(w, &e->stack);
	put(w, e->ns);
}

static void named(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	(void)uuid;
	name_task(w, e->task->serial, e->task->name);
}

static void ready(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	(void)uuid;
	/* The end of a task makes others ready from inside that task. */
	struct trace_event by = *e;
	by.by = e->by == BY_END ? BY_TASK : e->by;
	uint64_t flow = arrow_from(w, &by, "wakes");
	if (flow)
		map_set(&w->arrows, e->task->serial, flow);
}

static void begun(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	uint64_t flow = 0;
	open_event(w, TYPE_BEGIN, uuid, "step");
	if (map_get(&w->arrows, e->task->serial, &flow) && flow) {
		arrow_to(w, flow);
		map_set(&w->arrows, e->task->serial, 0);
	}
	note_seconds(w, "delay_us", e->took);
	put(w, e->ns);
}

static void suspended(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	if (isnan(e->took))
		return; /* its beginning was not seen */
	open_event(w, TYPE_END, uuid, NULL);
	note(w, "on", trace_on_name(e->on));
	note_ref(w, "until", &e->on_task);
	note_place(w, &e->stack);
	put(w, e->ns);
}

static void cancel(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	uint64_t flow = arrow_from(w, e, "cancels");
	open_event(w, TYPE_INSTANT, uuid, "cancel requested");
	arrow_to(w, flow);
	note(w, "origin", trace_by_name(e->by));
	note_ref(w, "by", &e->by_task);
	note(w, "message", e->message);
	note_place(w, &e->stack);
	put(w, e->ns);
}

static void ended(struct trace_writer *w, const struct trace_event *e, uint64_t uuid)
{
	if (!isnan(e->took)) {
		open_event(w, TYPE_END, uuid, NULL);
		put(w, e->ns);
	}
	open_event(w, TYPE_INSTANT, uuid, task_state_name(e->outcome));
	note(w, "exception", e->type);
	note(w, "message", e->message);
	note_seconds(w, "lifetime_us", e->lifetime);
	put(w, e->ns);
}

static void count(struct trace_writer *w, uint64_t uuid, size_t *was, size_t is, uint64_t at)
{
	if (*was == is)
		return;
	*was = is;
	number(open_event(w, TYPE_COUNTER, uuid, NULL), EVENT_COUNTER, is);
	put(w, at);
}

static void event(struct trace_writer *w, const struct trace_event *e)
{
	static void (*const of[TRACE_KINDS])(struct trace_writer *, const struct trace_event *, uint64_t) = {
		[TRACE_CREATED] = created, [TRACE_NAMED] = named, [TRACE_READY] = ready, [TRACE_BEGUN] = begun,
		[TRACE_SUSPENDED] = suspended, [TRACE_CANCEL] = cancel, [TRACE_ENDED] = ended,
	};
	if (e->task && of[e->kind])
		of[e->kind](w, e, track_of(w, e->task->serial, e->task->name));
	if (e->kind == TRACE_LOST) {
		open_event(w, TYPE_INSTANT, OF_PROCESS, "events lost");
		strbuf_clear(&w->inner);
		number(annotation(w, "count"), ANNOTATION_INT, e->lost);
		bytes(&w->event, EVENT_ANNOTATION, w->inner.s, w->inner.len);
		put(w, e->ns);
	}
	struct trace_counts now = trace_counts(w->trace);
	count(w, OF_TASKS, &w->counts.tasks, now.tasks, e->ns);
	count(w, OF_READY, &w->counts.ready, now.ready, e->ns);
}

static void begin(struct trace_writer *w)
{
	struct strbuf process = { 0 }, *m = &w->inner;
	number(&process, PROCESS_PID, (uint64_t)w->s->pid);
	string(&process, PROCESS_NAME, w->s->exe ? w->s->exe : "python");
	strbuf_clear(m);
	number(m, TRACK_UUID, OF_PROCESS);
	bytes(m, TRACK_PROCESS, process.s ? process.s : "", process.len);
	packet(w, PACKET_TRACK, m, 0);
	strbuf_free(&process);
	track(w, OF_TASKS, OF_PROCESS, "tasks");
	track(w, OF_READY, OF_PROCESS, "ready");
	w->counts = (struct trace_counts){ SIZE_MAX, SIZE_MAX };
}

static void end(struct trace_writer *w, const struct trace_sum *sum)
{
	(void)w, (void)sum;
}

const struct trace_format trace_perfetto = {
	.name = "perfetto", .binary = true, .begin = begin, .event = event, .end = end,
};

void trace_writer_free(struct trace_writer *w)
{
	strbuf_free(&w->line);
	strbuf_free(&w->inner);
	strbuf_free(&w->event);
	map_free(&w->tracks);
	map_free(&w->arrows);
}

/* A trace as ndjson: a line for the start, for each event, for the end. */
#include "show/trace_writer.h"

#include <math.h>

#include "show/json_types.h"
#include "show/trace_summary.h"

static void kstr(struct json *j, const char *key, const char *v)
{
	json_key(j, key);
	json_str(j, v);
}

static void kint(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_int(j, v);
}

static void kdouble(struct json *j, const char *key, double v)
{
	json_key(j, key);
	json_double(j, v);
}

static void kref(struct json *j, const char *key, const struct task_ref *r)
{
	json_key(j, key);
	json_ref(j, r && r->serial > 0 ? r : NULL);
}

static void kstack(struct json *j, const struct stack *st)
{
	json_key(j, "stack");
	json_stack(j, st);
}

static void kby(struct json *j, const struct trace_event *e)
{
	kstr(j, "origin", trace_by_name(e->by));
	kref(j, "by", &e->by_task);
}

static void created(struct json *j, const struct trace_event *e)
{
	kref(j, "by", &e->by_task);
	json_key(j, "eager");
	json_bool(j, e->eager);
	json_key(j, "loop");
	json_id(j, e->task->loop);
	kstack(j, &e->stack);
}

static void ready(struct json *j, const struct trace_event *e)
{
	kby(j, e);
	kstr(j, "how", e->how);
}

static void begun(struct json *j, const struct trace_event *e)
{
	kdouble(j, "delay", e->took);
}

static void suspended(struct json *j, const struct trace_event *e)
{
	kdouble(j, "step", e->took);
	kstr(j, "on", trace_on_name(e->on));
	json_key(j, "on_id");
	json_id(j, e->on_id);
	kref(j, "on_task", &e->on_task);
	kstack(j, &e->stack);
}

static void cancel(struct json *j, const struct trace_event *e)
{
	kby(j, e);
	json_key(j, "signal");
	if (e->signal)
		json_int(j, e->signal);
	else
		json_null(j);
	kstr(j, "message", e->message);
	kstack(j, &e->stack);
}

static void ended(struct json *j, const struct trace_event *e)
{
	kstr(j, "outcome", task_state_name(e->outcome));
	kdouble(j, "step", e->took);
	kdouble(j, "lifetime", e->lifetime);
	json_key(j, "exception");
	if (!e->type) {
		json_null(j);
		return;
	}
	json_object(j);
	kstr(j, "type", e->type);
	kstr(j, "message", e->message);
	json_object_end(j);
}

static void lost(struct json *j, const struct trace_event *e)
{
	kint(j, "count", (int64_t)e->lost);
}

static void head(struct json *j, const struct trace_event *e)
{
	kint(j, "serial", (int64_t)e->task->serial);
	json_key(j, "task");
	json_id(j, e->task->id);
	kstr(j, "name", e->task->name);
	kstr(j, "coro", e->task->coro);
	json_key(j, "thread");
	if (e->thread)
		json_int(j, e->thread);
	else
		json_null(j);
}

static void event(struct trace_writer *w, const struct trace_event *e)
{
	static void (*const rest[TRACE_KINDS])(struct json *, const struct trace_event *) = {
		[TRACE_CREATED] = created, [TRACE_READY] = ready, [TRACE_BEGUN] = begun,
		[TRACE_SUSPENDED] = suspended, [TRACE_CANCEL] = cancel, [TRACE_ENDED] = ended, [TRACE_LOST] = lost,
	};
	struct json j = { .out = w->out };
	json_object(&j);
	kstr(&j, "event", trace_kind_name(e->kind));
	json_key(&j, "at");
	json_instant(&j, e->at);
	if (e->task)
		head(&j, e);
	if (rest[e->kind])
		rest[e->kind](&j, e);
	json_object_end(&j);
	json_end(&j);
}

static void begin(struct trace_writer *w)
{
	struct json j = { .out = w->out };
	json_answer(&j);
	kstr(&j, "event", "trace");
	json_key(&j, "at");
	json_instant(&j, w->s->taken_at);
	json_head(&j, w->s);
	kint(&j, "tasks", (int64_t)trace_counts(w->trace).tasks);
	json_object_end(&j);
	json_end(&j);
}

static void end(struct trace_writer *w, const struct trace_sum *sum)
{
	struct json j = { .out = w->out };
	json_object(&j);
	kstr(&j, "event", "end");
	kstr(&j, "ended", sum->ended);
	kint(&j, "events", (int64_t)sum->events);
	kint(&j, "lost", (int64_t)sum->lost);
	if (sum->totals)
		trace_summary_json(&j, sum->totals);
	json_object_end(&j);
	json_end(&j);
}

const struct trace_format trace_json = { .name = "json", .begin = begin, .event = event, .end = end };

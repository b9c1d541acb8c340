#include "show/stalls.h"

#include "show/json_types.h"

static const char *const part_names[HOLD_PARTS] = {
	[PART_PYTHON] = "python", [PART_NATIVE] = "native", [PART_SYSCALL] = "syscall", [PART_GIL] = "gil",
	[PART_GC] = "gc", [PART_STOPPED] = "stopped", [PART_STARVED] = "starved",
};

static void seconds(struct json *j, const char *key, double s)
{
	json_key(j, key);
	json_double(j, s);
}

static void look(struct json *j, const char *key, const struct stall_look *l)
{
	json_key(j, key);
	if (l->snap)
		json_thread_frames(j, l->frames, l->nframes);
	else
		json_null(j);
}

static void begin(struct json *j, const char *event, double at)
{
	json_answer(j);
	json_key(j, "event");
	json_str(j, event);
	json_key(j, "at");
	json_instant(j, at);
}

static void who(struct json *j, const struct stall *s)
{
	const struct task *t = s->first.task;
	json_key(j, "loop");
	json_id(j, s->hold.of.loop);
	json_key(j, "thread");
	json_int(j, s->hold.of.thread);
	json_key(j, "task");
	json_id(j, t ? t->id : 0);
	json_key(j, "serial");
	if (t && t->serial >= 0)
		json_int(j, t->serial);
	else
		json_null(j);
	json_key(j, "name");
	json_str(j, t ? t->name : NULL);
	json_key(j, "coro");
	json_str(j, t ? t->coro : NULL);
}

void json_stall(struct json *j, const struct stall *s, double at)
{
	struct strbuf b = { 0 };
	begin(j, "stall", at);
	seconds(j, "seconds", hold_seconds(&s->hold));
	json_key(j, "ended");
	json_bool(j, s->hold.ended);
	who(j, s);
	json_key(j, "state");
	json_str(j, hold_state_name(hold_state(&s->hold)));
	stall_detail(&b, s);
	json_key(j, "detail");
	json_str(j, b.len ? b.s : NULL);
	strbuf_free(&b);
	/* Without a look in time it is not known where it was. */
	json_key(j, "stack");
	json_thread_frames(j, s->first.frames, s->first.nframes);
	look(j, "later", &s->later);
	json_key(j, "parts");
	json_object(j);
	for (enum hold_part p = 0; p < HOLD_PARTS; p++)
		seconds(j, part_names[p], s->hold.parts[p]);
	json_object_end(j);
	seconds(j, "throttled", s->hold.throttled);
	json_key(j, "major_faults");
	json_int(j, (int64_t)s->hold.major_faults);
	json_object_end(j);
}

void json_stall_sum(struct json *j, const struct stall_sum *sum, double at, double watched, double over, const char *ended_by)
{
	begin(j, "summary", at);
	json_key(j, "ended_by");
	json_str(j, ended_by);
	seconds(j, "watched", watched);
	seconds(j, "over", over);
	json_key(j, "stalls");
	json_int(j, (int64_t)sum->n);
	seconds(j, "held", sum->held);
	seconds(j, "p50", stall_sum_percentile(sum, 50));
	seconds(j, "p90", stall_sum_percentile(sum, 90));
	seconds(j, "p99", stall_sum_percentile(sum, 99));
	seconds(j, "longest", stall_sum_percentile(sum, 100));
	json_key(j, "states");
	json_object(j);
	for (enum hold_state s = 0; s < HOLD_STATES; s++) {
		json_key(j, hold_state_name(s));
		json_int(j, (int64_t)sum->states[s]);
	}
	json_object_end(j);
	json_object_end(j);
}

/* The timers of a loop: until when each future or task waits. A loop's _scheduled is a
 * heap of TimerHandle (Lib/asyncio/events.py); a handle's callback says whose timer it
 * is: a method of a timeout that belongs to a task, or a function that is given the
 * future it completes. */
#include "tasks/walk.h"

#include <string.h>

#define TIMERS_MAX (1 << 22)

/* The handle class's slots, looked up once a class. */
struct handle_slots { uint64_t type; int32_t when, cancelled, callback, args; };

static void earliest(struct walk *w, uint64_t whom, double when)
{
	uint64_t bits, known;
	double old;
	if (!whom)
		return;
	if (map_get(&w->deadlines, whom, &known)) {
		memcpy(&old, &known, sizeof old);
		if (old <= when)
			return;
	}
	memcpy(&bits, &when, sizeof bits);
	if (!map_set(&w->deadlines, whom, bits))
		w->nomem = true;
}

static bool slots_of(struct walk *w, uint64_t handle, struct handle_slots *s)
{
	const struct type_info *t = object_type(&w->r, handle);
	if (!t)
		return false;
	if (t->addr != s->type) {
		s->type = t->addr;
		s->when = slot_offset(&w->r, t, "_when");
		s->cancelled = slot_offset(&w->r, t, "_cancelled");
		s->callback = slot_offset(&w->r, t, "_callback");
		s->args = slot_offset(&w->r, t, "_args");
	}
	return s->when > 0 && s->callback > 0 && s->args > 0;
}

static void timer(struct walk *w, uint64_t handle, struct handle_slots *s)
{
	double when;
	int64_t cancelled = 0;
	if (!slots_of(w, handle, s) || !float_at(&w->r, field_at(&w->r, handle, s->when), &when))
		return;
	if (s->cancelled > 0 && int_at(&w->r, field_at(&w->r, handle, s->cancelled), &cancelled) && cancelled)
		return;
	uint64_t callback = field_at(&w->r, handle, s->callback);
	if (object_kind(&w->r, callback) == KIND_METHOD) {
		/* asyncio.Timeout, async_timeout.Timeout: the task they would cancel;
		 * anyio's CancelScope: its host task. */
		uint64_t self = field_at(&w->r, callback, w->r.l->method_self);
		uint64_t task = attr_get(&w->r, self, "_task");
		earliest(w, is_none(&w->r, task) ? attr_get(&w->r, self, "_host_task") : task, when);
		return;
	}
	uint64_t args = field_at(&w->r, handle, s->args);
	int64_t n = seq_len(&w->r, args);
	for (int64_t i = 0; i < n && i < 2; i++) {
		uint64_t a = seq_item(&w->r, args, i);
		if (is_future(object_kind(&w->r, a)))
			earliest(w, a, when);
	}
}

void walk_timers(struct walk *w, uint64_t scheduled)
{
	struct handle_slots slots = { 0 };
	int64_t n = seq_len(&w->r, scheduled);
	for (int64_t i = 0; i < n && i < TIMERS_MAX && !walk_stop(w); i++)
		timer(w, seq_item(&w->r, scheduled, i), &slots);
}

double walk_deadline(struct walk *w, uint64_t whom)
{
	uint64_t bits;
	double when;
	if (!whom || w->clock_now == 0 || !map_get(&w->deadlines, whom, &bits))
		return __builtin_nan("");
	memcpy(&when, &bits, sizeof when);
	return when - w->clock_now;
}

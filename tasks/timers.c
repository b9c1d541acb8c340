/* The timers of a loop: until when each future or task waits. A loop's _scheduled is a
 * heap of TimerHandle (Lib/asyncio/events.py); a handle's callback says whose timer it
 * is: a method of a timeout that belongs to a task, or a function that is given the
 * future it completes. */
#include "tasks/walk.h"

#include <math.h>
#include <string.h>

#define TIMERS_MAX (1 << 22)
/* Cancel scopes inside one with a deadline: so many at once, and all in all. */
#define SCOPES_MAX 256
#define SCOPES_SEEN 65536

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

static void tasks_of(struct walk *w, uint64_t container, double when)
{
	struct set_iter it;
	uint64_t key;
	int64_t n = seq_len(&w->r, container);
	for (int64_t i = 0; i < n; i++)
		earliest(w, seq_item(&w->r, container, i), when);
	if (n < 0 && set_begin(&w->r, container, &it))
		while (set_next(&w->r, &it, &key))
			earliest(w, key, when);
}

/* anyio's scopes (version 4): a deadline holds for the tasks of the scope and of those inside
 * it that are not shielded; a task is listed in the innermost one. */
static void scopes_timer(struct walk *w, uint64_t outermost, double when)
{
	uint64_t todo[SCOPES_MAX], scope;
	size_t n = 0;
	struct map seen = { 0 };
	struct set_iter it;
	int64_t shield;
	todo[n++] = outermost;
	while (n > 0) {
		uint64_t at = todo[--n];
		tasks_of(w, attr_get(&w->r, at, "_tasks"), when);
		if (!set_begin(&w->r, attr_get(&w->r, at, "_child_scopes"), &it))
			continue;
		while (n < SCOPES_MAX && seen.n < SCOPES_SEEN && set_next(&w->r, &it, &scope)) {
			if (!map_add(&seen, scope, 1))
				continue;
			if (!int_at(&w->r, attr_get(&w->r, scope, "_shield"), &shield) || !shield)
				todo[n++] = scope;
		}
	}
	map_free(&seen);
}

/* A timer that calls a method: of asyncio.Timeout, async_timeout.Timeout (the task they
 * would cancel), anyio's CancelScope (its host task and those started in it),
 * aiohttp's TimeoutHandle (the tasks of the contexts it calls), or of what a task
 * waits on itself. */
static void method_timer(struct walk *w, uint64_t self, double when)
{
	static const char *const owners[] = { "_task", "_host_task", "_parent_task" };
	struct reader *r = &w->r;
	if (attr_get(r, self, "_child_scopes")) {
		scopes_timer(w, self, when);
		earliest(w, self, when);
		return;
	}
	for (size_t i = 0; i < sizeof owners / sizeof *owners; i++)
		if (is_task(object_kind(r, attr_get(r, self, owners[i]))))
			earliest(w, attr_get(r, self, owners[i]), when);
	if (attr_get(r, self, "_host_task"))
		tasks_of(w, attr_get(r, self, "_tasks"), when);
	uint64_t callbacks = attr_get(r, self, "_callbacks");
	int64_t n = seq_len(r, callbacks);
	for (int64_t i = 0; i < n; i++) {
		uint64_t cb = seq_item(r, seq_item(r, callbacks, i), 0);
		if (object_kind(r, cb) == KIND_METHOD)
			tasks_of(w, attr_get(r, field_at(r, cb, r->l->method_self), "_tasks"), when);
	}
	earliest(w, self, when);
}

static void timer_calls(struct walk *w, struct loop *l, double when, uint64_t callback, uint64_t args)
{
	double late = w->clock_now - when;
	if (w->clock_now > 0 && late > 0) {
		l->noverdue++;
		if (isnan(l->overdue) || late > l->overdue)
			l->overdue = late;
	}
	enum type_kind kind = object_kind(&w->r, callback);
	if (kind == KIND_METHOD)
		method_timer(w, field_at(&w->r, callback, w->r.l->method_self), when);
	/* as_completed() up to 3.12: a function inside it, around its queue. */
	if (kind == KIND_FUNCTION && str_is(&w->r, field_at(&w->r, callback, w->r.l->function_name), "_on_timeout"))
		earliest(w, closure_get(w, callback, "done"), when);
	int64_t n = seq_len(&w->r, args);
	for (int64_t i = 0; i < n && i < 2; i++) {
		uint64_t a = seq_item(&w->r, args, i);
		if (is_future(object_kind(&w->r, a)))
			earliest(w, a, when);
	}
}

/* A time given to call_at() is kept as it is: aiohttp gives whole seconds. */
static bool time_at(struct walk *w, uint64_t obj, double *when)
{
	int64_t n;
	if (float_at(&w->r, obj, when))
		return true;
	if (!int_at(&w->r, obj, &n))
		return false;
	*when = (double)n;
	return true;
}

static void timer(struct walk *w, struct loop *l, uint64_t handle, struct handle_slots *s)
{
	double when;
	int64_t cancelled = 0;
	if (!slots_of(w, handle, s) || !time_at(w, field_at(&w->r, handle, s->when), &when))
		return;
	if (s->cancelled > 0 && int_at(&w->r, field_at(&w->r, handle, s->cancelled), &cancelled) && cancelled)
		return;
	timer_calls(w, l, when, field_at(&w->r, handle, s->callback), field_at(&w->r, handle, s->args));
}

void walk_timers(struct walk *w, struct loop *l, uint64_t scheduled)
{
	struct handle_slots slots = { 0 };
	int64_t n = seq_len(&w->r, scheduled);
	if (n < 0)
		uvloop_timers(w, l, timer_calls);
	w->cut_lists += n > TIMERS_MAX;
	for (int64_t i = 0; i < n && i < TIMERS_MAX && !walk_stop(w); i++)
		timer(w, l, seq_item(&w->r, scheduled, i), &slots);
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

/* What asked a task to cancel, told by the innermost frames of the stack it asked from:
 * the library functions that do it are few, and each means one thing. */
#include "tasks/history.h"

#include <string.h>

struct asker { const char *file, *function; enum cancel_origin origin; bool scope; };

/* File names end so; functions are the last part of the qualified name. */
static const struct asker askers[] = {
	{ "asyncio/timeouts.py", "_on_timeout", CANCEL_TIMEOUT, false },
	{ "async_timeout/__init__.py", "_on_timeout", CANCEL_TIMEOUT, false },
	{ "aiohttp/helpers.py", "timeout", CANCEL_TIMEOUT, false },
	{ "asyncio/tasks.py", "_cancel_and_wait", CANCEL_TIMEOUT, false },
	{ "asyncio/taskgroups.py", "_abort", CANCEL_TASKGROUP, false },
	{ "asyncio/taskgroups.py", "_on_task_done", CANCEL_TASKGROUP, false },
	{ "asyncio/taskgroups.py", "_aexit", CANCEL_TASKGROUP, false },
	{ "asyncio/runners.py", "_on_sigint", CANCEL_SIGNAL, false },
	{ "asyncio/runners.py", "_cancel_all_tasks", CANCEL_SHUTDOWN, false },
	{ "uvicorn/server.py", "shutdown", CANCEL_SHUTDOWN, false },
	{ "aiohttp/web.py", "_cancel_tasks", CANCEL_SHUTDOWN, false },
	{ "anyio/_backends/_asyncio.py", "_timeout", CANCEL_TIMEOUT, true },
	{ "anyio/_backends/_asyncio.py", "_deliver_cancellation", CANCEL_TASKGROUP, true },
	/* Every group of aiotools, in several files. */
	{ NULL, "_on_task_done", CANCEL_TASKGROUP, false },
	{ NULL, "_abort", CANCEL_TASKGROUP, false },
	{ NULL, "_on_timeout", CANCEL_TIMEOUT, false },
};
#define AIOTOOLS "/aiotools/"
#define REACH 4                  /* frames from the innermost one on that are looked at */

static bool is_asker(const struct frame *f, const struct asker *a)
{
	if (a->file)
		return frame_is(f, a->file, a->function);
	return f->file && strstr(f->file, AIOTOOLS) && frame_is(f, "", a->function);
}

/* A row further up counts more: what a scope's deadline calls is in a frame of its own. */
static const struct asker *find_asker(const struct stack *s, const struct frame **at)
{
	for (size_t a = 0; a < sizeof askers / sizeof *askers; a++) {
		for (size_t i = s->n; i-- > 0 && s->n - i <= REACH; ) {
			*at = s->frames[i];
			if (*at && is_asker(*at, &askers[a]))
				return &askers[a];
		}
	}
	return NULL;
}

static uint64_t code_of_callable(struct reader *r, uint64_t f)
{
	for (int depth = 0; f && depth < 4; depth++) {
		enum type_kind k = object_kind(r, f);
		if (k == KIND_FUNCTION)
			return field_at(r, f, r->l->function_code);
		f = k == KIND_METHOD ? field_at(r, f, r->l->method_function) : 0;
	}
	return 0;
}

/* The task that is cancelled by a call of that callable itself: its bound cancel(), or a
 * partial of that. */
static uint64_t task_of_cancel(struct walk *w, uint64_t f)
{
	struct reader *r = &w->r;
	char name[8] = "";
	for (int depth = 0; depth < 4 && object_kind(r, f) == KIND_PARTIAL; depth++)
		f = field_at(r, f, r->l->object_size);
	if (object_kind(r, f) == KIND_CFUNCTION) {
		uint64_t text = field_at(r, field_at(r, f, r->l->cfunction_def), 0);
		if (!image_read(r->img, text, name, sizeof "cancel") || memcmp(name, "cancel", sizeof "cancel") != 0)
			return 0;
		return field_at(r, f, r->l->cfunction_self);
	}
	if (object_kind(r, f) != KIND_METHOD ||
	    !str_is(r, field_at(r, field_at(r, f, r->l->method_function), r->l->function_name), "cancel"))
		return 0;
	return field_at(r, f, r->l->method_self);
}

static void know_handler(struct history *hi, uint64_t callable, int number)
{
	uint64_t code = code_of_callable(&hi->w->r, callable), task = task_of_cancel(hi->w, callable);
	if ((code && !map_set(&hi->signal_codes, code, (uint64_t)number)) ||
	    (task && !map_set(&hi->signal_tasks, task, (uint64_t)number)))
		hi->w->nomem = true;
}

/* loop._signal_handlers: {number: Handle}; what runs them is a Handle like any other. */
static void know_signals(struct history *hi)
{
	enum { SIGNALS_MAX = 64 };
	struct walk *w = hi->w;
	hi->signals_known = true;
	for (size_t i = 0; i < w->s->nloops; i++) {
		struct dict_iter it;
		struct uvloop_signal found[SIGNALS_MAX];
		uint64_t key, handle, loop = w->s->loops[i].id;
		int64_t number;
		uint64_t dict = attr_get(&w->r, loop, "_signal_handlers");
		for (size_t n = uvloop_signals(w, loop, found, SIGNALS_MAX); n-- > 0;)
			know_handler(hi, found[n].callable, found[n].number);
		if (!dict || !dict_begin(&w->r, dict, &it))
			continue;
		for (int n = 0; n < SIGNALS_MAX && dict_next(&w->r, &it, &key, &handle); n++)
			if (int_at(&w->r, key, &number) && number > 0 && number < SIGNALS_MAX + 1)
				know_handler(hi, attr_get(&w->r, handle, "_callback"), (int)number);
	}
}

/* The signal whose handler a loop's Handle ran, in the agent's stack; 0: no handler. Where
 * no frame is below the Handle's, what it ran is the task's own cancel(). */
static int ran_by_signal(struct history *hi, const struct agent_cancel *c, size_t handle, size_t n)
{
	struct agent_node node = { .parent = c->stack };
	struct agent_task owner;
	uint64_t number = 0;
	if (!hi->signals_known)
		know_signals(hi);
	if (n == handle + 1)
		return history_serial(hi, c->owner, &owner) && map_get(&hi->signal_tasks, owner.task, &number)
			? (int)number : 0;
	/* Nodes go from the innermost frame outwards: the one above `handle`. */
	for (size_t i = n; i > handle + 1; i--)
		if (!node.parent || !history_node(hi, node.parent, &node))
			return 0;
	return map_get(&hi->signal_codes, AGENT_CODE(node.code), &number) ? (int)number : 0;
}

/* The frame that runs a loop's callbacks; n: none. uvloop's have no frame of a loop but the
 * one that started it. */
static size_t runner_of(const struct stack *s)
{
	for (size_t i = s->n; i-- > 0; )
		if (frame_is(s->frames[i], "asyncio/events.py", "_run"))
			return i;
	for (size_t i = s->n; i-- > 0; )
		if (frame_is(s->frames[i], "asyncio/runners.py", "run") ||
		    frame_is(s->frames[i], "asyncio/runners.py", "_run_until_complete"))
			return i;
	return s->n;
}

static enum cancel_origin by_callback(struct history *hi, const struct agent_cancel *c, struct cancel *out)
{
	size_t at = runner_of(&out->stack);
	if (at == out->stack.n)
		return CANCEL_UNKNOWN;
	out->signal = ran_by_signal(hi, c, at, out->stack.n);
	return out->signal ? CANCEL_SIGNAL : CANCEL_CALLBACK;
}

void history_origin(struct history *hi, const struct agent_cancel *c, bool by_was_asked, struct cancel *out)
{
	const struct frame *at;
	if (history_by_signal(c)) {
		out->origin = CANCEL_SIGNAL;
		out->signal = (int)(c->by >> AGENT_SIGNAL_SHIFT & 0xff);
		return;
	}
	const struct asker *a = find_asker(&out->stack, &at);
	/* wait_for() cancels what it waits for on a timeout, and when it is itself cancelled
	 * (before 3.12, by the same function). */
	if (a && by_was_asked && frame_is(at, "asyncio/tasks.py", "_cancel_and_wait"))
		out->origin = CANCEL_TASK;
	else if (a)
		out->origin = a->origin;
	else
		out->origin = history_by_task(c) ? CANCEL_TASK : by_callback(hi, c, out);
	out->scope = a && a->scope;
}

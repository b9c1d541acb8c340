/* What asked a task to cancel, told by the innermost frames of the stack it asked from:
 * the library functions that do it are few, and each means one thing. */
#include "tasks/history.h"

#include <string.h>

struct asker { const char *file, *function; enum cancel_origin origin; };

/* File names end so; functions are the last part of the qualified name. */
static const struct asker askers[] = {
	{ "asyncio/timeouts.py", "_on_timeout", CANCEL_TIMEOUT },
	{ "async_timeout/__init__.py", "_on_timeout", CANCEL_TIMEOUT },
	{ "asyncio/tasks.py", "_cancel_and_wait", CANCEL_TIMEOUT },
	{ "asyncio/taskgroups.py", "_abort", CANCEL_TASKGROUP },
	{ "asyncio/runners.py", "_on_sigint", CANCEL_SIGNAL },
	{ "asyncio/runners.py", "_cancel_all_tasks", CANCEL_SHUTDOWN },
	{ "uvicorn/server.py", "shutdown", CANCEL_SHUTDOWN },
	{ "aiohttp/web.py", "_cancel_tasks", CANCEL_SHUTDOWN },
	{ "anyio/_backends/_asyncio.py", "_deliver_cancellation", CANCEL_TASKGROUP },
};
/* Every group of aiotools, under several names. */
#define AIOTOOLS "/aiotools/"

static bool known_asker(const struct frame *f, enum cancel_origin *o)
{
	for (size_t i = 0; i < sizeof askers / sizeof *askers; i++) {
		if (frame_is(f, askers[i].file, askers[i].function)) {
			*o = askers[i].origin;
			return true;
		}
	}
	if (f->file && strstr(f->file, AIOTOOLS) && f->function && strstr(f->function, "abort")) {
		*o = CANCEL_TASKGROUP;
		return true;
	}
	return false;
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

static void know_handler(struct history *hi, uint64_t callable)
{
	uint64_t code = code_of_callable(&hi->w->r, callable);
	if (code && !map_set(&hi->signal_codes, code, 1))
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
		uint64_t key, handle, callables[SIGNALS_MAX], loop = w->s->loops[i].id;
		uint64_t dict = attr_get(&w->r, loop, "_signal_handlers");
		size_t found = uvloop_signals(w, loop, callables, SIGNALS_MAX);
		while (found-- > 0)
			know_handler(hi, callables[found]);
		if (!dict || !dict_begin(&w->r, dict, &it))
			continue;
		for (int n = 0; n < SIGNALS_MAX && dict_next(&w->r, &it, &key, &handle); n++)
			know_handler(hi, attr_get(&w->r, handle, "_callback"));
	}
}

/* The code of the frame that a loop's Handle ran, in the agent's stack. */
static bool ran_by_signal(struct history *hi, const struct agent_cancel *c, size_t handle, size_t n)
{
	if (!hi->signals_known)
		know_signals(hi);
	struct agent_node node = { .parent = c->stack };
	/* Nodes go from the innermost frame outwards: the one above `handle`. */
	for (size_t i = n; i > handle + 1; i--)
		if (!node.parent || !history_node(hi, node.parent, &node))
			return false;
	return map_get(&hi->signal_codes, AGENT_CODE(node.code), NULL);
}

enum cancel_origin history_origin(struct history *hi, const struct agent_cancel *c,
				  const struct stack *s, bool by_was_asked)
{
	enum cancel_origin o;
	if (c->by == AGENT_BY_SIGNAL)
		return CANCEL_SIGNAL;
	for (size_t i = s->n; i-- > 0 && s->n - i <= 3; ) {
		if (!s->frames[i] || !known_asker(s->frames[i], &o))
			continue;
		/* wait_for() cancels what it waits for on a timeout, and when it is
		 * itself cancelled (before 3.12, by the same function). */
		if (o == CANCEL_TIMEOUT && by_was_asked &&
		    frame_is(s->frames[i], "asyncio/tasks.py", "_cancel_and_wait"))
			return CANCEL_TASK;
		return o;
	}
	if (history_by_task(c))
		return CANCEL_TASK;
	for (size_t i = s->n; i-- > 0; ) {
		if (frame_is(s->frames[i], "asyncio/events.py", "_run"))
			return ran_by_signal(hi, c, i, s->n) ? CANCEL_SIGNAL : CANCEL_CALLBACK;
	}
	/* uvloop's callbacks have no frame of a loop but the one that started it. */
	for (size_t i = s->n; i-- > 0; ) {
		if (frame_is(s->frames[i], "asyncio/runners.py", "run") ||
		    frame_is(s->frames[i], "asyncio/runners.py", "_run_until_complete"))
			return ran_by_signal(hi, c, i, s->n) ? CANCEL_SIGNAL : CANCEL_CALLBACK;
	}
	return CANCEL_UNKNOWN;
}

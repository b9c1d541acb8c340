/* 3.8 alone: a task of _asyncio that was cancelled does not keep the exception that ended
 * it. Where it stood when one was thrown in is remembered for as long as it awaits in what
 * handles that very exception, and said of its end with a mark (AGENT_STOOD). */
#include "agent/hooks.h"

#include <string.h>

/* What a generator awaits (Objects/genobject.c, _PyGen_yf). */
static PyObject *awaits(const void *gen)
{
	const struct py_layout *l = &agent_layout;
	PyObject *frame = field(gen, l->gen_frame);
	PyObject **top = frame ? field(frame, l->frame_stacktop) : NULL;
	int32_t lasti;
	if (!top)
		return NULL;
	memcpy(&lasti, (const char *)frame + l->frame_lasti, sizeof lasti);
	const uint8_t *code = (const uint8_t *)field(field(frame, l->frame_code), l->code_code) + l->bytes_data;
	if (lasti < 0 || code[lasti + 2] != l->op_yield_from)
		return NULL;
	PyObject *awaited = top[-1];
	bool own = awaited && (uintptr_t)field(type_of(awaited), l->type_flags) & TYPE_HEAP;
	const char *name = awaited && !own ? field(type_of(awaited), l->type_name) : NULL;
	return name && strcmp(name, "coroutine_wrapper") == 0 ? field(awaited, l->coro_wrapper_coro) : awaited;
}

static bool is_cancelled_error(PyObject *exc)
{
	PyObject *t = exc ? type_of(exc) : NULL;
	for (int depth = 0; t && depth < 32; depth++, t = field(t, agent_layout.type_base)) {
		const char *name = field(t, agent_layout.type_name);
		if (name && strcmp(name, "CancelledError") == 0)
			return true;
	}
	return false;
}

void stood_look(struct stood *s, PyObject *coro, PyObject *exc)
{
	const struct py_layout *l = &agent_layout;
	struct raw_frame frames[STACK_DEPTH];
	unsigned n = 0;
	s->stack.n = 0;
	s->stack.cut = false;
	if (!is_cancelled_error(exc))
		return;
	s->exc = exc;
	PyObject *g = coro;
	for (; n < STACK_DEPTH && g && is_generator(g) && field(g, l->gen_frame); g = awaits(g)) {
		PyObject *frame = field(g, l->gen_frame);
		int32_t lasti;
		memcpy(&lasti, (const char *)frame + l->frame_lasti, sizeof lasti);
		frames[n++] = (struct raw_frame){ (uint64_t)(uintptr_t)field(frame, l->frame_code), lasti };
	}
	/* The innermost ones would be those that count. */
	if (n == STACK_DEPTH)
		return;
	while (s->stack.n < n) {
		s->stack.frames[s->stack.n] = frames[n - 1 - s->stack.n];
		s->stack.n++;
	}
}

static uint32_t mark_of(const void *exc)
{
	return (uint32_t)((uintptr_t)exc >> 4);
}

void stood_keep(struct agent_task *t, const struct stood *s)
{
	stood_forget(t);
	t->end_stack = stack_keep(&s->stack);
	t->handled = mark_of(s->exc);
}

void stood_forget(struct agent_task *t)
{
	stack_drop(t->end_stack);
	t->end_stack = 0;
}

void stood_stepped(struct agent_task *t, const void *coro)
{
	/* PyGenObject.gi_exc_state.exc_value */
	const int32_t handled = agent_layout.gen_qualname + 16;
	const void *g = coro;
	for (unsigned n = 0; n < STACK_DEPTH && g && is_generator(g); n++, g = awaits(g)) {
		PyObject *exc = field(g, handled);
		if (exc && mark_of(exc) == t->handled && is_cancelled_error(exc))
			return;
	}
	stood_forget(t);
}

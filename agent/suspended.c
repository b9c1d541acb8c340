/* Where a coroutine stands that has just been suspended: its frame, and those of the
 * coroutines that it awaits. They were in use a moment ago, so to look at them is cheap. */
#include "agent/hooks.h"

#include <string.h>

extern __attribute__((weak)) char PyAsyncGen_Type;

#define DEPTH 128                /* how far it is followed */

/* Where a frame is, and whether it is suspended in an await. */
struct place { uint64_t code; int64_t lasti; bool awaits; PyObject *const *top; };

/* f_stacktop up to 3.9, f_stackdepth in 3.10. */
static PyObject *const *top_of_object(const void *frame)
{
	const struct py_layout *l = &agent_layout;
	int32_t depth;
	if (l->frame_stacktop >= 0)
		return field(frame, l->frame_stacktop);
	memcpy(&depth, (const char *)frame + l->frame_stackdepth, sizeof depth);
	PyObject *const *stack = field(frame, l->frame_valuestack);
	return stack && depth > 0 ? stack + depth : NULL;
}

static bool place_of_object(const void *gen, struct place *p)
{
	const struct py_layout *l = &agent_layout;
	const void *frame = field(gen, l->gen_frame);
	int32_t lasti;
	if (!frame)
		return false;
	memcpy(&lasti, (const char *)frame + l->frame_lasti, sizeof lasti);
	p->lasti = l->version.minor >= 10 && lasti > 0 ? lasti * 2 : lasti;
	const void *code = field(frame, l->frame_code);
	p->code = (uint64_t)(uintptr_t)code;
	p->top = top_of_object(frame);
	const uint8_t *ops = (const uint8_t *)field(code, l->code_code) + l->bytes_data;
	p->awaits = p->top && p->lasti >= 0 && ops[p->lasti + 2] == l->op_yield_from;
	return true;
}

static PyObject *const *top_of_iframe(const void *f)
{
	const struct py_layout *l = &agent_layout;
	int32_t n;
	if (l->iframe_stackpointer >= 0)
		return field(f, l->iframe_stackpointer);
	memcpy(&n, (const char *)f + l->iframe_stacktop, sizeof n);
	return n > 0 ? (PyObject *const *)((const char *)f + l->iframe_localsplus) + n : NULL;
}

/* In 3.11 and 3.12 only the instruction that comes next tells an await from a yield. */
static bool awaits(const void *gen, const uint8_t *at)
{
	const struct py_layout *l = &agent_layout;
	int8_t state = *((const int8_t *)gen + l->gen_state);
	if (l->op_resume < 0)
		return state == l->genstate_suspended_yf;
	return state == l->genstate_suspended && (at[2] == l->op_resume || at[2] == l->op_resume_alt) && at[3] >= 2;
}

static bool place_of_iframe(const void *gen, struct place *p)
{
	const struct py_layout *l = &agent_layout;
	const void *f = (const char *)gen + l->gen_iframe;
	struct raw_stack s;
	int8_t state = *((const int8_t *)gen + l->gen_state);
	/* What has ended has no frame any more, and what runs is not suspended. */
	if (state != l->genstate_suspended && state != l->genstate_suspended_yf)
		return false;
	s.n = 0;
	if (!stack_push_iframe(&s, f) || s.n == 0)
		return false;
	p->code = s.frames[0].code;
	p->lasti = s.frames[0].lasti;
	p->top = top_of_iframe(f);
	p->awaits = p->top && awaits(gen, field(f, l->iframe_instr));
	return true;
}

static bool has_frame(const void *obj)
{
	return is_generator(obj) || type_of(obj) == (PyObject *)&PyAsyncGen_Type;
}

/* What stands between two coroutines is passed over. */
static const void *behind(const void *obj)
{
	const struct py_layout *l = &agent_layout;
	const void *type = type_of(obj);
	/* A program's own class may have such a name too; these are no heap types. */
	bool own = (uintptr_t)field(type, l->type_flags) & TYPE_HEAP;
	const char *name = own ? NULL : field(type, l->type_name);
	if (name && strcmp(name, "coroutine_wrapper") == 0)
		return field(obj, l->coro_wrapper_coro);
	if (name && strcmp(name, "async_generator_asend") == 0)
		return field(obj, l->asend_gen);
	return NULL;
}

static const void *next_of(const struct place *p)
{
	const struct py_layout *l = &agent_layout;
	uintptr_t v = (uintptr_t)p->top[-(l->yf_depth > 0 ? l->yf_depth : 1)];
	if (l->stackref_mask > 0)
		v &= ~(uintptr_t)l->stackref_mask;
	return (const void *)v;
}

static uint64_t packed(const struct place *p)
{
	uint64_t half = p->lasti >= 0 && p->lasti / 2 < AGENT_FRAME_LASTI_NONE ? (uint64_t)p->lasti / 2
									     : AGENT_FRAME_LASTI_NONE;
	return AGENT_CODE(p->code) | half << AGENT_FRAME_LASTI_SHIFT;
}

unsigned suspended_frames(const void *coro, uint64_t *frames, unsigned max)
{
	uint64_t outermost_first[DEPTH];
	unsigned n = 0, i = 0;
	for (; i < DEPTH && coro; i++) {
		struct place p;
		if (!has_frame(coro)) {
			coro = behind(coro);
			continue;
		}
		if (!(agent_layout.gen_iframe < 0 ? place_of_object(coro, &p) : place_of_iframe(coro, &p)))
			break;
		outermost_first[n++] = packed(&p);
		coro = p.awaits ? next_of(&p) : NULL;
	}
	/* The innermost ones are what counts, and too deep to be got at. */
	if (i == DEPTH && coro)
		return 0;
	unsigned kept = n < max ? n : max;
	for (i = 0; i < kept; i++)
		frames[i] = outermost_first[n - 1 - i];
	return kept;
}

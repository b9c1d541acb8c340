/* What a task's coroutine runs. A framework or a tracing library wraps what it is given in a
 * coroutine of its own, so that all tasks have the same one: what tells them apart is further
 * in. A frame is taken for such a wrapper when it awaits a coroutine that was handed to it as
 * an argument or by its closure, or one of a function that was. */
#include "objects/locals.h"
#include "tasks/walk.h"

#include <string.h>

/* So many wrappers around each other are seen through. */
#define WRAPPERS_MAX 8
#define CALL_DEPTH 6

/* Wrappers that have it from an attribute. */
static const struct { const char *file, *function; } wrappers[] = {
	{ "anyio/_core/_tasks.py", "_run_coro" },
	{ "anyio/_backends/_asyncio.py", "_run_wrapped_task" },
};

static bool known_wrapper(const struct code *c)
{
	const struct frame f = { .function = c->name, .file = c->file };
	for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
		if (frame_is(&f, wrappers[i].file, wrappers[i].function))
			return true;
	return false;
}

/* Is it a function of that code, or a method or partial of one? */
static bool function_of(struct walk *w, uint64_t fn, uint64_t code)
{
	const struct py_layout *l = w->r.l;
	for (int depth = 0; depth < CALL_DEPTH && fn; depth++) {
		switch (object_kind(&w->r, fn)) {
		case KIND_FUNCTION:
			return field_at(&w->r, fn, l->function_code) == code;
		case KIND_METHOD:
			fn = field_at(&w->r, fn, l->method_function);
			break;
		case KIND_PARTIAL: /* functools.partial: fn after the header */
			fn = field_at(&w->r, fn, l->object_size);
			break;
		default:
			return false;
		}
	}
	return false;
}

/* The number of slots that arguments take: *args and **kwargs come after the named ones. */
static int64_t arguments_of(struct walk *w, const struct pyframe *f)
{
	enum { VARARGS = 4, VARKEYWORDS = 8 };
	const struct py_layout *l = w->r.l;
	int32_t named = 0, keyword = 0;
	image_i32(w->r.img, f->code_addr + (uint64_t)l->code_argcount, &named);
	image_i32(w->r.img, f->code_addr + (uint64_t)l->code_kwonlyargcount, &keyword);
	return (int64_t)named + keyword + ((f->code->flags & VARARGS) != 0) + ((f->code->flags & VARKEYWORDS) != 0);
}

/* CO_FAST_FREE of 3.11 and later (Include/internal/pycore_code.h); before, the last slots. */
static bool of_closure(struct walk *w, const struct locals_iter *it, int64_t slot)
{
	enum { CO_FAST_FREE = 0x80 };
	size_t n = 0;
	if (w->r.l->code_localspluskinds < 0)
		return slot >= it->n[0] + it->n[1];
	const uint8_t *kinds = bytes_at(&w->r, it->kinds, &n);
	return kinds && (uint64_t)slot < n && kinds[slot] & CO_FAST_FREE;
}

static bool was_given(struct walk *w, const struct pyframe *f, const struct pyframe *inner)
{
	struct locals_iter it;
	const char *name;
	uint64_t v;
	if (!locals_begin(&w->r, f, &it))
		return false;
	int64_t args = arguments_of(w, f);
	while (locals_next(&w->r, &it, &name, &v)) {
		if (it.i - 1 >= args && !of_closure(w, &it, it.i - 1))
			continue;
		if (walk_root_frame(w, v) == inner->addr || function_of(w, v, inner->code_addr))
			return true;
	}
	return false;
}

/* Asked once for a pair of functions. */
static bool wraps(struct walk *w, const struct pyframe *f, const struct pyframe *inner)
{
	uint64_t known, key = f->code_addr ^ (inner->code_addr << 21 | inner->code_addr >> 43);
	if (!f->code || !inner->code || !f->code_addr || !inner->code_addr)
		return false;
	if (map_get(&w->wrappers, key, &known))
		return known;
	bool is = known_wrapper(f->code) || was_given(w, f, inner);
	if (!map_set(&w->wrappers, key, is))
		w->nomem = true;
	return is;
}

const char *walk_body(struct walk *w)
{
	size_t i = 0;
	while (i + 1 < w->chain.n && i < WRAPPERS_MAX && wraps(w, &w->chain.v[i], &w->chain.v[i + 1]))
		i++;
	return i && w->chain.v[i].code ? w->chain.v[i].code->qualname : NULL;
}

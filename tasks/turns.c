#include "tasks/turns.h"

#include <stdlib.h>
#include <string.h>

#include "objects/locals.h"
#include "tasks/walk.h"
#include "unwind/pystack.h"

/* struct _gil_runtime_state: an interval, two words, a condition, a mutex, the same again
 * (Include/internal/pycore_gil.h): 48 bytes and 40 of glibc's each. */
#define GIL_BYTES 256
/* Up to 3.11 it is part of _PyRuntime, among its first members. */
#define RUNTIME_BYTES 16384

struct found VEC(struct turning);

static struct turning *known(struct found *out, uint64_t loop, const struct pythread *t)
{
	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].loop == loop && out->v[i].tstate == t->tstate)
			return &out->v[i];
	return NULL;
}

static struct turning *add(struct walk *w, struct found *out, uint64_t loop, const struct pythread *t)
{
	const struct type_info *type = object_type(&w->r, loop);
	const struct py_layout *l = w->r.l;
	struct turning *x = type ? vec_add(out) : NULL;
	if (!x)
		return NULL;
	const char *name = type_full_name(&w->r, type);
	*x = (struct turning){ .loop = loop, .tstate = t->tstate, .interpreter = t->interp_id, .end_time = -1, .step = -1 };
	strncpy(x->type, name ? name : "?", sizeof x->type - 1);
	x->thread = t->thread ? t->thread->tid : 0;
	x->uv = uvloop_handle(w, loop);
	if (l->gc_collecting >= 0 && l->interp_gc >= 0)
		x->collecting = t->interp + (uint64_t)l->interp_gc + (uint64_t)l->gc_collecting;
	else if (l->gc_collecting >= 0 && l->runtime_gc >= 0)
		x->collecting = w->r.py->runtime + (uint64_t)l->runtime_gc + (uint64_t)l->gc_collecting;
	if (l->free_threaded)
		return x;
	x->gil = l->interp_gil >= 0 ? field_at(&w->r, t->interp, l->interp_gil) : w->r.py->runtime;
	x->gil_size = l->interp_gil >= 0 ? GIL_BYTES : RUNTIME_BYTES;
	return x;
}

/* The frames of a thread, innermost first: the first _run_once() of a loop is the one that
 * goes round. */
static void look_at_thread(struct walk *w, struct pythread *t, struct found *out)
{
	struct pystack ps;
	if (!walk_thread_frames(w, t, &ps))
		return;
	for (size_t i = 0; i < ps.n; i++) {
		const struct pyframe *f = &ps.frames[i];
		uint64_t loop = walk_runs_loop(w, f);
		struct turning *x = loop ? known(out, loop, t) : NULL;
		if (!loop || (!x && !(x = add(w, out, loop, t))) || x->code || strcmp(f->code->name, "_run_once") != 0)
			continue;
		x->end_time = local_offset(&w->r, f, "end_time");
		x->step = local_offset(&w->r, f, "i");
		if (x->end_time < 0)
			continue;
		x->code = f->code_addr;
		x->frame = f->addr;
	}
	if (!is_none(&w->r, t->running_loop) && !known(out, t->running_loop, t))
		add(w, out, t->running_loop, t);
}

err_t turns_find(struct python *py, struct turning **out, size_t *n)
{
	struct found found = { 0 };
	struct snapshot s = { .arena = arena_new() };
	struct walk w = { .s = &s, .arena = s.arena, .what = WALK_REHEARSAL, .born = __builtin_nan("") };
	*out = NULL;
	*n = 0;
	err_t e = s.arena ? target_renew(py->target) : ERR_NOMEM;
	if (!e)
		e = reader_init(&w.r, py, s.arena);
	if (!e) {
		walk_interpreters(&w);
		for (size_t i = 0; i < w.threads.n; i++)
			if (w.threads.v[i].thread)
				look_at_thread(&w, &w.threads.v[i], &found);
		*out = found.v;
		*n = found.n;
	}
	walk_free(&w);
	arena_free(s.arena);
	return e;
}

/* The await stack of a task: from its root coroutine down through coroutines,
 * generators, async generators and the objects between them, by what each frame
 * waits for; or, for the task that is being run, from its thread's frames. */
#include "objects/locals.h"
#include "tasks/walk.h"
#include "unwind/pystack.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX (1u << 24)
#define LOCALS_MAX 4096

static void add_locals(struct walk *w, const struct pyframe *pf, struct frame *f)
{
	struct VEC(struct local) locals = { 0 };
	struct locals_iter it;
	struct local x;
	uint64_t v;
	if (!locals_begin(&w->r, pf, &it))
		return;
	while (locals.n < LOCALS_MAX && locals_next(&w->r, &it, &x.name, &v)) {
		const struct type_info *t = object_type(&w->r, v);
		x.type = t ? type_short_name(&w->r, t) : NULL;
		x.value = brief_text(&w->r, v);
		if (!vec_push(&locals, x)) {
			w->nomem = true;
			break;
		}
	}
	f->nlocals = locals.n;
	f->locals = walk_keep(w, locals.v ? locals.v : &x, &f->nlocals, sizeof x);
	vec_free(&locals);
}

const struct frame *walk_frame(struct walk *w, const struct code *c, int64_t lasti)
{
	uint64_t known, key = (uint64_t)(lasti + 2);
	struct map *frames = (struct map *)(uintptr_t)&c->frames;
	if (map_get(frames, key, &known))
		return (const struct frame *)(uintptr_t)known;
	struct frame *f = arena_alloc(w->arena, sizeof *f);
	if (!f) {
		w->nomem = true;
		return NULL;
	}
	f->function = c->qualname;
	f->file = c->file;
	f->owner = code_owner(&w->s->folders, c->file);
	f->first = c->firstlineno;
	f->line = code_line(c, w->r.l, lasti);
	if (!map_set(frames, key, (uint64_t)(uintptr_t)f))
		w->nomem = true;
	return f;
}

/* The frame as the snapshot has it: shared between tasks unless it carries locals. */
static const struct frame *frame_of(struct walk *w, const struct pyframe *pf, int64_t lasti)
{
	const struct frame *shared = walk_frame(w, pf->code, lasti);
	if (!(w->what & SNAPSHOT_LOCALS) || !shared)
		return shared;
	struct frame *own = arena_dup(w->arena, shared, sizeof *shared);
	if (own)
		add_locals(w, pf, own);
	return own;
}

struct frames VEC(const struct frame *);

static void push(struct walk *w, struct frames *fs, const struct frame *f)
{
	if (f && !vec_push(fs, f))
		w->nomem = true;
}

static void chain_push(struct walk *w, const struct pyframe *f)
{
	if (!vec_push(&w->chain, *f))
		w->nomem = true;
}

static struct stack keep(struct walk *w, struct frames *fs, const char *broken)
{
	struct stack s = { .frames = arena_dup(w->arena, fs->v, fs->n * sizeof *fs->v), .n = fs->n,
			   .broken = broken };
	walk_contexts_keep(w, &s);
	vec_free(fs);
	if (!s.frames) {
		w->nomem = true;
		s.n = 0;
	}
	return s;
}

enum gen_state { GEN_CREATED, GEN_SUSPENDED, GEN_AWAITING, GEN_EXECUTING, GEN_DONE, GEN_BAD };

/* What state a generator-like object is in; *frame gets its frame's address. */
static enum gen_state gen_state(struct walk *w, uint64_t gen, uint64_t *frame)
{
	const struct py_layout *l = w->r.l;
	if (l->gen_iframe < 0) {
		struct pyframe f;
		int8_t running = 0;
		*frame = field_at(&w->r, gen, l->gen_frame);
		if (!*frame)
			return GEN_DONE;
		if (l->frame_state >= 0) { /* 3.10: FRAME_EXECUTING 0 (pycore_frame.h) */
			int8_t state;
			if (!image_read(w->r.img, *frame + (uint64_t)l->frame_state, &state, 1))
				return GEN_BAD;
			running = state == 0;
		} else if (l->gen_running >= 0) {
			image_read(w->r.img, gen + (uint64_t)l->gen_running, &running, 1);
		}
		if (running)
			return GEN_EXECUTING;
		if (!frame_read(&w->r, *frame, &f))
			return GEN_BAD;
		return f.lasti < 0 ? GEN_CREATED : frame_in_await(&w->r, &f) ? GEN_AWAITING : GEN_SUSPENDED;
	}
	int8_t state;
	*frame = gen + (uint64_t)l->gen_iframe;
	if (!image_read(w->r.img, gen + (uint64_t)l->gen_state, &state, 1))
		return GEN_BAD;
	if (state == l->genstate_executing)
		return GEN_EXECUTING;
	if (state == l->genstate_created)
		return GEN_CREATED;
	if (l->genstate_yf_locked >= 0 && state == l->genstate_yf_locked)
		return GEN_AWAITING; /* the same, while its awaited object is looked at */
	if (l->op_resume < 0) { /* 3.13 and later: the state tells an await from a yield */
		if (state == l->genstate_suspended_yf)
			return GEN_AWAITING;
		return state == l->genstate_suspended ? GEN_SUSPENDED : GEN_DONE;
	}
	if (state != l->genstate_suspended)
		return GEN_DONE;
	struct pyframe f;
	if (!frame_read(&w->r, *frame, &f))
		return GEN_BAD;
	return frame_in_await(&w->r, &f) ? GEN_AWAITING : GEN_SUSPENDED;
}

/* The object behind one that only passes await on, or 0 when kind is no such. */
static uint64_t behind(struct walk *w, uint64_t obj, enum type_kind kind)
{
	const struct py_layout *l = w->r.l;
	switch (kind) {
	case KIND_CORO_WRAPPER:
		return field_at(&w->r, obj, l->coro_wrapper_coro);
	case KIND_ASEND:
		return field_at(&w->r, obj, l->asend_gen);
	case KIND_ATHROW:
		return field_at(&w->r, obj, l->athrow_gen);
	case KIND_ANEXT: /* anextawaitableobject (Objects/iterobject.c): what it wraps comes first */
		return field_at(&w->r, obj, l->object_size);
	case KIND_FUTUREITER:
		return field_at(&w->r, obj, l->futureiter_future);
	default:
		return 0;
	}
}

/* Awaitables of C, Cython or an iterator class go on in their own way. */
static const char *foreign(struct walk *w, uint64_t obj, enum type_kind kind)
{
	const struct type_info *t = is_future(kind) ? NULL : object_type(&w->r, obj);
	return t ? type_short_name(&w->r, t) : NULL;
}

/* Whether a suspended generator is in the middle of handling a CancelledError: its
 * gi_exc_state follows its qualified name (Include/cpython/genobject.h), and begins with
 * the exception or, up to 3.10, with its type. */
static bool handles_cancel(struct walk *w, uint64_t gen)
{
	const struct py_layout *l = w->r.l;
	uint64_t exc = field_at(&w->r, gen, l->gen_qualname + l->gen_exc_behind);
	const struct type_info *t = is_none(&w->r, exc) ? NULL : object_type(&w->r, exc);
	return t && strcmp(type_short_name(&w->r, t), "CancelledError") == 0;
}

/* Which instruction a coroutine of Cython is at is not kept in a way that can be read: its
 * frame has no line. */
static bool cython_frame(struct walk *w, struct frames *fs, uint64_t obj, struct cython_coroutine *c)
{
	if (!cython_read(w, obj, c))
		return false;
	struct frame *f = arena_alloc(w->arena, sizeof *f);
	if (f)
		*f = (struct frame){ .function = c->qualname, .file = c->code ? c->code->file : NULL };
	else
		w->nomem = true;
	push(w, fs, f);
	/* No slots: an address of 0. */
	chain_push(w, &(struct pyframe){ .code = c->code, .code_addr = c->code ? c->code->addr : 0, .lasti = -1 });
	return true;
}

/* The code that it has a greenlet run comes between a frame and what that awaits. */
static void push_greenlet(struct walk *w, struct frames *fs, const struct pyframe *f)
{
	struct pyframe inside[GREENLET_FRAMES_MAX];
	size_t n = walk_greenlet(w, f, inside);
	for (size_t i = 0; i < n; i++) {
		const struct frame *frame = frame_of(w, &inside[i], inside[i].lasti);
		if (!frame || !walk_frame_room(w, frame, fs->n))
			return;
		push(w, fs, frame);
		if (fs->n)
			walk_contexts(w, &inside[i], false, fs->n - 1, frame);
	}
}

/* A coroutine's frame, the n-th of its chain, with the contexts that it is inside of; false
 * when the answer has no room for it. */
static bool push_coroutine(struct walk *w, struct frames *fs, struct pyframe *f, enum gen_state state, uint32_t n)
{
	int64_t at = state == GEN_CREATED ? -1 : f->lasti;
	const struct frame *frame = walk_frame(w, f->code, at);
	if (frame && !walk_frame_room(w, frame, n))
		return false;
	chain_push(w, f);
	push(w, fs, frame_of(w, f, at));
	if (state != GEN_CREATED && fs->n)
		walk_contexts(w, f, state == GEN_AWAITING, fs->n - 1, fs->v[fs->n - 1]);
	return true;
}

struct stack walk_coroutine(struct walk *w, uint64_t coro, struct stack_end *end)
{
	struct frames fs = { 0 };
	const char *broken = NULL, *cut = NULL, *beyond = NULL;
	uint64_t mark = 0, last_cython = 0, at;
	*end = (struct stack_end){ 0 };
	w->chain.n = 0;
	w->chain_end = 0;
	for (uint32_t n = 0; coro; n++) {
		if (coro == mark || n == DEPTH_MAX) {
			broken = "the awaits form a circle";
			break;
		}
		if ((n & (n - 1)) == 0)
			mark = coro;
		enum type_kind kind = object_kind(&w->r, coro);
		uint64_t next = behind(w, coro, kind);
		if (next) {
			coro = next;
			continue;
		}
		struct cython_coroutine cython;
		if (kind == KIND_OTHER && cython_frame(w, &fs, coro, &cython)) {
			last_cython = cython.id;
			coro = cython.awaited;
			continue;
		}
		if (kind != KIND_CORO && kind != KIND_GEN && kind != KIND_ASYNCGEN) {
			end->awaited = is_none(&w->r, coro) ? 0 : coro;
			beyond = end->awaited ? foreign(w, coro, kind) : NULL;
			break;
		}
		struct pyframe f;
		enum gen_state state = gen_state(w, coro, &at);
		if (state == GEN_DONE)
			break;
		if (state == GEN_BAD || !frame_read(&w->r, at, &f) || !f.code) {
			broken = "a coroutine's frame could not be read";
			break;
		}
		last_cython = 0;
		if (!push_coroutine(w, &fs, &f, state, n)) {
			cut = "the answer has no room for more of it";
			break;
		}
		if (!end->cleaning && fs.n && handles_cancel(w, coro))
			end->cleaning = fs.v[fs.n - 1];
		end->running |= state == GEN_EXECUTING;
		if (state != GEN_AWAITING)
			break;
		push_greenlet(w, &fs, &f);
		coro = frame_stack_peek(&w->r, at, w->r.l->yf_depth > 0 ? w->r.l->yf_depth : 1);
		if (!coro)
			broken = "what a frame waits for could not be read";
	}
	w->chain_end = last_cython ? last_cython : end->awaited;
	w->broken_stacks += broken != NULL;
	struct stack s = keep(w, &fs, broken ? broken : cut);
	s.beyond = beyond;
	return s;
}

bool walk_suspended(struct walk *w, uint64_t gen, struct pyframe *f)
{
	uint64_t at;
	enum gen_state state = gen_state(w, gen, &at);
	return (state == GEN_SUSPENDED || state == GEN_AWAITING) && frame_read(&w->r, at, f) && f->code;
}

uint64_t walk_root_frame(struct walk *w, uint64_t coro)
{
	uint64_t root = 0;
	if (object_kind(&w->r, coro) == KIND_CORO_WRAPPER)
		coro = behind(w, coro, KIND_CORO_WRAPPER);
	gen_state(w, coro, &root);
	return root;
}

bool walk_thread_frames(struct walk *w, struct pythread *t, struct pystack *out)
{
	if (!pystack_read(&w->r, t->tstate, out)) {
		w->nomem = true;
		return false;
	}
	if (out->broken && !t->broken) {
		t->broken = true;
		w->broken_threads++;
	}
	return true;
}

struct stack walk_running(struct walk *w, struct pythread *t, uint64_t coro)
{
	struct frames fs = { 0 };
	struct pystack ps;
	uint64_t root = walk_root_frame(w, coro);
	if (!walk_thread_frames(w, t, &ps))
		return (struct stack){ 0 };
	size_t last = ps.n;
	for (size_t i = 0; i < ps.n; i++)
		if (ps.frames[i].addr == root)
			last = i;
	if (last == ps.n) /* between two steps, or a coroutine that is not CPython's */
		return (struct stack){ 0 };
	for (size_t i = last + 1; i-- > 0;)
		if (ps.frames[i].code) {
			push(w, &fs, frame_of(w, &ps.frames[i], ps.frames[i].lasti));
			if (fs.n)
				walk_contexts(w, &ps.frames[i], false, fs.n - 1, fs.v[fs.n - 1]);
		}
	return keep(w, &fs, ps.broken);
}

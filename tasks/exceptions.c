/* Exceptions with what they come from: causes, contexts, a group's exceptions, notes, and
 * where each was raised. One that is met again (a context may lead in a circle) is told once. */
#include "objects/repr.h"
#include "tasks/walk.h"

#include <stdlib.h>

/* Exceptions told of one task, and of all tasks of a look. */
#define TREE_MAX 64
#define ALL_MAX (1u << 16)
/* Their texts and tracebacks, in bytes. */
#define BYTES_MAX (64u << 20)
#define NOTES_MAX 64
#define FRAMES_MAX 4096

/* What was met on the way from one exception, in the order in which it is read. */
struct tree {
	struct { uint64_t addr; struct exception *e; } v[TREE_MAX];
	size_t n;
	struct map seen;
};

static struct exception *met(struct walk *w, struct tree *t, struct exception *from, uint64_t addr)
{
	if (!addr || map_get(&t->seen, addr, NULL))
		return NULL;
	if (t->n == TREE_MAX || w->nexceptions >= ALL_MAX) {
		from->more = true;
		return NULL;
	}
	struct exception *e = arena_alloc(w->arena, sizeof *e);
	if (!e || !map_add(&t->seen, addr, 1)) {
		w->nomem = true;
		return NULL;
	}
	*e = (struct exception){ 0 };
	w->nexceptions++;
	t->v[t->n].addr = addr;
	t->v[t->n++].e = e;
	return e;
}

static const char *text(struct walk *w, uint64_t addr, bool (*put)(struct repr *, uint64_t))
{
	struct repr p = { .r = &w->r };
	const char *s = NULL;
	p.open[p.depth++] = addr;
	if (w->exception_bytes < BYTES_MAX && put(&p, addr))
		s = arena_strn(w->arena, p.b.len ? p.b.s : "", p.b.len);
	w->exception_bytes += p.b.len;
	w->nomem |= p.b.failed;
	strbuf_free(&p.b);
	return s;
}

static void notes(struct walk *w, struct exception *e, uint64_t addr)
{
	uint64_t list = exception_notes(&w->r, addr);
	int64_t n = list ? seq_len(&w->r, list) : 0;
	if (n < 1)
		return;
	n = n < NOTES_MAX ? n : NOTES_MAX;
	const char **v = arena_array(w->arena, (size_t)n, sizeof *v);
	for (int64_t i = 0; v && i < n; i++) {
		v[i] = str_at(&w->r, seq_item(&w->r, list, i));
		v[i] = v[i] ? v[i] : "?";
	}
	e->notes = v;
	e->nnotes = v ? (size_t)n : 0;
}

/* PyTracebackObject (Include/cpython/traceback.h): tb_next, tb_frame, tb_lasti. */
static const struct frame *traceback_frame(struct walk *w, uint64_t tb)
{
	const struct py_layout *l = w->r.l;
	uint64_t at = field_at(&w->r, tb, l->object_size + 8);
	int32_t lasti;
	struct pyframe f;
	if (l->frame_iframe >= 0)
		at = field_at(&w->r, at, l->frame_iframe);
	if (!at || !frame_read(&w->r, at, &f) || !f.code ||
	    !image_i32(w->r.img, tb + (uint64_t)l->object_size + 16, &lasti))
		return NULL;
	return walk_frame(w, f.code, lasti);
}

/* Tasks written in Python raise through functions of their own, which are not its stack. */
static bool of_the_step(const struct frame *f)
{
	return frame_is(f, "asyncio/tasks.py", "__step") ||
	       frame_is(f, "asyncio/tasks.py", "__step_run_and_handle_result") ||
	       frame_is(f, "asyncio/tasks.py", "__wakeup");
}

static struct stack traceback(struct walk *w, uint64_t addr)
{
	const struct frame **v = NULL;
	uint64_t tb = exception_traceback(&w->r, addr);
	size_t n = 0, all = 0;
	struct stack s = { 0 };
	if (!tb || w->exception_bytes >= BYTES_MAX || !(v = malloc(FRAMES_MAX * sizeof *v))) {
		w->nomem |= tb && !v && w->exception_bytes < BYTES_MAX;
		return s;
	}
	for (; tb && !is_none(&w->r, tb) && all < FRAMES_MAX; all++, tb = field_at(&w->r, tb, w->r.l->object_size)) {
		const struct frame *f = traceback_frame(w, tb);
		if (!f) {
			s.broken = "a frame of the traceback could not be read";
			break;
		}
		if (n || !of_the_step(f))
			v[n++] = f;
	}
	if (all == FRAMES_MAX)
		s.broken = "the traceback is longer than is read of it";
	s.frames = arena_dup(w->arena, v, n * sizeof *v);
	s.n = s.frames ? n : 0;
	w->exception_bytes += n * sizeof *v;
	free(v);
	return s;
}

static void members(struct walk *w, struct tree *t, struct exception *e, uint64_t addr)
{
	uint64_t all = exception_group(&w->r, addr);
	int64_t n = all ? seq_len(&w->r, all) : 0;
	const struct exception *v[TREE_MAX];
	size_t known = 0;
	for (int64_t i = 0; i < n && known < TREE_MAX && !e->more; i++) {
		struct exception *sub = met(w, t, e, seq_item(&w->r, all, i));
		if (sub)
			v[known++] = sub;
	}
	e->exceptions = arena_dup(w->arena, v, known * sizeof *v);
	e->nexceptions = e->exceptions ? known : 0;
}

static void describe(struct walk *w, struct tree *t, struct exception *e, uint64_t addr)
{
	const struct type_info *type = object_type(&w->r, addr);
	e->type = type ? type_short_name(&w->r, type) : NULL;
	if (!type || !is_exception(&w->r, addr))
		return;
	e->repr = text(w, addr, repr_exception);
	e->message = text(w, addr, str_exception);
	if (!e->message)
		e->message = e->repr;
	notes(w, e, addr);
	e->stack = traceback(w, addr);
	members(w, t, e, addr);
	e->cause = met(w, t, e, exception_cause(&w->r, addr));
	e->suppressed = exception_suppresses(&w->r, addr);
	e->context = met(w, t, e, exception_context(&w->r, addr));
}

const struct exception *walk_exception(struct walk *w, uint64_t addr)
{
	struct tree t = { .n = 0 };
	struct exception first = { 0 };
	struct exception *e = addr && object_type(&w->r, addr) ? met(w, &t, &first, addr) : NULL;
	for (size_t i = 0; i < t.n && !walk_stop(w); i++)
		describe(w, &t, t.v[i].e, t.v[i].addr);
	map_free(&t.seen);
	return e;
}

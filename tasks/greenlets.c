/* Sync code that a coroutine runs in a greenlet, as SQLAlchemy's asyncio extension does: the
 * coroutine keeps the greenlet in a local variable while it awaits on its behalf.
 *
 * A suspended greenlet keeps the frame object that it was switched from: in itself (up to
 * greenlet 1.x) or in the C++ object behind it (TPythonState.hpp, _top_frame). Where that
 * lies differs from version to version, so it is looked for; nothing else there is a frame
 * object. A greenlet that runs, or is dead, keeps none. */
#include "objects/locals.h"
#include "tasks/walk.h"

#include <string.h>

#define BASES_MAX 8
#define WORDS_MAX 64             /* of either object that are looked at */

static bool greenlets_are_used(struct walk *w)
{
	if (w->greenlets == GREENLETS_UNKNOWN) {
		w->greenlets = GREENLETS_NONE;
		for (size_t i = 0; i < w->interps.n; i++)
			if (walk_module(w, i, "greenlet._greenlet") || walk_module(w, i, "greenlet"))
				w->greenlets = GREENLETS_USED;
	}
	return w->greenlets == GREENLETS_USED;
}

/* The size of a greenlet's own part, without that of a class derived from it; 0: none. */
static int64_t greenlet_size(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	for (int depth = 0; t && depth < BASES_MAX; depth++) {
		if (t->name && strcmp(t->name, "greenlet.greenlet") == 0)
			return t->basicsize;
		t = t->base ? type_at(&w->r, t->base) : NULL;
	}
	return 0;
}

/* The first frame object among the words at addr. */
static uint64_t frame_object_in(struct walk *w, uint64_t addr, int64_t words)
{
	for (int64_t i = 0; i < words && i < WORDS_MAX; i++) {
		uint64_t v = field_at(&w->r, addr, (int32_t)(8 * i));
		if (v && v % 8 == 0 && image_range_at(w->r.img, v) && object_kind(&w->r, v) == KIND_FRAME)
			return v;
	}
	return 0;
}

static uint64_t top_frame(struct walk *w, uint64_t greenlet, int64_t size)
{
	int64_t head = w->r.l->object_size / 8;
	uint64_t frame = frame_object_in(w, greenlet + 8 * (uint64_t)head, size / 8 - head);
	for (int64_t i = head; !frame && i < size / 8 && i < WORDS_MAX; i++) {
		uint64_t behind = field_at(&w->r, greenlet, (int32_t)(8 * i));
		if (behind && behind % 8 == 0 && image_range_at(w->r.img, behind))
			frame = frame_object_in(w, behind, WORDS_MAX);
	}
	if (frame && w->r.l->frame_iframe >= 0)
		frame = field_at(&w->r, frame, w->r.l->frame_iframe);
	return frame;
}

size_t walk_greenlet(struct walk *w, const struct pyframe *f, struct pyframe out[GREENLET_FRAMES_MAX])
{
	struct locals_iter it;
	const char *name;
	uint64_t v, at = 0;
	size_t n = 0;
	if (!greenlets_are_used(w) || !locals_begin(&w->r, f, &it))
		return 0;
	while (!at && locals_next(&w->r, &it, &name, &v)) {
		int64_t size = greenlet_size(w, v);
		at = size ? top_frame(w, v, size) : 0;
	}
	/* What called the greenlet's first frame is on a C stack that others use by now. */
	struct pyframe own;
	while (at && n < GREENLET_FRAMES_MAX && frame_read(&w->r, at, &own) && own.code) {
		out[n++] = own;
		at = own.previous;
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct pyframe swap = out[i];
		out[i] = out[n - 1 - i];
		out[n - 1 - i] = swap;
	}
	return n;
}

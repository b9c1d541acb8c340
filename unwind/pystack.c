#include "unwind/pystack.h"

#include <stdlib.h>

#include "base/vec.h"

/* Python's own recursion limits end far below; this bounds damaged chains. */
#define FRAMES_MAX (1u << 21)

static uint64_t top_frame(struct reader *r, uint64_t tstate)
{
	const struct py_layout *l = r->l;
	if (l->tstate_frame >= 0)
		return field_at(r, tstate, l->tstate_frame);
	if (l->tstate_current_frame >= 0)
		return field_at(r, tstate, l->tstate_current_frame);
	return field_at(r, field_at(r, tstate, l->tstate_cframe), l->cframe_current_frame);
}

bool pystack_read(struct reader *r, uint64_t tstate, struct pystack *out)
{
	struct VEC(struct pyframe) frames = { 0 };
	struct pyframe f;
	*out = (struct pystack){ 0 };
	/* A frame met again is a cycle: compare with a mark that moves at powers of two. */
	uint64_t mark = 0;
	for (uint64_t at = top_frame(r, tstate); at; at = f.previous) {
		if (at == mark || frames.n == FRAMES_MAX) {
			out->broken = at == mark ? "the frames form a circle" : "too many frames";
			break;
		}
		if ((frames.n & (frames.n - 1)) == 0)
			mark = at;
		if (!frame_read(r, at, &f)) {
			out->broken = "a frame could not be read";
			break;
		}
		if (!vec_push(&frames, f)) {
			vec_free(&frames);
			return false;
		}
	}
	out->frames = arena_dup(r->arena, frames.v, frames.n * sizeof *frames.v);
	out->n = out->frames ? frames.n : 0;
	vec_free(&frames);
	return out->frames != NULL;
}

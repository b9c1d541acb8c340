#include "unwind/pystack.h"

#include <stdlib.h>

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
	size_t n = 0, cap = 0;
	struct pyframe *frames = NULL, f;
	*out = (struct pystack){ 0 };
	/* A frame met again is a cycle: compare with a mark that moves at powers of two. */
	uint64_t mark = 0;
	for (uint64_t at = top_frame(r, tstate); at; at = f.previous) {
		if (at == mark || n == FRAMES_MAX) {
			out->broken = at == mark ? "the frames form a circle" : "too many frames";
			break;
		}
		if ((n & (n - 1)) == 0)
			mark = at;
		if (!frame_read(r, at, &f)) {
			out->broken = "a frame could not be read";
			break;
		}
		if (n == cap) {
			cap = cap ? cap * 2 : 32;
			struct pyframe *more = realloc(frames, cap * sizeof *frames);
			if (!more) {
				free(frames);
				return false;
			}
			frames = more;
		}
		frames[n++] = f;
	}
	out->frames = arena_dup(r->arena, frames, n * sizeof *frames);
	out->n = out->frames ? n : 0;
	free(frames);
	return out->frames != NULL;
}

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
	*out = (struct pystack){ 0 };
	size_t cap = 0;
	struct pyframe *frames = NULL;
	/* A frame met again is a cycle: compare with a mark that moves at powers of two. */
	uint64_t mark = 0;
	for (uint64_t at = top_frame(r, tstate), next; at; at = next) {
		if (at == mark || out->n == FRAMES_MAX) {
			out->broken = at == mark ? "the frames form a circle" : "too many frames";
			break;
		}
		if ((out->n & (out->n - 1)) == 0)
			mark = at;
		if (out->n == cap) {
			cap = cap ? cap * 2 : 32;
			struct pyframe *more = realloc(frames, cap * sizeof *frames);
			if (!more) {
				free(frames);
				return false;
			}
			frames = more;
		}
		if (!frame_read(r, at, &frames[out->n])) {
			out->broken = "a frame could not be read";
			break;
		}
		next = frames[out->n++].previous;
	}
	out->frames = arena_dup(r->arena, frames, out->n * sizeof *frames);
	free(frames);
	return out->frames != NULL;
}

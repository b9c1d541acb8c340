/* The context managers that a frame is inside of: what `with` and `async with` keep on
 * its value stack to leave by.
 *
 * A block that is being left is none of them, whether it ends normally or by an
 * exception: its exit method runs already. */
#ifndef ASYNCMON_OBJECTS_CONTEXTS_H
#define ASYNCMON_OBJECTS_CONTEXTS_H

#include "objects/code.h"

struct frame_context {
	uint64_t manager;        /* the object whose exit method is kept */
	bool entering;           /* its __aenter__ has not returned yet */
	bool sync;               /* `with`, not `async with` */
	int line;                /* of the statement; 0 unknown */
};

/* CPython allows no more blocks in one frame (CO_MAXBLOCKS), and one being entered. */
#define FRAME_CONTEXTS_MAX 21

/* Fills `out`, outermost first, and returns how many. Frames of any kind; only one that
 * is suspended in an await can be entering. */
size_t frame_contexts(struct reader *r, const struct pyframe *f, bool suspended,
		      struct frame_context out[FRAME_CONTEXTS_MAX]);

/* The entries of an exception table (3.11+) that an instruction at byte offset `lasti`
 * unwinds through and that stand for `with` blocks: for each, outermost first, how many
 * values of the stack lie below its handler, and the handler's byte offset. Exposed for
 * tests. Returns how many, at most `max`. */
struct with_block { uint32_t depth, handler; };
size_t with_blocks(const uint8_t *table, size_t n, int64_t lasti, struct with_block *out, size_t max);

#endif

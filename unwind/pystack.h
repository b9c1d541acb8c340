/* The Python frames of one thread, from its thread state. */
#ifndef ASYNCMON_UNWIND_PYSTACK_H
#define ASYNCMON_UNWIND_PYSTACK_H

#include "objects/code.h"

struct pystack {
	struct pyframe *frames;  /* innermost first; shims and entry frames included */
	size_t n;
	const char *broken;      /* why it ends early, or NULL */
};

/* Reads the frames of the thread whose PyThreadState is at tstate; the array lives in
 * the reader's arena. False when memory is out; a chain that cannot be followed to
 * its end gives the frames read so far and `broken`. */
bool pystack_read(struct reader *r, uint64_t tstate, struct pystack *out);

#endif

/* One thread's Python frames, apart by the call of the evaluation loop that runs them.
 *
 * A call of _PyEval_EvalFrameDefault runs the frame it was entered with and, from 3.11
 * on, those that Python-to-Python calls put on top of it without a C call. While it
 * runs it keeps something on the C stack that thread state and frames point to:
 *   3.8, 3.9    nothing
 *   3.10, 3.11  a CFrame, one link of the chain that begins at tstate->cframe
 *   3.12 on     an interpreter frame that is none (a shim), below those that it runs
 * That thing's address, the anchor, says which C frame is the call, whatever the
 * function's name is and whether it has one. */
#ifndef ASYNCMON_UNWIND_ENTRIES_H
#define ASYNCMON_UNWIND_ENTRIES_H

#include "unwind/pystack.h"

struct pyentry {
	uint64_t anchor;         /* 0: none */
	size_t first, n;         /* frames [first, first + n) of the pystack, innermost first */
};

struct pyentries {
	struct pyentry *v;       /* innermost first; in the reader's arena */
	size_t n;
	bool anchored;           /* every entry has its anchor */
};

/* False when memory is out. */
bool pyentries_read(struct reader *r, uint64_t tstate, const struct pystack *ps,
		    struct pyentries *out);

#endif

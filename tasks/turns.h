/* The loops that run in a process now, and where in its memory they keep what differs from
 * one turn to the next: so that somebody can look at a few words to see whether a loop goes
 * round (watch/).
 *
 * A loop of asyncio's, or one derived from it, runs a turn by _run_once(), which takes the
 * time once it has waited for events: its local `end_time` is unset until then, and is
 * another in every turn. uvloop's libuv has the time of a turn in its uv_loop_t. */
#ifndef ASYNCMON_TASKS_TURNS_H
#define ASYNCMON_TASKS_TURNS_H

#include "symbols/python.h"

struct turning {
	uint64_t loop;
	char type[80];           /* qualified, cut where it is longer */
	pid_t thread;            /* in our namespace; 0: it could not be told */
	uint64_t tstate;
	int64_t interpreter;
	/* _run_once(): its code, the innermost frame of this loop that runs it, and how far
	 * behind a frame's address its locals are (-1: it has no such local). 0: none is seen. */
	uint64_t code, frame;
	int64_t end_time, step;
	uint64_t uv;             /* uvloop: the uv_loop_t; 0: it is not one of uvloop's */
	uint64_t gil;            /* the struct of it, or the runtime that holds it; 0: it has none */
	uint64_t gil_size;       /* so many bytes from there are the GIL's */
	uint64_t collecting;     /* the int that is set while garbage is collected; 0: unknown */
};

/* Looks at the running process without stopping it; the caller frees *out. A loop that
 * cannot be watched has neither `code` nor `uv`. E_GONE. */
err_t turns_find(struct python *py, struct turning **out, size_t *n);

#endif

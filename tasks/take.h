/* Taking a look: a target's Python in, a snapshot out. */
#ifndef ASYNCMON_TASKS_TAKE_H
#define ASYNCMON_TASKS_TAKE_H

#include "snapshot/snapshot.h"

enum snapshot_what {
	SNAPSHOT_DONE = 1,       /* tasks that are done but alive */
	SNAPSHOT_LOCALS = 2,
	SNAPSHOT_THREADS = 4,    /* every thread's Python stack */
	/* C frames, merged with Python's: of every thread with SNAPSHOT_THREADS, of tasks
	 * that run in any case. */
	SNAPSHOT_NATIVE = 8,
	SNAPSHOT_ENDED = 16,     /* the agent's history */
	SNAPSHOT_NO_PAUSE = 32,
	SNAPSHOT_NO_TASKS = 64,  /* threads only */
	SNAPSHOT_RUNNING = 256,  /* only those tasks that run now: much cheaper */
	SNAPSHOT_DONE_IF_CAN = 128, /* SNAPSHOT_DONE, but nothing is lacking where they cannot be found */
	SNAPSHOT_WATCHED = 512,  /* the descriptors that loops watch and that are ready */
};

struct python;

/* One look at a target. An answer that lacks something is a snapshot with
 * complete = false and notes, not an error. Errors: E_GONE, E_NOASYNCIO, E_BUSY,
 * E_NOMEM, and what target_freeze() says. */
err_t snapshot_take(struct python *py, unsigned what, struct snapshot **out);

#endif

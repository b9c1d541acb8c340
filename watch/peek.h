/* Peeks at one loop: a few words of a running process that tell whether its loop goes
 * round, and what its thread does. Nothing is stopped; a peek may meet the process in the
 * middle of a change, and says PEEK_UNKNOWN then or is wrong once. */
#ifndef ASYNCMON_WATCH_PEEK_H
#define ASYNCMON_WATCH_PEEK_H

#include "attach/eye.h"
#include "symbols/python.h"
#include "tasks/turns.h"

struct peek {
	struct turning of;
	const struct py_layout *l;
	uint64_t runtime;
	struct eye eye;
};

enum peek_where { PEEK_UNKNOWN, PEEK_REST /* it waits for events, or is about to */, PEEK_STEP };

struct glance {
	enum peek_where where;
	uint64_t turn;           /* in a step: another in every turn */
	double began;            /* of the same, seconds of the loop's clock */
	bool collecting;
	uint64_t owner;          /* the thread state that has the GIL; 0: none, or there is no GIL */
	struct eye_thread thread; /* by peek_thread() */
	uint64_t frame, instr;   /* by peek_frame(): the innermost frame, and where it is */
};

/* Closed by eye_close(). */
err_t peek_open(struct peek *p, const struct python *py, const struct turning *of);
void peek_turn(struct peek *p, struct glance *g);
/* What the kernel says; false: the thread has gone. */
bool peek_thread(struct peek *p, struct glance *g);
void peek_frame(struct peek *p, struct glance *g);
/* Does the thread sleep until it gets the GIL? For peek_thread()'s. */
bool peek_wants_gil(const struct peek *p, const struct glance *g);

#endif

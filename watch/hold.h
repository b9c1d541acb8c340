/* A hold: a time in which a loop did not go round, and what it spent it with, as told by
 * peeks at its thread. Plain data that may be copied. */
#ifndef ASYNCMON_WATCH_HOLD_H
#define ASYNCMON_WATCH_HOLD_H

#include "attach/eye.h"
#include "tasks/turns.h"

/* What the thread of a held loop does. Starved: it is ready and gets no processor. */
enum hold_part { PART_PYTHON, PART_NATIVE, PART_SYSCALL, PART_GIL, PART_GC, PART_STOPPED, PART_STARVED, HOLD_PARTS };

#define HOLD_CALLS 4

struct hold_call {
	long number;             /* of the system call */
	int fd;                  /* its first argument where that is a descriptor; -1 */
	double seconds;
	char on[120];            /* what the descriptor is, "" unknown */
};

struct hold {
	uint64_t number;         /* counts up from 1, in a watch */
	struct turning of;       /* the loop */
	double start, end;       /* seconds of CLOCK_MONOTONIC; end: so far, where not `ended` */
	bool ended;
	bool in_step;            /* in a step of the loop; else it was kept from leaving its selector */
	double parts[HOLD_PARTS]; /* seconds, by peeks */
	double throttled;        /* seconds by the control group's own account; NAN unknown */
	uint64_t major_faults;
	struct hold_call calls[HOLD_CALLS]; /* in which most time was spent, the others left out */
	size_t ncalls;
	struct { uint64_t tstate; double seconds; } owners[HOLD_CALLS]; /* who had the GIL */
	size_t nowners;
	long last_call;          /* the system call at the last peek; -1: none */
};

/* As the interface spells them. Starved: it was to run, outside of any step, and got no
 * processor, for which no control group is to blame. */
enum hold_state { HOLD_PYTHON, HOLD_NATIVE, HOLD_SYSCALL, HOLD_GIL, HOLD_GC, HOLD_STOPPED, HOLD_THROTTLED, HOLD_STARVED,
		  HOLD_STATES };
const char *hold_state_name(enum hold_state s);
/* In what most of it was spent. */
enum hold_state hold_state(const struct hold *h);
static inline double hold_seconds(const struct hold *h) { return h->end - h->start; }

/* For the peeks of watch/: adds to what is known. */
void hold_add_call(struct hold *h, const struct eye *eye, long number, uint64_t arg, double seconds);
void hold_add_owner(struct hold *h, uint64_t tstate, double seconds);

#endif

/* A stall: a hold together with the looks that were taken while it lasted, and what they
 * say of it. Everything here points into its snapshots. */
#ifndef ASYNCMON_WATCH_STALL_H
#define ASYNCMON_WATCH_STALL_H

#include "base/strbuf.h"
#include "snapshot/snapshot.h"
#include "watch/hold.h"

struct stall_look {
	const struct snapshot *snap; /* NULL: none was taken, or it came too late */
	const struct thread_stack *thread; /* the loop's; NULL: it is not in it */
	/* The step's part of its stack, from the first Python frame that the loop runs. */
	const struct thread_frame *frames;
	size_t nframes;
	const struct task *task; /* that runs; NULL: a callback does, or it is unknown */
	const struct thread_stack *owner; /* the thread that has the GIL, if it is another */
};

struct stall {
	struct hold hold;
	struct stall_look first, later; /* at the threshold; the last one taken while it lasted */
};

void stall_look_make(struct stall_look *l, const struct hold *h, const struct snapshot *s);
/* Were they met in the same place? */
bool stall_looks_alike(const struct stall_look *a, const struct stall_look *b);
/* A clause about its state: "clock_nanosleep, called by f app.py:12"; "": nothing is known. */
void stall_detail(struct strbuf *b, const struct stall *s);
/* What runs: the innermost Python frame of the first look; NULL: not known. */
const struct thread_frame *stall_place(const struct stall_look *l);

/* Stalls added up. */
struct stall_sum {
	double *seconds;         /* of each, sorted by stall_sum_sort() */
	size_t n, room;
	size_t states[HOLD_STATES];
	double held;             /* seconds, all together */
};
bool stall_sum_add(struct stall_sum *s, const struct hold *h); /* false: out of memory */
void stall_sum_sort(struct stall_sum *s);
/* Of a sorted one: so long were that many percent of them at most; NAN: there are none. */
double stall_sum_percentile(const struct stall_sum *s, double percent);
void stall_sum_free(struct stall_sum *s);

#endif

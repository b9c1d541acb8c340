/* What a trace saw, summed up by coroutine: how many tasks, how long their steps took, and how
 * long they were ready before a step began. */
#ifndef ASYNCMON_WATCH_TOTALS_H
#define ASYNCMON_WATCH_TOTALS_H

#include "base/vec.h"
#include "watch/trace.h"

#define TOTALS_BUCKETS 28

struct totals_times {
	uint64_t count;
	double sum, longest;     /* seconds */
	uint64_t buckets[TOTALS_BUCKETS];
};

struct totals_row {
	char *coro;              /* NULL: those that there was no room for */
	uint64_t made, finished, failed, cancelled, cancels;
	struct totals_times steps, delays;
};

struct totals VEC(struct totals_row);

/* A sink: ctx is a struct totals. */
void totals_event(void *ctx, const struct trace_event *e);
/* By the sum of their steps, largest first. */
void totals_sort(struct totals *t);
void totals_free(struct totals *t);
/* The times as a histogram, which points into them. */
struct histogram totals_histogram(const struct totals_times *times);

#endif

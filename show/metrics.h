/* Metrics for Prometheus, in its own text format or in OpenMetrics. */
#ifndef ASYNCMON_SHOW_METRICS_H
#define ASYNCMON_SHOW_METRICS_H

#include "base/out.h"
#include "query/why.h"
#include "snapshot/snapshot.h"

/* One target, and what it cost to look at it. */
struct measured {
	const char *key;
	struct snapshot s;       /* a view, with findings */
	struct why why;
	uint64_t looks;
	double look_seconds, pause_seconds;
};

/* Series of one target are bounded: of names that it chooses the most frequent are told
 * apart, the others are `other`. */
void metrics_write(struct out *o, const struct measured *v, size_t n, bool openmetrics);
void measured_end(struct measured *m);

#endif

/* A target opened, its Python found: what looks are taken of. */
#ifndef ASYNCMON_CMD_CAPTURE_H
#define ASYNCMON_CMD_CAPTURE_H

#include "symbols/python.h"
#include "tasks/take.h"

struct capture {
	struct target *target;
	struct python *python;
	double open_s, find_s; /* what it took, in seconds */
	/* Where not NULL, gives the answer in place of a look at the target. */
	err_t (*take)(struct capture *cap, unsigned what, struct snapshot **out);
};

err_t capture_open(const char *word, const struct target_opts *o, struct capture **out);
/* Waits until the process has an event loop, without stopping it. Returns as well when the
 * time is over or where waiting is of no use: what is wrong then, capture_open() says. */
void capture_await(const char *word, const struct target_opts *o, double seconds);
/* One look; enum snapshot_what. The snapshot is the caller's and outlives the capture. */
err_t capture_take(struct capture *cap, unsigned what, struct snapshot **out);
void capture_close(struct capture *cap);

#endif

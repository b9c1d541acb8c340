/* A target opened, its Python found, or a saved look: what looks are taken of. */
#ifndef ASYNCMON_CMD_CAPTURE_H
#define ASYNCMON_CMD_CAPTURE_H

#include "symbols/python.h"
#include "tasks/take.h"

struct capture {
	struct target *target;   /* NULL: a saved look */
	struct python *python;   /* the same */
	struct saved_file *saved; /* NULL: a process or a core */
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
/* A process that may go on; else nothing of it changes. */
bool capture_is_process(const struct capture *cap);
/* Of a core or saved look, that of the process it was; 0: not known. */
pid_t capture_pid(const struct capture *cap);
/* "process", "core", "saved look" */
const char *capture_kind(const struct capture *cap);

#endif

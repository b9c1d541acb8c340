/* A command that may take so long and no longer: `run --timeout`. */
#ifndef ASYNCMON_CMD_RUN_TIMED_H
#define ASYNCMON_CMD_RUN_TIMED_H

#include <stdbool.h>

#include "base/err.h"

struct timed {
	double timeout, kill_after;  /* seconds */
	const char *report;          /* a file; NULL: stderr */
	bool agent;                  /* one is to be in what is started */
};

/* Starts a process that shall become the command, and returns twice. With *in_command, in
 * that process: signals and all else are as they were when we were called. Else when it is
 * over: *status is that of the command, or 124 when the time was over; then what its
 * processes were doing has been told and they have been ended. */
err_t run_timed(const struct timed *t, bool *in_command, int *status);

#endif

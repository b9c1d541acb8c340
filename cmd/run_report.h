/* What the processes of a command do when its time is over. */
#ifndef ASYNCMON_CMD_RUN_REPORT_H
#define ASYNCMON_CMD_RUN_REPORT_H

#include "cmd/lookers.h"
#include "cmd/procs.h"

/* Our descendants that live, parents before children, without the lookers. */
err_t run_processes(const struct lookers *l, struct pids *out);
/* Writes to fd what each does, a heading before each. Takes two minutes at most, and stops
 * when stop(arg) says so between two looks. agent: say also which tasks ended. */
void run_report(struct lookers *l, int fd, bool agent, bool (*stop)(void *), void *arg);
/* A line of it, "asyncmon: …". */
void run_say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

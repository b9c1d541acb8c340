/* A look that has everything, as one that has less. */
#ifndef ASYNCMON_TASKS_NARROW_H
#define ASYNCMON_TASKS_NARROW_H

#include "tasks/take.h"

/* What a saved look has; `what` of the look that is to be saved. */
#define SNAPSHOT_ALL (SNAPSHOT_DONE_IF_CAN | SNAPSHOT_LOCALS | SNAPSHOT_THREADS | SNAPSHOT_NATIVE | SNAPSHOT_ENDED)

/* Takes out of s, which was taken with SNAPSHOT_ALL, what was not asked for, and says what
 * was and is not there. */
void snapshot_narrow(struct snapshot *s, unsigned what);

#endif

/* The processor first, for threads that hold a target stopped: where others compete for
 * it, a pause would last as long as their turns do. By the lowest real-time priority,
 * where we may have it (CAP_SYS_NICE, RLIMIT_RTPRIO), and not for long at a time, for
 * everybody else waits meanwhile. */
#ifndef ASYNCMON_ATTACH_URGENT_H
#define ASYNCMON_ATTACH_URGENT_H

#include <stdbool.h>

/* Of the calling thread, and of no process that it makes. */
void urgent_begin(void);
void urgent_end(void);
bool urgent_is(void);
/* Ends it when it has lasted long enough; for loops, each time around. */
void urgent_check(void);

#endif

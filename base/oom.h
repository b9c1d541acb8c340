/* Whether memory was out somewhere: what reads a target goes on with "unknown" where it
 * gets no memory, and whoever hands on an answer asks here whether that may have happened. */
#ifndef ASYNCMON_BASE_OOM_H
#define ASYNCMON_BASE_OOM_H

#include <stdbool.h>

/* Called where an allocation failed. Any thread. */
void oom_note(void);
/* Whether it was called since the last time that this was. */
bool oom_noted(void);

/* Passes the result of an allocation on, and takes note of NULL. */
static inline void *oom_check(void *p)
{
	if (!p)
		oom_note();
	return p;
}

#endif

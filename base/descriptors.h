/* How many files may be open at once, and errors that come of too few. */
#ifndef ASYNCMON_BASE_DESCRIPTORS_H
#define ASYNCMON_BASE_DESCRIPTORS_H

#include <stdbool.h>

#include "base/err.h"

/* Raises the soft limit to the hard one: a session over many processes needs several each. */
void descriptors_raise(void);
/* Puts back what was there. For a child that becomes another program: some cannot do with
 * descriptors above 1023. */
void descriptors_restore(void);

/* Is it our own lack (of descriptors, memory, processes) that errnum tells of, and nothing
 * about what was asked for? */
bool errno_is_ours(int errnum);
/* The error for such an errnum; of: what was being done. Never NULL. */
err_t err_ours(int errnum, const char *of) __attribute__((returns_nonnull));

#endif

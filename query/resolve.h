/* From what a user calls a task to the task. */
#ifndef ASYNCMON_QUERY_RESOLVE_H
#define ASYNCMON_QUERY_RESOLVE_H

#include "snapshot/snapshot.h"

/* An id (0x…, or decimal), `#serial`, or an exact name that only one task has.
 * E_NOTFOUND names the tasks of that name, or those with a name like it. */
err_t resolve_task(const struct snapshot *s, const char *word, const struct task **out);

/* A number as a user writes one: hexadecimal with 0x, else decimal; not 0. */
bool resolve_number(const char *text, uint64_t *v);

#endif

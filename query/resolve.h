/* From what a user calls a task to the task. */
#ifndef ASYNCMON_QUERY_RESOLVE_H
#define ASYNCMON_QUERY_RESOLVE_H

#include "snapshot/snapshot.h"

/* An id (0x…, or decimal), `#serial`, an exact name that only one task has, or the end of
 * an id that only one task's has ("…1e980", as a narrow table shows it).
 * E_NOTFOUND names the tasks of that name, or those with a name like it. */
err_t resolve_task(const struct snapshot *s, const char *word, const struct task **out);
/* Each of *n words; where one of them is no task, but all of them together are the name of
 * one (a shell took "hourly report" apart), that one. out has room for *n. *n: how many
 * tasks that were. */
err_t resolve_tasks(const struct snapshot *s, const char *const *words, size_t *n, const struct task **out);

/* A task that ended, by its serial (#17 or 17), its address or its name: the youngest that
 * fits. E_NOTFOUND. */
err_t resolve_ended(const struct snapshot *s, const char *word, const struct ended **out);

/* A number as a user writes one: hexadecimal with 0x, else decimal; not 0. */
bool resolve_number(const char *text, uint64_t *v);

#endif

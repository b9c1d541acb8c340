/* Processes by descent. */
#ifndef ASYNCMON_CMD_PROCS_H
#define ASYNCMON_CMD_PROCS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/vec.h"

struct pids VEC(pid_t);

/* The process `word` (all digits) and its descendants but this one, parents before
 * children.
 * The caller frees out->v. E_USAGE, E_NOPROC. */
err_t pids_tree(const char *word, struct pids *out);

#endif

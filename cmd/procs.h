/* Processes: by descent, and those that run Python. */
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

/* The command line, blanks between words, cut to n - 1 bytes; "" where it has none. */
void process_command(pid_t pid, char *text, size_t n);

struct process { pid_t pid; char *command; /* its command line, blanks between words */ };
struct processes VEC(struct process);

/* Those whose executable or command is called python, this one's user's or not. */
err_t processes_of_python(struct processes *out);
void processes_free(struct processes *p);

#endif

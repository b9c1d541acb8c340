/* Processes that look at the descendants of a command, for `run --timeout`.
 *
 * Where Yama restricts ptrace (ptrace_scope 1), a process may look at its descendants only.
 * A look can also hang in the kernel or be ended by what it reads, and the rest of the
 * report must not depend on it. So the command is started at the end of a short chain of
 * forks: us → looker → looker → looker → command. The innermost looker does the looks.
 * When it is lost its children come to the one above it (each is a subreaper), which goes
 * on. Lookers collect the processes that come to them, and pass no signals on. */
#ifndef ASYNCMON_CMD_LOOKERS_H
#define ASYNCMON_CMD_LOOKERS_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define LOOKERS 3

/* Memory that all of the chain share. */
struct lookers_shared {
	atomic_int pid[LOOKERS];  /* outermost first */
	atomic_int top;           /* which of them is the innermost that lives; -1: none */
	atomic_int command;       /* its pid; 0: not started yet, -1: it could not be forked */
	atomic_bool ended;        /* the command */
	atomic_int status;        /* how, as waitpid() has it */
	atomic_bool over;         /* the time is over: lookers stay when the command has ended */
};

struct lookers {
	struct lookers_shared *shared;
	int ask_fd, reply_fd;     /* our ends */
	uint32_t seq;
};

/* Opens the process for the looks that follow; LOOK + i asks for the i-th of look_commands. */
enum { LOOK_OPEN, LOOK };
extern const char *const look_commands[];  /* ended by NULL */

enum look_outcome {
	LOOK_DONE,
	LOOK_FAILED,       /* a line in the report says why */
	LOOK_UNREADABLE,   /* the process runs no asyncio that can be read, said as well */
	LOOK_LATE,         /* it took too long, or ended its looker; the next one is ready */
	LOOK_NO_LOOKER     /* none is left */
};

/* Forks the chain. *in_command: this is the process that shall become the command; all
 * that follows is for the caller to restore. In ours, l is to be given to lookers_end().
 * What is looked at is written to report_fd. */
err_t lookers_start(struct lookers *l, int report_fd, bool *in_command);
/* Has it looked at, up to a deadline (now_ns()). *agent: whether one is in the process,
 * once a look was done. */
enum look_outcome lookers_ask(struct lookers *l, pid_t pid, int look, int64_t deadline, bool *agent);
bool lookers_is_one(const struct lookers *l, pid_t pid);
/* Notes how the command ended, where it came to us. */
void lookers_collected(struct lookers *l, pid_t pid, int status);
/* Ends them, from the outermost on; what they were parents of comes to us. */
void lookers_end(struct lookers *l);

#endif

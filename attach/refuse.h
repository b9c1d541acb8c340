/* Why the kernel will not let us at a process, in words that name the knob. */
#ifndef ASYNCMON_ATTACH_REFUSE_H
#define ASYNCMON_ATTACH_REFUSE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* pid: a process that a ptrace call or process_vm_readv was refused for with
 * errnum. Never NULL. E_NOPROC, E_TRACED, E_PERM. */
err_t refusal(pid_t pid, int errnum);
/* What is wrong with pid as a target that no permission would help: not there, a
 * thread's id, a zombie, a kernel thread, ourselves. NULL when it is fine. */
err_t unfit(pid_t pid);

/* Does the process live though its main thread has ended? */
bool other_threads_live(pid_t pid);

#endif

/* Reading /proc: what the kernel tells of a process without its help.
 *
 * A zombie leader (its main thread ended, others live on) has no memory to show:
 * files below /proc/PID that concern memory are read through a live thread's id,
 * which /proc takes as well though it does not list it. */
#ifndef ASYNCMON_ATTACH_PROC_H
#define ASYNCMON_ATTACH_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "attach/target.h"
#include "base/arena.h"
#include "base/strbuf.h"
#include "base/vec.h"

struct proc_status {
	char name[16];
	char state;               /* R S D T t Z X I */
	pid_t tgid, tracer, ns_tid;
	uid_t uid[3];             /* real, effective, saved */
	gid_t gid[3];
	uint64_t cap_permitted, cap_effective;
	int seccomp;              /* 0 none, 1 strict, 2 filters */
	bool kthread, exists;
};

/* /proc/TID/status; out->exists is false when there is none. */
bool proc_status_read(pid_t tid, struct proc_status *out);
/* In the text of such a file, what is behind "KEY:" and its blanks on a line of its own;
 * or NULL. */
const char *proc_field(const char *text, const char *key);
/* State letter of a thread of pid, 0 when it is gone. Cheaper than its status. */
char proc_state(pid_t pid, pid_t tid);

/* How a process came to be, by /proc/PID/stat. */
struct proc_origin {
	char state;               /* of its main thread */
	bool forked;              /* a copy of its parent: it has not called exec() since */
	double born;              /* seconds of CLOCK_BOOTTIME, rounded down to TICK_S */
};
#define PROC_TICK_S 0.01
bool proc_origin_read(pid_t pid, struct proc_origin *out);
/* For how long its threads have run, ended ones too, in nanoseconds; -1: unknown. */
int64_t proc_ran_ns(pid_t pid);

/* Where the stack of a thread ends that waits in the kernel, by /proc/TID/syscall; 0 when
 * it runs, or the kernel does not say. */
uint64_t proc_stack_pointer(pid_t tid);

/* By the clock of the day, when the program of the process began to run, a hundredth of a
 * second early at most: its start, or that of the ancestor whose program it runs on after
 * fork(). 0: unknown. */
struct timespec proc_since(pid_t pid);
/* The system call that a thread is in, by /proc/TID/syscall; -1: none, or not known. */
long proc_syscall(pid_t tid);
/* Is that one an event loop's wait for its descriptors and timers? */
bool proc_in_selector(pid_t tid);

/* The bytes of /proc/TID/NAME with a NUL after them, in a buffer that is kept from
 * call to call and grows. False with errno set. */
bool proc_slurp(pid_t tid, const char *name, struct strbuf *text);

/* Mappings out of the text of /proc/TID/maps, sorted and apart. Paths are stored in
 * the arena; where they lie below `root` they are given as seen from there. */
err_t proc_parse_maps(const struct strbuf *text, const char *root, struct arena *a,
		      struct mapping **out, size_t *n);

/* Thread ids of a process, as /proc/PID/task lists them now. */
struct proc_tids VEC(pid_t);
err_t proc_tids_read(pid_t pid, int task_dir, struct proc_tids *out);

/* readlink() of /proc/TID/NAME; false with errno set, or when it is too long. */
bool proc_link(pid_t tid, const char *name, char *buf, size_t size);

#endif

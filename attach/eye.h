/* An eye on a process: reads a few words of its memory and what /proc says of one of its
 * threads, again and again, without stopping it and without a target's image.
 *
 * It may be used on a thread of its own beside the target that it was made of, and costs
 * about a microsecond a look. What is read is not of one instant. */
#ifndef ASYNCMON_ATTACH_EYE_H
#define ASYNCMON_ATTACH_EYE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/target.h"

#define EYE_PARTS 8

struct eye {
	pid_t pid;
	pid_t tid;             /* the thread whose memory is read and whose files are open */
	int mem, syscall, stat, schedstat; /* its files; -1: cannot be had */
	bool by_mem;           /* process_vm_readv() is refused */
};

struct eye_part { uint64_t addr; void *to; size_t len; };

/* Of a living process's thread; E_GONE, E_PERM. */
err_t eye_open(const struct target *t, pid_t tid, struct eye *out);
void eye_close(struct eye *e);
/* All of the parts, EYE_PARTS at most, or false. */
bool eye_read(struct eye *e, const struct eye_part *parts, size_t n);

/* What the kernel says of the thread. */
struct eye_thread {
	char state;            /* as in proc_status; 0: it has gone */
	uint64_t major_faults; /* so far */
	uint64_t cpu_ns, delay_ns; /* so far: on a processor, and ready but without one */
	long call;             /* the system call that it is in; -1: none, or unknown */
	uint64_t args[2];      /* its first arguments */
	bool in_call;          /* it sleeps in the kernel, in `call` */
};
bool eye_thread(const struct eye *e, struct eye_thread *out);
/* Only its state letter; 0: it has gone. */
char eye_state(const struct eye *e);
/* What its descriptor is: "socket:[123]", "/var/log/x"; false: unknown. */
bool eye_fd(const struct eye *e, int fd, char *buf, size_t size);

/* Seconds so far that the process's control group kept it from running, summed over
 * processors; NAN: unknown, or no limit is set. */
double eye_throttled(pid_t pid);

#endif

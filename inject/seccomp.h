/* Whether a seccomp filter of the target lets our code make the system calls it needs.
 *
 * A program under a filter that kills dies of the first forbidden call, whoever has it made.
 * So before anything is put into a target its filters are read
 * (PTRACE_SECCOMP_GET_FILTER) and run here for each call that our code makes there. */
#ifndef ASYNCMON_INJECT_SECCOMP_H
#define ASYNCMON_INJECT_SECCOMP_H

#include "attach/target.h"
#include "inject/bpf.h"

/* What our code does in the target beyond receiving a text: bits. */
enum seccomp_use {
	USE_TEXT = 1,        /* a text comes and answers */
	USE_LINK = 2,        /* it talks with asyncmon over a socket (cancel, console) */
	USE_AGENT = 4        /* it loads the agent */
};

/* E_UNSUPPORTED: a filter forbids one of the calls, or cannot be known; E_BUSY, E_GONE and
 * others as target_stop(). Stops the target where it has filters. */
err_t seccomp_check(struct target *t, unsigned uses);

/* NULL, or the first call of those uses that the filter forbids, by name, and its verdict;
 * "" where it is no filter that the kernel would run. musl: the target's libc. */
const char *seccomp_forbidden(const struct sock_filter *f, size_t n, unsigned uses, bool musl, uint32_t *verdict);

#endif

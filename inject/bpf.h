/* An interpreter for seccomp filters: classic BPF, as the kernel runs it for a system call.
 *
 * The program comes from the target, so nothing of it is trusted: what the kernel would not
 * have accepted, or what leads out of the program, ends the run without a verdict. Jumps
 * only go forward, so a run takes no more steps than there are instructions. */
#ifndef ASYNCMON_INJECT_BPF_H
#define ASYNCMON_INJECT_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

/* Runs the filter for one call; *verdict is what it returns (SECCOMP_RET_... and data).
 * False: it is no filter that the kernel would run. */
bool bpf_run(const struct sock_filter *f, size_t n, const struct seccomp_data *call, uint32_t *verdict);

#endif

/* What a target may still take of memory, descriptors and file sizes, so that what is put
 * into it never uses up what the program needs. */
#ifndef ASYNCMON_INJECT_LIMITS_H
#define ASYNCMON_INJECT_LIMITS_H

#include "attach/target.h"

/* Bytes that the process may still take by RLIMIT_AS, RLIMIT_DATA and its control groups;
 * UINT64_MAX: nothing limits it. */
uint64_t limits_memory_left(const struct target *t);
/* What of it is the agent's, out of `wanted` bytes: small beside what is left. */
uint64_t limits_memory_share(uint64_t left, uint64_t wanted);
/* Has it the descriptors that our code needs for a moment, and may it write files (memfds
 * count) of that many bytes? Else E_UNSUPPORTED with the reason. */
err_t limits_check(const struct target *t, uint64_t file_bytes);

#endif

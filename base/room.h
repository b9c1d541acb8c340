/* How much memory this process may still take, so that it does not take it from those
 * it looks at: often it shares a container, and with it a limit, with its target. */
#ifndef ASYNCMON_BASE_ROOM_H
#define ASYNCMON_BASE_ROOM_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes that the system and every control group around us can still give.
 * root: where "/proc" and "/sys" are looked for, "" but in tests. */
uint64_t memory_room(const char *root);
/* Bytes that the control groups around another process leave it; UINT64_MAX: all. */
uint64_t memory_left_to(const char *root, pid_t pid);
/* Should memory run out all the same, let the kernel end us and nobody else. */
void memory_yield(void);

#endif

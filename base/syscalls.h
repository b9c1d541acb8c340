/* The names of system calls, for messages. */
#ifndef ASYNCMON_BASE_SYSCALLS_H
#define ASYNCMON_BASE_SYSCALLS_H

/* "read"; NULL: none of that number is known. */
const char *syscall_name(long number);

#endif

#include "base/syscalls.h"

#include <stddef.h>
#include <sys/syscall.h>

/* The list is made by make, of what <sys/syscall.h> defines. */
#define NAME(name) [SYS_##name] = #name,
static const char *const names[] = {
#include "syscall_list.h"
};

const char *syscall_name(long number)
{
	return number >= 0 && (size_t)number < sizeof names / sizeof *names ? names[number] : NULL;
}

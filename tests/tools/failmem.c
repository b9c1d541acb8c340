/* Preloaded: makes one allocation fail, the FAILMEM_AT-th of the process (from 0), or from
 * that one on all with FAILMEM_ALL. Counted are malloc, calloc, realloc, reallocarray and
 * anonymous mappings. With FAILMEM_COUNT their number is written into that file at the end.
 * Processes that the first one starts are let alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static atomic_long met;
static long at = -1;
static bool all, ready;
static pid_t owner;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FAILMEM_AT");
	at = text ? atol(text) : -1;
	all = getenv("FAILMEM_ALL") != NULL;
	owner = getpid();
	unsetenv("LD_PRELOAD");
	ready = true;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("FAILMEM_COUNT");
	char text[32];
	if (!path || getpid() != owner)
		return;
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int n = snprintf(text, sizeof text, "%ld\n", (long)met);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		abort();
	close(fd);
}

static bool fails(void)
{
	if (!ready)
		return false;
	long k = atomic_fetch_add(&met, 1);
	if (at < 0 || (all ? k < at : k != at) || getpid() != owner)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

void *mmap(void *where, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (flags & MAP_ANONYMOUS && fails())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, where, len, prot, flags, fd, offset);
}

void *mmap64(void *where, size_t len, int prot, int flags, int fd, off_t offset)
{
	return mmap(where, len, prot, flags, fd, offset);
}

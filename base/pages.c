#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/oom.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* linux/mman.h, 5.14 */
#endif
#define HUGE ((size_t)2 << 20)
#define FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Less than a quarter of a huge page costs less by ordinary ones. */
static size_t rounded(size_t size)
{
	return size < HUGE / 4 ? size + !size : (size + HUGE - 1) & ~(HUGE - 1);
}

void *pages_alloc(size_t size)
{
	size = rounded(size);
	if (size < HUGE) {
		void *small = mmap(NULL, size, PROT_READ | PROT_WRITE, FLAGS, -1, 0);
		return oom_check(small == MAP_FAILED ? NULL : small);
	}
	/* One huge page more than asked for, to cut an aligned piece out of. */
	char *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, FLAGS, -1, 0);
	if (p == MAP_FAILED)
		return oom_check(NULL);
	size_t before = (HUGE - ((uintptr_t)p & (HUGE - 1))) & (HUGE - 1);
	if (before)
		munmap(p, before);
	if (HUGE - before)
		munmap(p + before + size, HUGE - before);
	madvise(p + before, size, MADV_HUGEPAGE);
	return p + before;
}

void pages_free(void *p, size_t size)
{
	if (p)
		munmap(p, rounded(size));
}

bool pages_populate(void *at, size_t len)
{
	return madvise(at, len, MADV_POPULATE_WRITE) == 0;
}

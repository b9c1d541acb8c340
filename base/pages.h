/* Large pieces of zeroed memory: whole huge pages where the system gives them, for
 * memory that is filled from end to end at once pays for every page it touches. */
#ifndef ASYNCMON_BASE_PAGES_H
#define ASYNCMON_BASE_PAGES_H

#include <stddef.h>

/* NULL when memory is out. Freed with the same size. */
void *pages_alloc(size_t size);
void pages_free(void *p, size_t size);

#endif

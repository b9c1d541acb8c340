/* Large pieces of zeroed memory: whole huge pages where the system gives them, for
 * memory that is filled from end to end at once pays for every page it touches. */
#ifndef ASYNCMON_BASE_PAGES_H
#define ASYNCMON_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Of any size; it may be large and hardly be used. NULL when memory is out. Freed with the
 * same size. */
void *pages_alloc(size_t size);
void pages_free(void *p, size_t size);

/* Gives mapped memory all its pages in one call: a fault costs many times what a page
 * does, most of all in virtual machines. `at` is the start of a page. False where the
 * kernel cannot (before 5.14): they come when they are touched. */
bool pages_populate(void *at, size_t len);

#endif

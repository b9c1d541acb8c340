#include "base/arena.h"

#include "base/oom.h"
#include "base/pages.h"
#include "base/poison.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN (64u << 10)
#define BLOCK_MAX (8u << 20)
#define BLOCK_HUGE (512u << 10) /* from this size on a block is whole huge pages */
#define HUGE_PAGE (2u << 20)
/* Behind each object, so that AddressSanitizer sees whoever runs over its end. */
#ifdef ASAN
#define REDZONE 16u
#else
#define REDZONE 0u
#endif

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(16) unsigned char bytes[];
};

struct arena {
	struct block *head;
	size_t used, next_size;
	bool failed;
};

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof *a);
	if (a)
		a->next_size = BLOCK_MIN;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->head, *next; b; b = next) {
		next = b->next;
		unpoison(b->bytes, b->size);
		leak_root_end(b->bytes, b->size);
		pages_free(b, sizeof *b + b->size);
	}
	free(a);
}

static struct block *block_add(struct arena *a, size_t want)
{
	size_t size = want > a->next_size ? want : a->next_size;
	if (size >= BLOCK_HUGE - sizeof(struct block))
		size = ((size + sizeof(struct block) + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1)) -
		       sizeof(struct block);
	/* Mapped, for memory of the heap would be cleared, and so touched, from end to end. */
	struct block *b = pages_alloc(sizeof *b + size);
	if (!b)
		return NULL;
	b->size = size;
	poison(b->bytes, size);
	leak_root(b->bytes, size);
	if (want > a->next_size && a->head) {
		/* A block for one large thing goes behind the head, which still has room. */
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	if (a->next_size < BLOCK_MAX)
		a->next_size *= 2;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2) {
		a->failed = true;
		return NULL;
	}
	size_t asked = size;
	size = ((size + 15) & ~(size_t)15) + REDZONE;
	if (size == 0)
		size = 16;
	struct block *b = a->head;
	if (!b || b->size - b->used < size) {
		b = block_add(a, size);
		if (!b) {
			a->failed = true;
			oom_note();
			return NULL;
		}
	}
	void *p = b->bytes + b->used;
	unpoison(p, asked);
	b->used += size;
	a->used += size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;
	return arena_alloc(a, __builtin_mul_overflow(n, size, &total) ? SIZE_MAX : total);
}

void *arena_dup(struct arena *a, const void *bytes, size_t size)
{
	void *p = arena_alloc(a, size);
	if (p && size)
		memcpy(p, bytes, size);
	return p;
}

char *arena_strn(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);
	if (p && n)
		memcpy(p, s, n);
	return p;
}

char *arena_str(struct arena *a, const char *s)
{
	return arena_strn(a, s, strlen(s));
}

char *arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *p = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return p;
}

bool arena_failed(const struct arena *a)
{
	return a->failed;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

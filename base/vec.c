#include "base/vec.h"

#include <stdint.h>

#include "base/oom.h"

#define FIRST_BYTES 256u

void *vec_grown(void *v, size_t n, size_t more, size_t *cap, size_t size)
{
	size_t want, bytes, room = FIRST_BYTES / size;
	if (__builtin_add_overflow(n, more, &want))
		return NULL;
	if (*cap <= SIZE_MAX / 2 && room < *cap * 2)
		room = *cap * 2;
	if (room < want)
		room = want;
	if (__builtin_mul_overflow(room, size, &bytes))
		return NULL;
	char *to = oom_check(realloc(v, bytes));
	if (!to)
		return NULL;
	/* What has been reserved but not added is not to be touched. */
	poison(to + n * size, bytes - n * size);
	*cap = room;
	return to;
}

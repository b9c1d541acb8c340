/* A hash table from 64-bit keys to 64-bit values, for addresses. Key 0 is not
 * allowed (it marks an empty place). The table owns nothing but itself. */
#ifndef ASYNCMON_BASE_MAP_H
#define ASYNCMON_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
	uint64_t *slots; /* pairs: key, value */
	size_t n, mask;  /* entries; places - 1, or 0 when nothing is allocated */
	bool failed;     /* memory was out at some time: an entry may be missing */
};

void map_free(struct map *m);
/* Makes room for n entries; false when memory is out. */
bool map_reserve(struct map *m, size_t n);
/* Sets key to value; false when memory is out. */
bool map_set(struct map *m, uint64_t key, uint64_t value);
/* True and *value (where not NULL) when key is there. */
static inline bool map_get(const struct map *m, uint64_t key, uint64_t *value);
/* True when key was added now, false when it was there (or memory is out). */
bool map_add(struct map *m, uint64_t key, uint64_t value);

/* The place of key, or the empty one where it belongs; slots must be there. */
static inline uint64_t *map_place(const struct map *m, uint64_t key)
{
	uint64_t h = key * 0x9E3779B97F4A7C15u;
	size_t i = (size_t)(h ^ (h >> 29)) & m->mask;
	while (m->slots[2 * i] && m->slots[2 * i] != key)
		i = (i + 1) & m->mask;
	return &m->slots[2 * i];
}

static inline bool map_get(const struct map *m, uint64_t key, uint64_t *value)
{
	if (!key || !m->slots)
		return false;
	const uint64_t *p = map_place(m, key);
	if (!p[0])
		return false;
	if (value)
		*value = p[1];
	return true;
}

#endif

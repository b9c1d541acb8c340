#include "base/map.h"

#include <stdlib.h>

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}

static bool grow(struct map *m)
{
	struct map bigger = { NULL, m->n, m->mask ? m->mask * 2 + 1 : 31 };
	bigger.slots = calloc(bigger.mask + 1, 2 * sizeof *bigger.slots);
	if (!bigger.slots)
		return false;
	for (size_t i = 0; m->slots && i <= m->mask; i++) {
		if (!m->slots[2 * i])
			continue;
		uint64_t *p = map_place(&bigger, m->slots[2 * i]);
		p[0] = m->slots[2 * i];
		p[1] = m->slots[2 * i + 1];
	}
	free(m->slots);
	*m = bigger;
	return true;
}

bool map_set(struct map *m, uint64_t key, uint64_t value)
{
	if (!key || ((!m->slots || m->n * 4 >= m->mask * 3) && !grow(m)))
		return false;
	uint64_t *p = map_place(m, key);
	if (!p[0]) {
		p[0] = key;
		m->n++;
	}
	p[1] = value;
	return true;
}

bool map_add(struct map *m, uint64_t key, uint64_t value)
{
	return !map_get(m, key, NULL) && map_set(m, key, value);
}

#include "base/map.h"

#include <stdlib.h>

#include "base/oom.h"

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}

static bool resize(struct map *m, size_t mask)
{
	struct map bigger = { NULL, m->n, mask, m->failed };
	bigger.slots = calloc(bigger.mask + 1, 2 * sizeof *bigger.slots);
	if (!bigger.slots) {
		m->failed = true;
		oom_note();
		return false;
	}
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

bool map_reserve(struct map *m, size_t n)
{
	size_t mask = m->mask ? m->mask : 31;
	while (n * 4 >= mask * 3)
		mask = mask * 2 + 1;
	return (m->slots && mask == m->mask) || resize(m, mask);
}

bool map_set(struct map *m, uint64_t key, uint64_t value)
{
	if (!key || ((!m->slots || m->n * 4 >= m->mask * 3) && !resize(m, m->mask ? m->mask * 2 + 1 : 31)))
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

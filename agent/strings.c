/* Strings in chains of cells, each text kept once and counted. */
#include "agent/agent.h"

#include <string.h>

#define FIRST sizeof((struct agent_cell *)NULL)->text
#define MORE sizeof((struct agent_cell_more *)NULL)->text

/* Eight bytes at a time: names are hashed at every end of a task. */
static uint32_t hash_of(const struct text *t)
{
	const uint64_t k = 0x9e3779b97f4a7c15ull;
	uint64_t h = t->len * k, word;
	size_t i = 0;
	for (; i + 8 <= t->len; i += 8) {
		memcpy(&word, t->s + i, 8);
		h = (h ^ word) * k;
		h ^= h >> 29;
	}
	word = 0;
	memcpy(&word, t->s + i, t->len - i);
	h = (h ^ word) * k;
	return (uint32_t)(h ^ h >> 32);
}

static bool same(const struct agent_cell *c, const struct text *t)
{
	size_t at = t->len < FIRST ? t->len : FIRST;
	if (c->len != t->len || memcmp(c->text, t->s, at) != 0)
		return false;
	for (uint32_t i = c->next; i && at < t->len; ) {
		const struct agent_cell_more *m = (const void *)cell_at(i);
		size_t n = t->len - at < MORE ? t->len - at : MORE;
		if (memcmp(m->text, t->s + at, n) != 0)
			return false;
		at += n;
		i = m->next;
	}
	return true;
}

static void give_chain(uint32_t i)
{
	while (i) {
		uint32_t next = cell_at(i)->next;
		pool_give(POOL_CELLS, i);
		i = next;
	}
}

static uint32_t make(const struct text *t, uint32_t hash)
{
	uint32_t first = pool_take(POOL_CELLS);
	if (!first)
		return 0;
	struct agent_cell *c = cell_at(first);
	size_t at = t->len < FIRST ? t->len : FIRST;
	*c = (struct agent_cell){ .hash = hash, .refs = 1, .len = (uint32_t)t->len };
	memcpy(c->text, t->s, at);
	uint32_t *link = &c->next;
	while (at < t->len) {
		uint32_t i = pool_take(POOL_CELLS);
		if (!i) {
			give_chain(first);
			return 0;
		}
		struct agent_cell_more *m = (void *)cell_at(i);
		size_t n = t->len - at < MORE ? t->len - at : MORE;
		m->next = 0;
		memcpy(m->text, t->s + at, n);
		*link = i;
		link = &m->next;
		at += n;
	}
	return first;
}

uint32_t string_keep(const struct text *t)
{
	if (t->len == 0)
		return AGENT_EMPTY;
	uint32_t hash = hash_of(t);
	uint32_t *bucket = &agent_private->cell_buckets[hash & agent_private->cell_mask];
	for (uint32_t i = *bucket; i; i = cell_at(i)->hash_next) {
		struct agent_cell *c = cell_at(i);
		if (c->hash == hash && same(c, t)) {
			c->refs++;
			return i;
		}
	}
	uint32_t i = make(t, hash);
	if (!i) {
		count(AGENT_DROPPED_STRINGS);
		return 0;
	}
	cell_at(i)->hash_next = *bucket;
	*bucket = i;
	return i;
}

void string_drop(uint32_t s)
{
	if (!s || s >= AGENT_EMPTY || --cell_at(s)->refs)
		return;
	uint32_t *link = &agent_private->cell_buckets[cell_at(s)->hash & agent_private->cell_mask];
	while (*link && *link != s)
		link = &cell_at(*link)->hash_next;
	if (*link)
		*link = cell_at(s)->hash_next;
	give_chain(s);
}

void string_get(uint32_t s, struct text *t)
{
	text_clear(t);
	if (s & AGENT_TASK_N) {
		text_put_str(t, "Task-");
		text_put_int(t, s & ~AGENT_TASK_N);
		return;
	}
	if (!s || s == AGENT_EMPTY)
		return;
	const struct agent_cell *c = cell_at(s);
	text_put(t, c->text, c->len < FIRST ? c->len : FIRST);
	for (uint32_t i = c->next; i && t->len < c->len; ) {
		const struct agent_cell_more *m = (const void *)cell_at(i);
		size_t left = c->len - t->len;
		text_put(t, m->text, left < MORE ? left : MORE);
		i = m->next;
	}
}

/* "Task-17" as 17, or -1; leading zeros are another name. */
static int64_t default_name(const struct text *t)
{
	int64_t n = 0;
	if (t->len < 6 || t->len > 14 || memcmp(t->s, "Task-", 5) != 0 || t->s[5] == '0')
		return -1;
	for (size_t i = 5; i < t->len; i++) {
		if (t->s[i] < '0' || t->s[i] > '9')
			return -1;
		n = n * 10 + (t->s[i] - '0');
	}
	return n;
}

uint32_t string_keep_name(PyObject *name)
{
	struct text t;
	int64_t n = -1;
	if (!name || name == Py_None)
		return 0;
	if (text_of_str(name, &t))
		n = default_name(&t);
	else if (!int_value(name, &n))
		return 0;
	if (n >= 0 && n < AGENT_TASK_N)
		return AGENT_TASK_N | (uint32_t)n;
	return string_keep(&t);
}

#include "watch/book.h"

#include <stdlib.h>

#define BUCKETS_FIRST 1024u
/* More than a process can have at once by far; a forged ring could name any number. */
#define BOOK_MAX (1u << 21)

static size_t place(const struct book *b, uint64_t serial)
{
	return (size_t)(serial * 0x9E3779B97F4A7C15u >> 20) & b->mask;
}

struct traced *book_find(const struct book *b, uint64_t serial)
{
	struct traced *t = b->buckets && serial ? b->buckets[place(b, serial)] : NULL;
	while (t && t->serial != serial)
		t = t->hash_next;
	return t;
}

static bool grow(struct book *b)
{
	struct book bigger = { .n = b->n, .mask = b->buckets ? 2 * b->mask + 1 : BUCKETS_FIRST - 1 };
	bigger.buckets = calloc(bigger.mask + 1, sizeof(struct traced *));
	if (!bigger.buckets)
		return false;
	for (size_t i = 0; b->buckets && i <= b->mask; i++) {
		for (struct traced *t = b->buckets[i], *next; t; t = next) {
			next = t->hash_next;
			t->hash_next = bigger.buckets[place(&bigger, t->serial)];
			bigger.buckets[place(&bigger, t->serial)] = t;
		}
	}
	free(b->buckets);
	*b = bigger;
	return true;
}

struct traced *book_add(struct book *b, uint64_t serial)
{
	if (b->n >= (b->buckets ? b->mask : 0) && !grow(b) && !b->buckets)
		return NULL;
	struct traced *t = b->n < BOOK_MAX ? calloc(1, sizeof *t) : NULL;
	if (!t)
		return NULL;
	t->serial = serial;
	t->hash_next = b->buckets[place(b, serial)];
	b->buckets[place(b, serial)] = t;
	b->n++;
	return t;
}

static void free_one(struct traced *t)
{
	free(t->name);
	free(t->coro);
	free(t);
}

void book_waits(struct book *b, struct traced *t, struct traced *other)
{
	struct traced *old = book_find(b, t->waits_for);
	if (t->before)
		t->before->next = t->next;
	else if (old && old->first == t)
		old->first = t->next;
	if (t->next)
		t->next->before = t->before;
	t->next = t->before = NULL;
	t->waits_for = other ? other->serial : 0;
	if (!other)
		return;
	t->next = other->first;
	if (t->next)
		t->next->before = t;
	other->first = t;
}

void book_drop(struct book *b, struct traced *t)
{
	struct traced **link = &b->buckets[place(b, t->serial)];
	book_waits(b, t, NULL);
	while (t->first)
		book_waits(b, t->first, NULL);
	while (*link != t)
		link = &(*link)->hash_next;
	*link = t->hash_next;
	b->n--;
	free_one(t);
}

void book_free(struct book *b)
{
	for (size_t i = 0; b->buckets && i <= b->mask; i++) {
		for (struct traced *t = b->buckets[i], *next; t; t = next) {
			next = t->hash_next;
			free_one(t);
		}
	}
	free(b->buckets);
	*b = (struct book){ 0 };
}

#include "query/coalesce.h"

#include <stdlib.h>
#include <string.h>

#define SEED 0xCBF29CE484222325ull
#define PRIME 0x100000001B3ull

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * PRIME;
	return h ^ h >> 31;
}

static uint64_t mix_text(uint64_t h, const char *s)
{
	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * PRIME;
	return mix(h, s != NULL);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool stacks_alike(const struct stack *a, const struct stack *b)
{
	if (a->n != b->n || !same(a->broken, b->broken) || !same(a->beyond, b->beyond))
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct frame *x = a->frames[i], *y = b->frames[i];
		if (x != y && (x->line != y->line || !same(x->function, y->function) || !same(x->file, y->file)))
			return false;
	}
	return true;
}

static bool waits_alike(const struct wait *a, const struct wait *b)
{
	if (!a || !b)
		return a == b;
	return a->kind == b->kind && same(a->detail, b->detail) &&
	       (a->id == b->id || (!a->nholders && !b->nholders));
}

bool tasks_alike(const struct task *a, const struct task *b)
{
	return a->state == b->state && same(task_body(a), task_body(b)) && waits_alike(a->wait, b->wait) &&
	       stacks_alike(&a->stack, &b->stack);
}

uint64_t task_likeness(const struct task *t)
{
	uint64_t h = mix(mix_text(SEED, task_body(t)), (uint64_t)t->state);
	for (size_t i = 0; i < t->stack.n; i++)
		h = mix(mix_text(h, t->stack.frames[i]->function), (uint64_t)t->stack.frames[i]->line);
	return mix(h, t->wait ? (uint64_t)t->wait->kind : UINT64_MAX);
}

bool threads_alike(const struct thread_stack *a, const struct thread_stack *b)
{
	if (a->nframes != b->nframes || a->gil != b->gil || a->python != b->python || !same(a->broken, b->broken))
		return false;
	for (size_t i = 0; i < a->nframes; i++) {
		const struct thread_frame *x = &a->frames[i], *y = &b->frames[i];
		if (x->kind != y->kind || x->line != y->line || x->address != y->address ||
		    !same(x->function, y->function) || !same(x->file, y->file) || !same(x->module, y->module))
			return false;
	}
	return true;
}

uint64_t thread_likeness(const struct thread_stack *t)
{
	uint64_t h = mix(SEED, t->nframes);
	for (size_t i = 0; i < t->nframes; i++)
		h = mix(mix(mix_text(h, t->frames[i].function), (uint64_t)t->frames[i].line), t->frames[i].address);
	return h;
}

err_t kinds_of(struct kinds *k, uint32_t item, uint64_t likeness, uint32_t *first)
{
	uint64_t there;
	/* Those that only share the likeness lie at the places that follow from it. */
	for (uint64_t key = likeness | 1; map_get(&k->map, key, &there); key = mix(key, 1) | 1)
		if (k->alike(k->ctx, item, (uint32_t)there)) {
			*first = (uint32_t)there;
			return NULL;
		}
	*first = item;
	uint64_t key = likeness | 1;
	while (!map_add(&k->map, key, item)) {
		if (k->map.failed)
			return ERR_NOMEM;
		key = mix(key, 1) | 1;
	}
	return NULL;
}

void kinds_free(struct kinds *k)
{
	map_free(&k->map);
}

err_t coalesce(struct coalesced *c, size_t n, struct kinds *k, uint64_t (*likeness)(const void *ctx, uint32_t item))
{
	*c = (struct coalesced){ .n = n };
	c->first = calloc(n + 1, sizeof *c->first);
	c->count = calloc(n + 1, sizeof *c->count);
	err_t e = c->first && c->count && n < UINT32_MAX ? NULL : ERR_NOMEM;
	for (uint32_t i = 0; i < n && !e; i++) {
		e = kinds_of(k, i, likeness(k->ctx, i), &c->first[i]);
		c->count[c->first[i]]++;
	}
	if (e)
		coalesced_free(c);
	return e;
}

void coalesced_free(struct coalesced *c)
{
	free(c->first);
	free(c->count);
	*c = (struct coalesced){ 0 };
}

/* Every node gets a kind, from the bottom up: nodes are of one kind when they are alike and
 * have children of the same kinds. The first node of a kind names it. */
#include "query/siblings.h"

#include <stdlib.h>
#include <string.h>

#include "query/coalesce.h"

struct search {
	const struct forest *f;
	struct siblings *out;
	struct kinds kinds;
	bool (*alike)(const void *ctx, uint32_t a, uint32_t b);
	uint64_t (*likeness)(const void *ctx, uint32_t node);
	const void *ctx;
	uint32_t *parents;    /* how many lead to the node */
	uint32_t *kind;       /* UINT32_MAX until it is known */
	uint32_t *below;      /* kinds of the children, sorted; places as in f->children */
	uint32_t *first;      /* of each kind, its first node among the siblings at hand… */
	uint32_t *family;     /* …whose parent is this, plus 1; n + 1: roots */
	err_t e;
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static size_t nchildren(const struct search *s, uint32_t node)
{
	return s->f->starts[node + 1] - s->f->starts[node];
}

static bool trees_alike(const void *ctx, uint32_t a, uint32_t b)
{
	const struct search *s = ctx;
	size_t n = nchildren(s, a);
	return n == nchildren(s, b) && s->alike(s->ctx, a, b) && s->parents[a] < 2 && s->parents[b] < 2 &&
	       memcmp(s->below + s->f->starts[a], s->below + s->f->starts[b], n * sizeof *s->below) == 0;
}

/* A child that has several parents, or is in a cycle with this node, has a kind of its own. */
static void kind_of(struct search *s, uint32_t node)
{
	const struct forest *f = s->f;
	uint64_t h = s->likeness(s->ctx, node);
	for (uint32_t k = f->starts[node]; k < f->starts[node + 1]; k++) {
		uint32_t child = f->children[k];
		s->below[k] = s->parents[child] > 1 || s->kind[child] == UINT32_MAX ? child : s->kind[child];
	}
	qsort(s->below + f->starts[node], nchildren(s, node), sizeof *s->below, by_number);
	for (uint32_t k = f->starts[node]; k < f->starts[node + 1]; k++)
		h = (h ^ s->below[k]) * 0x9E3779B97F4A7C15u;
	s->e = kinds_of(&s->kinds, node, h, &s->kind[node]);
}

static void find_kinds(void *ctx, const struct forest_step *step)
{
	struct search *s = ctx;
	if (step->leave && !step->again && !s->e)
		kind_of(s, step->node);
}

static void among(struct search *s, uint32_t node, uint32_t parent)
{
	uint32_t kind = s->kind[node];
	s->out->count[node] = 1;
	if (s->parents[node] > 1)
		return;
	if (s->family[kind] == parent + 1) {
		s->out->count[s->first[kind]]++;
		s->out->dropped[node] = true;
		return;
	}
	s->family[kind] = parent + 1;
	s->first[kind] = node;
}

/* On the way down: what is below a dropped node is dropped. */
static void find_siblings(void *ctx, const struct forest_step *step)
{
	struct search *s = ctx;
	const struct forest *f = s->f;
	if (step->leave || step->again)
		return;
	for (uint32_t k = f->starts[step->node]; k < f->starts[step->node + 1]; k++) {
		uint32_t child = f->children[k];
		if (!s->out->dropped[step->node])
			among(s, child, step->node);
		else if (s->parents[child] < 2)
			s->out->dropped[child] = true;
	}
}

static err_t search(struct search *s)
{
	const struct forest *f = s->f;
	for (uint32_t k = 0; k < f->starts[f->n]; k++)
		s->parents[f->children[k]]++;
	/* A root that is led to is in a cycle. */
	for (size_t i = 0; i < f->nroots; i++)
		s->parents[f->roots[i]] += s->parents[f->roots[i]] != 0;
	memset(s->kind, 0xFF, f->n * sizeof *s->kind);
	TRY(forest_walk(f, find_kinds, s));
	if (s->e)
		return s->e;
	for (size_t i = 0; i < f->nroots; i++)
		among(s, f->roots[i], (uint32_t)f->n);
	return forest_walk(f, find_siblings, s);
}

err_t siblings_find(struct siblings *out, const struct forest *f,
		    bool (*alike)(const void *ctx, uint32_t a, uint32_t b),
		    uint64_t (*likeness)(const void *ctx, uint32_t node), const void *ctx)
{
	struct search s = { .f = f, .out = out, .alike = alike, .likeness = likeness, .ctx = ctx };
	size_t n = f->n + 1;
	s.kinds = (struct kinds){ .alike = trees_alike, .ctx = &s };
	uint32_t *memory = calloc(n * 4 + f->starts[f->n] + 1, sizeof *memory);
	out->dropped = calloc(n, sizeof *out->dropped);
	out->count = calloc(n, sizeof *out->count);
	err_t e = memory && out->dropped && out->count ? NULL : ERR_NOMEM;
	if (!e) {
		s.parents = memory;
		s.kind = memory + n;
		s.first = memory + 2 * n;
		s.family = memory + 3 * n;
		s.below = memory + 4 * n;
		e = search(&s);
	}
	kinds_free(&s.kinds);
	free(memory);
	if (e)
		siblings_free(out);
	return e;
}

void siblings_free(struct siblings *s)
{
	free(s->dropped);
	free(s->count);
	*s = (struct siblings){ 0 };
}

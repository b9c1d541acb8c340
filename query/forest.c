#include "query/forest.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

static bool edge_in(const struct edge *e, const bool *kept)
{
	return !kept || (kept[e->parent] && kept[e->child]);
}

/* The children of every node; `up`: its parents. */
static err_t adjacency(struct forest *f, const struct edge *e, size_t nedges, const bool *kept, bool up)
{
	f->starts = calloc(f->n + 2, sizeof *f->starts);
	f->children = calloc(nedges + 1, sizeof *f->children);
	if (!f->starts || !f->children)
		return ERR_NOMEM;
	/* Counted one place ahead, so that filling leaves each start where it belongs. */
	for (size_t i = 0; i < nedges; i++)
		if (edge_in(&e[i], kept))
			f->starts[(up ? e[i].child : e[i].parent) + 2]++;
	for (size_t i = 2; i < f->n + 2; i++)
		f->starts[i] += f->starts[i - 1];
	for (size_t i = 0; i < nedges; i++)
		if (edge_in(&e[i], kept))
			f->children[f->starts[(up ? e[i].child : e[i].parent) + 1]++] =
				up ? e[i].parent : e[i].child;
	return NULL;
}

err_t forest_keep_ancestors(size_t n, const struct edge *edges, size_t nedges, bool *kept)
{
	struct forest f = { .n = n };
	uint32_t *todo = calloc(n + 1, sizeof *todo);
	size_t ntodo = 0;
	err_t e = todo ? adjacency(&f, edges, nedges, NULL, true) : ERR_NOMEM;
	for (uint32_t v = 0; v < n && !e; v++)
		if (kept[v])
			todo[ntodo++] = v;
	while (ntodo && !e) {
		uint32_t v = todo[--ntodo];
		for (uint32_t k = f.starts[v]; k < f.starts[v + 1]; k++) {
			if (kept[f.children[k]])
				continue;
			kept[f.children[k]] = true;
			todo[ntodo++] = f.children[k];
		}
	}
	free(todo);
	forest_free(&f);
	return e;
}

/* Tarjan's strongly connected components, with a stack of its own. */
struct tarjan {
	uint32_t *index, *low, *component, *next, *path, *open;
	size_t npath, nopen, count, ncomponents;
};

static void component_end(struct forest *f, struct tarjan *t, uint32_t v)
{
	size_t from = t->nopen;
	do
		t->component[t->open[--from]] = (uint32_t)t->ncomponents;
	while (t->open[from] != v);
	t->ncomponents++;
	bool cyclic = t->nopen - from > 1;
	for (uint32_t k = f->starts[v]; k < f->starts[v + 1] && !cyclic; k++)
		cyclic = f->children[k] == v;
	if (cyclic) {
		uint32_t *at = f->cycles + f->cycle_starts[f->ncycles];
		memcpy(at, t->open + from, (t->nopen - from) * sizeof *at);
		f->ncycles++;
		f->cycle_starts[f->ncycles] = f->cycle_starts[f->ncycles - 1] + (uint32_t)(t->nopen - from);
	}
	t->nopen = from;
}

static void enter(struct forest *f, struct tarjan *t, uint32_t v)
{
	t->index[v] = t->low[v] = (uint32_t)t->count++;
	t->next[v] = f->starts[v];
	t->path[t->npath++] = v;
	t->open[t->nopen++] = v;
}

static void components_from(struct forest *f, struct tarjan *t, uint32_t root)
{
	enter(f, t, root);
	while (t->npath) {
		uint32_t v = t->path[t->npath - 1];
		if (t->next[v] < f->starts[v + 1]) {
			uint32_t w = f->children[t->next[v]++];
			if (t->index[w] == NONE)
				enter(f, t, w);
			else if (t->component[w] == NONE && t->index[w] < t->low[v])
				t->low[v] = t->index[w];
			continue;
		}
		t->npath--;
		if (t->low[v] == t->index[v])
			component_end(f, t, v);
		if (t->npath && t->low[v] < t->low[t->path[t->npath - 1]])
			t->low[t->path[t->npath - 1]] = t->low[v];
	}
}

/* A root for each component that nothing outside leads into: its first node. */
static err_t find_roots(struct forest *f, const struct tarjan *t, const bool *kept)
{
	bool *led = calloc(t->ncomponents + 1, 1);
	f->roots = calloc(t->ncomponents + 1, sizeof *f->roots);
	if (!led || !f->roots) {
		free(led);
		return ERR_NOMEM;
	}
	for (uint32_t v = 0; v < f->n; v++)
		for (uint32_t k = f->starts[v]; k < f->starts[v + 1]; k++)
			if (t->component[f->children[k]] != t->component[v])
				led[t->component[f->children[k]]] = true;
	for (uint32_t v = 0; v < f->n; v++) {
		if ((kept && !kept[v]) || led[t->component[v]])
			continue;
		led[t->component[v]] = true;
		f->roots[f->nroots++] = v;
	}
	free(led);
	return NULL;
}

static err_t structure(struct forest *f, const bool *kept)
{
	struct tarjan t = { 0 };
	size_t n = f->n + 1;
	uint32_t *memory = calloc(n * 6, sizeof *memory);
	f->cycles = calloc(n, sizeof *f->cycles);
	f->cycle_starts = calloc(n + 1, sizeof *f->cycle_starts);
	if (!memory || !f->cycles || !f->cycle_starts) {
		free(memory);
		return ERR_NOMEM;
	}
	t.index = memory;
	t.low = memory + n;
	t.component = memory + 2 * n;
	t.next = memory + 3 * n;
	t.path = memory + 4 * n;
	t.open = memory + 5 * n;
	memset(t.index, 0xFF, n * sizeof *memory);
	memset(t.component, 0xFF, n * sizeof *memory);
	for (uint32_t v = 0; v < f->n; v++)
		if ((!kept || kept[v]) && t.index[v] == NONE)
			components_from(f, &t, v);
	err_t e = find_roots(f, &t, kept);
	free(memory);
	return e;
}

err_t forest_make(struct forest *f, size_t n, const struct edge *edges, size_t nedges, const bool *kept)
{
	*f = (struct forest){ .n = n };
	if (n >= NONE || nedges >= NONE)
		return ERR_NOMEM;
	err_t e = adjacency(f, edges, nedges, kept, false);
	if (!e)
		e = structure(f, kept);
	if (e)
		forest_free(f);
	return e;
}

void forest_free(struct forest *f)
{
	free(f->starts);
	free(f->children);
	free(f->roots);
	free(f->cycle_starts);
	free(f->cycles);
	*f = (struct forest){ 0 };
}

enum { SEEN = 1, ON_PATH = 2 };

struct walker {
	uint8_t *marks;
	uint32_t *path, *next;
	size_t depth;
	void (*step)(void *, const struct forest_step *);
	void *ctx;
};

/* Enters node; it is put on the path when it has to be expanded. */
static void visit(const struct forest *f, struct walker *w, uint32_t node, bool last)
{
	struct forest_step s = { .node = node, .depth = w->depth, .last = last,
				 .again = w->marks[node] & SEEN, .cycle = w->marks[node] & ON_PATH };
	w->step(w->ctx, &s);
	if (s.again) {
		s.leave = true;
		w->step(w->ctx, &s);
		return;
	}
	w->marks[node] = SEEN | ON_PATH;
	w->path[w->depth] = node;
	w->next[w->depth++] = f->starts[node];
}

static void walk_from(const struct forest *f, struct walker *w, uint32_t root, bool last)
{
	visit(f, w, root, last);
	while (w->depth) {
		uint32_t v = w->path[w->depth - 1], *k = &w->next[w->depth - 1], end = f->starts[v + 1];
		if (*k < end) {
			uint32_t child = f->children[(*k)++];
			visit(f, w, child, *k == end);
			continue;
		}
		w->depth--;
		w->marks[v] = SEEN;
		w->step(w->ctx, &(struct forest_step){ .node = v, .depth = w->depth, .leave = true });
	}
}

err_t forest_walk(const struct forest *f, void (*step)(void *ctx, const struct forest_step *s), void *ctx)
{
	struct walker w = { .step = step, .ctx = ctx };
	w.marks = calloc(f->n + 1, 1);
	w.path = calloc(f->n + 1, sizeof *w.path);
	w.next = calloc(f->n + 1, sizeof *w.next);
	bool fine = w.marks && w.path && w.next;
	for (size_t i = 0; i < f->nroots && fine; i++)
		walk_from(f, &w, f->roots[i], i + 1 == f->nroots);
	free(w.marks);
	free(w.path);
	free(w.next);
	return fine ? NULL : ERR_NOMEM;
}

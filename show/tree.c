#include "show/tree.h"

#include <stdlib.h>

#include "query/coalesce.h"
#include "show/json_types.h"
#include "show/list_look.h"

const struct task *tree_task(const struct tree *g, size_t node)
{
	return g->tasks.rows[node];
}

static bool add_edge(struct tree *g, uint32_t parent, uint32_t child)
{
	return vec_push(&g->edges, (struct edge){ parent, child });
}

static bool node_of(const struct tree *g, uint64_t id, uint32_t *node)
{
	uint64_t v;
	if (!id || !map_get(&g->index, id, &v))
		return false;
	*node = (uint32_t)(v - 1);
	return true;
}

static bool await_edges(struct tree *g)
{
	for (size_t i = 0; i < g->s->ntasks; i++)
		for (size_t k = 0; k < tree_task(g, i)->nawaited_by; k++) {
			uint32_t parent;
			if (node_of(g, tree_task(g, i)->awaited_by[k], &parent) &&
			    !add_edge(g, parent, (uint32_t)i))
				return false;
		}
	return true;
}

static bool group_edges(struct tree *g)
{
	for (size_t i = 0; i < g->s->ngroups; i++) {
		const struct group *x = &g->s->groups[i];
		uint32_t self = (uint32_t)(g->s->ntasks + i), node;
		if (node_of(g, x->owner, &node) && !add_edge(g, node, self))
			return false;
		for (size_t k = 0; k < x->ntasks; k++)
			if (node_of(g, x->tasks[k], &node) && !add_edge(g, self, node))
				return false;
	}
	return true;
}

/* What the options select, and all that leads to it. */
static err_t keep(struct tree *g, const struct args *a, size_t n)
{
	struct selection sel;
	TRY(selection_parse(&sel, a));
	g->kept = calloc(n + 1, 1);
	if (!g->kept)
		return ERR_NOMEM;
	for (size_t i = 0; i < g->s->ntasks; i++) {
		struct subject x;
		list_tasks.subject(tree_task(g, i), &x);
		g->kept[i] = selection_matches(&sel, &x);
		g->unjudged += selection_cannot_judge(&sel, &x);
	}
	/* By group, only tasks that a group holds or that own one are drawn. */
	for (size_t i = g->s->ntasks; i < n; i++)
		g->kept[i] = !selection_any(&sel);
	if (!selection_any(&sel))
		return NULL;
	return forest_keep_ancestors(n, g->edges.v, g->edges.n, g->kept);
}

static void leave_ungrouped(struct tree *g)
{
	bool *in = calloc(g->s->ntasks + g->s->ngroups + 1, 1);
	for (size_t i = 0; in && i < g->edges.n; i++)
		in[g->edges.v[i].parent] = in[g->edges.v[i].child] = true;
	for (size_t i = 0; in && i < g->s->ntasks; i++)
		g->kept[i] = g->kept[i] && in[i];
	free(in);
}

static bool alike(const void *ctx, uint32_t a, uint32_t b)
{
	const struct tree *g = ctx;
	return a < g->s->ntasks && b < g->s->ntasks && tasks_alike(tree_task(g, a), tree_task(g, b));
}

static uint64_t likeness(const void *ctx, uint32_t node)
{
	const struct tree *g = ctx;
	return node < g->s->ntasks ? task_likeness(tree_task(g, node)) : node;
}

/* The forest anew, without those that a sibling stands for. */
static err_t coalesce_tree(struct tree *g, size_t n)
{
	TRY(siblings_find(&g->same, &g->forest, alike, likeness, g));
	bool *drawn = calloc(n + 1, sizeof *drawn);
	if (!drawn)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		drawn[i] = g->kept[i] && !g->same.dropped[i];
	forest_free(&g->forest);
	err_t e = forest_make(&g->forest, n, g->edges.v, g->edges.n, drawn);
	free(drawn);
	return e;
}

err_t tree_make(struct tree *g, const struct snapshot *s, const struct args *a, bool grouped)
{
	size_t n = s->ntasks + (grouped ? s->ngroups : 0);
	*g = (struct tree){ .s = s, .grouped = grouped };
	TRY(list_make(&g->tasks, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }));
	TRY(list_sort(&g->tasks, list_order(&list_tasks, a)));
	for (size_t i = 0; i < s->ntasks; i++)
		if (tree_task(g, i)->id && !map_set(&g->index, tree_task(g, i)->id, i + 1))
			return ERR_NOMEM;
	if (!(grouped ? group_edges(g) : await_edges(g)))
		return ERR_NOMEM;
	TRY(keep(g, a, n));
	if (grouped)
		leave_ungrouped(g);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): g owns it */
	TRY(forest_make(&g->forest, n, g->edges.v, g->edges.n, g->kept));
	return opt_given(a, "coalesce") ? coalesce_tree(g, n) : NULL;
}

void tree_free(struct tree *g)
{
	list_free(&g->tasks);
	map_free(&g->index);
	vec_free(&g->edges);
	free(g->kept);
	forest_free(&g->forest);
	siblings_free(&g->same);
}

struct writing { struct json *j; const struct tree *g; };

static void node_json(void *ctx, const struct forest_step *s)
{
	struct writing *w = ctx;
	struct json *j = w->j;
	const struct task *t = tree_task(w->g, s->node);
	if (s->leave) {
		json_array_end(j);
		json_object_end(j);
		return;
	}
	json_object(j);
	json_key(j, "task");
	json_id(j, t->id);
	json_key(j, "name");
	json_str(j, t->name);
	json_key(j, "repeated");
	json_bool(j, s->again);
	if (w->g->same.count) {
		json_key(j, "count");
		json_int(j, s->again ? 1 : w->g->same.count[s->node]);
	}
	json_key(j, "children");
	json_array(j);
}

err_t json_tree(struct json *j, const struct tree *g)
{
	struct writing w = { j, g };
	const struct forest *f = &g->forest;
	const struct snapshot *s = g->s;
	json_key(j, "roots");
	json_array(j);
	TRY(forest_walk(f, node_json, &w));
	json_array_end(j);
	json_key(j, "groups");
	json_array(j);
	for (size_t i = 0; i < s->ngroups; i++)
		json_group(j, &s->groups[i]);
	json_array_end(j);
	json_key(j, "cycles");
	json_array(j);
	for (size_t i = 0; i < f->ncycles; i++) {
		json_array(j);
		for (uint32_t k = f->cycle_starts[i]; k < f->cycle_starts[i + 1]; k++)
			json_id(j, tree_task(g, f->cycles[k])->id);
		json_array_end(j);
	}
	json_array_end(j);
	return NULL;
}

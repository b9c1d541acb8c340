/* tree: who awaits whom, or with --groups which task group holds whom. */
#include "base/vec.h"
#include "cmd/command.h"
#include "query/coalesce.h"
#include "query/forest.h"
#include "query/siblings.h"
#include "show/json_types.h"
#include "show/list_look.h"
#include "query/shape.h"
#include "base/fit.h"
#include "show/wrap.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* Lines of branches are drawn this deep; deeper nodes say their depth instead, for in
 * a chain of n tasks the branches alone would take n² characters. */
#define DRAWN_DEPTH 48

/* Nodes: the tasks in the order of the list, then the groups. */
struct graph {
	const struct snapshot *s;
	struct list tasks;
	struct map index;        /* id → node + 1 */
	struct VEC(struct edge) edges;
	bool *kept;
	struct forest forest;
	struct siblings same;    /* with --coalesce */
	bool grouped;
	size_t unjudged;         /* tasks left out for want of knowledge */
};

struct drawing {
	struct call *c;
	const struct graph *g;
	struct strbuf text, line;
	struct strbuf hang;      /* what the rest of a line that is broken starts with */
	bool last[DRAWN_DEPTH + 1];
};

static const struct task *task_at(const struct graph *g, size_t node)
{
	return g->tasks.rows[node];
}

static bool add_edge(struct graph *g, uint32_t parent, uint32_t child)
{
	return vec_push(&g->edges, (struct edge){ parent, child });
}

static bool node_of(const struct graph *g, uint64_t id, uint32_t *node)
{
	uint64_t v;
	if (!id || !map_get(&g->index, id, &v))
		return false;
	*node = (uint32_t)(v - 1);
	return true;
}

static bool await_edges(struct graph *g)
{
	for (size_t i = 0; i < g->s->ntasks; i++)
		for (size_t k = 0; k < task_at(g, i)->nawaited_by; k++) {
			uint32_t parent;
			if (node_of(g, task_at(g, i)->awaited_by[k], &parent) &&
			    !add_edge(g, parent, (uint32_t)i))
				return false;
		}
	return true;
}

static bool group_edges(struct graph *g)
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
static err_t keep(struct graph *g, const struct args *a, size_t n)
{
	struct selection sel;
	TRY(selection_parse(&sel, a));
	g->kept = calloc(n + 1, 1);
	if (!g->kept)
		return ERR_NOMEM;
	for (size_t i = 0; i < g->s->ntasks; i++) {
		struct subject x;
		list_tasks.subject(task_at(g, i), &x);
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

static void leave_ungrouped(struct graph *g)
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
	const struct graph *g = ctx;
	return a < g->s->ntasks && b < g->s->ntasks && tasks_alike(task_at(g, a), task_at(g, b));
}

static uint64_t likeness(const void *ctx, uint32_t node)
{
	const struct graph *g = ctx;
	return node < g->s->ntasks ? task_likeness(task_at(g, node)) : node;
}

/* The forest anew, without those that a sibling stands for. */
static err_t coalesce_tree(struct graph *g, size_t n)
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

static err_t graph_make(struct graph *g, const struct snapshot *s, const struct args *a, bool grouped)
{
	size_t n = s->ntasks + (grouped ? s->ngroups : 0);
	*g = (struct graph){ .s = s, .grouped = grouped };
	TRY(list_make(&g->tasks, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }));
	TRY(list_sort(&g->tasks, list_order(&list_tasks, a)));
	for (size_t i = 0; i < s->ntasks; i++)
		if (task_at(g, i)->id && !map_set(&g->index, task_at(g, i)->id, i + 1))
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

static void graph_free(struct graph *g)
{
	list_free(&g->tasks);
	map_free(&g->index);
	vec_free(&g->edges);
	free(g->kept);
	forest_free(&g->forest);
	siblings_free(&g->same);
}

/* How deep branches are drawn: half of a terminal is for the tasks. */
static size_t drawn_depth(const struct drawing *d)
{
	size_t fits = d->c->term.width / 2 / 3;
	return d->c->term.width && fits < DRAWN_DEPTH ? fits : DRAWN_DEPTH;
}

static void branches(struct drawing *d, const struct forest_step *s)
{
	struct strbuf *b = &d->c->out->b;
	size_t most = drawn_depth(d), depth = s->depth < most ? s->depth : most;
	strbuf_clear(&d->hang);
	for (size_t i = 1; i < depth; i++)
		strbuf_str(&d->hang, d->last[i] ? "   " : "│  ");
	strbuf_str(b, d->hang.s ? d->hang.s : "");
	if (depth) {
		strbuf_str(b, s->last ? "└─ " : "├─ ");
		strbuf_str(&d->hang, s->last ? "   " : "│  ");
	}
	strbuf_str(&d->hang, "    ");
	d->last[depth] = s->last;
	if (s->depth > most)
		strbuf_fmt(b, "(%zu deep) ", s->depth);
}

/* Text of the target, with colour. */
static void put(struct drawing *d, const char *sgr)
{
	strbuf_clear(&d->line);
	strbuf_escaped(&d->line, d->text.s ? d->text.s : "");
	term_sgr(&d->c->term, &d->c->out->b, sgr, d->line.s ? d->line.s : "");
	strbuf_clear(&d->text);
}

/* The name of the task, which may be of any length, cut to half of a terminal. */
static void put_name(struct drawing *d, const struct task *t)
{
	struct strbuf *b = &d->text;
	shape_name(b, t->name, t->id);
	if (d->c->term.width) {
		strbuf_clear(&d->line);
		strbuf_escaped(&d->line, b->s ? b->s : "");
		strbuf_clear(b);
		fit_cut(b, d->line.s ? d->line.s : "", d->c->term.width / 2, FIT_KEEP_BOTH);
	}
	put(d, "1");
}

static void group_line(struct drawing *d, const struct group *x)
{
	strbuf_str(&d->text, x->kind ? x->kind : "group");
	if (x->name)
		strbuf_fmt(&d->text, " %s", x->name);
	put(d, "1");
	strbuf_fmt(&d->text, "  %zu task%s%s  ", x->ntasks, x->ntasks == 1 ? "" : "s",
		   x->aborting ? ", aborting" : "");
	strbuf_hex(&d->text, x->id);
	put(d, NULL);
}

static void task_line(struct drawing *d, const struct task *t, const struct forest_step *s)
{
	if (d->g->same.count && !s->again && d->g->same.count[s->node] > 1) {
		strbuf_fmt(&d->text, "×%u ", d->g->same.count[s->node]);
		put(d, "1");
	}
	put_name(d, t);
	strbuf_fmt(&d->text, "  %s  ", task_body(t) ? task_body(t) : "?");
	put(d, NULL);
	if (s->again) {
		strbuf_str(&d->text, s->cycle ? "(a cycle: see above)" : "(see above)");
		put(d, s->cycle ? "31" : NULL);
		return;
	}
	strbuf_str(&d->text, task_state_name(t->state));
	put(d, shape_state_colour(t->state));
	strbuf_str(&d->text, ": ");
	if (!shape_wait(&d->text, d->g->s, t))
		strbuf_clear(&d->text);
	strbuf_str(&d->text, "  ");
	strbuf_hex(&d->text, t->id);
	put(d, NULL);
}

static void draw(void *ctx, const struct forest_step *s)
{
	struct drawing *d = ctx;
	if (s->leave)
		return;
	size_t from = d->c->out->b.len;
	branches(d, s);
	if (s->node < d->g->s->ntasks)
		task_line(d, task_at(d->g, s->node), s);
	else
		group_line(d, &d->g->s->groups[s->node - d->g->s->ntasks]);
	wrap_line(&d->c->out->b, from, d->c->term.width, d->hang.s ? d->hang.s : "");
	strbuf_char(&d->c->out->b, '\n');
	out_tick(d->c->out);
}

static void node_json(void *ctx, const struct forest_step *s)
{
	struct drawing *d = ctx;
	struct json *j = &d->c->json;
	const struct task *t = task_at(d->g, s->node);
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
	if (d->g->same.count) {
		json_key(j, "count");
		json_int(j, s->again ? 1 : d->g->same.count[s->node]);
	}
	json_key(j, "children");
	json_array(j);
}

static err_t answer_json(struct drawing *d)
{
	struct json *j = &d->c->json;
	const struct forest *f = &d->g->forest;
	const struct snapshot *s = d->g->s;
	json_key(j, "roots");
	json_array(j);
	TRY(forest_walk(f, node_json, d));
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
			json_id(j, task_at(d->g, f->cycles[k])->id);
		json_array_end(j);
	}
	json_array_end(j);
	return NULL;
}

static err_t answer_text(struct drawing *d)
{
	struct strbuf *b = &d->c->out->b;
	const struct graph *g = d->g;
	size_t shown = 0;
	if (d->c->many)
		strbuf_fmt(b, "%sPID %d: python %s, %zu task%s\n", d->c->shown > 1 ? "\n" : "",
			   (int)g->s->pid, g->s->python, g->s->ntasks, g->s->ntasks == 1 ? "" : "s");
	TRY(forest_walk(&g->forest, draw, d));
	for (size_t i = 0; i < g->s->ntasks; i++)
		shown += g->kept[i];
	if (shown < g->s->ntasks)
		strbuf_fmt(b, "%zu of %zu task%s\n", shown, g->s->ntasks, g->s->ntasks == 1 ? "" : "s");
	if (g->forest.ncycles)
		strbuf_fmt(b, "%zu cycle%s: these tasks wait for each other\n", g->forest.ncycles,
			   g->forest.ncycles == 1 ? "" : "s");
	return NULL;
}

static err_t answer(struct call *c, struct snapshot *s)
{
	struct graph g = { 0 };
	struct drawing d = { .c = c, .g = &g };
	/* JSON has both at once: who awaits whom in "roots", and "groups". */
	err_t e = graph_make(&g, s, &c->args, opt_given(&c->args, "groups") && !c->as_json);
	if (!e) {
		list_say_unjudged(s, g.unjudged, "tasks");
		call_answer(c, s);
		e = c->as_json ? answer_json(&d) : answer_text(&d);
	}
	strbuf_free(&d.text);
	strbuf_free(&d.line);
	strbuf_free(&d.hang);
	graph_free(&g);
	return e;
}

static int tree_run(struct call *c)
{
	struct snapshot *s = NULL;
	struct selection sel;
	err_t e = selection_parse(&sel, &c->args);
	if (!e)
		e = call_snapshot(c, 0, &s);
	if (!e)
		e = answer(c, s);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

static const struct option tree_options[] = {
	{ "groups", 'g', NULL, "draw task groups and the tasks they hold" },
	{ "coalesce", 0, NULL, "tasks side by side that are alike, with all below them, once, with a count" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_tree = {
	.name = "tree",
	.arguments = "",
	.summary = "who awaits whom",
	.description = "Draws each task under those that await it. A task that several await is drawn "
		       "whole under the first and named under the others; tasks that wait for each other "
		       "in a cycle are marked. Filters keep what matches and all that awaits it.",
	.options = tree_options,
	.flags = CMD_TARGET | CMD_MANY | CMD_CORE | CMD_SELECT | CMD_PAGER,
	.run = tree_run,
};

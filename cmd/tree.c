/* tree: who awaits whom, or with --groups which task group holds whom. */
#include "cmd/command.h"
#include "base/fit.h"
#include "query/shape.h"
#include "show/tree.h"
#include "show/wrap.h"

/* Lines of branches are drawn this deep; deeper nodes say their depth instead, for in
 * a chain of n tasks the branches alone would take n² characters. */
#define DRAWN_DEPTH 48

struct drawing {
	struct call *c;
	const struct tree *g;
	struct strbuf text, line;
	struct strbuf hang;      /* what the rest of a line that is broken starts with */
	bool last[DRAWN_DEPTH + 1];
};

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
		task_line(d, tree_task(d->g, s->node), s);
	else
		group_line(d, &d->g->s->groups[s->node - d->g->s->ntasks]);
	wrap_line(&d->c->out->b, from, d->c->term.width, d->hang.s ? d->hang.s : "");
	strbuf_char(&d->c->out->b, '\n');
	out_tick(d->c->out);
}

static err_t answer_text(struct drawing *d)
{
	struct strbuf *b = &d->c->out->b;
	const struct tree *g = d->g;
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
	struct tree g = { 0 };
	struct drawing d = { .c = c, .g = &g };
	/* JSON has both at once: who awaits whom in "roots", and "groups". */
	err_t e = tree_make(&g, s, &c->args, opt_given(&c->args, "groups") && !c->as_json);
	if (!e) {
		list_say_unjudged(s, g.unjudged, "tasks");
		call_answer(c, s);
		e = c->as_json ? json_tree(&c->json, &g) : answer_text(&d);
	}
	strbuf_free(&d.text);
	strbuf_free(&d.line);
	strbuf_free(&d.hang);
	tree_free(&g);
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
	if (!e && !s->ntasks)
		call_note(c, "no task lives");
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

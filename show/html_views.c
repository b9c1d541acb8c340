/* The tree, the threads, findings, and what tasks wait for in the end, as pages. */
#include "show/html_page.h"

#include "query/findings.h"
#include "query/shape.h"
#include "show/tree.h"

/* Lines of a tree on one page, and how deep branches are drawn. */
#define LINES_MOST 2000
#define DRAWN_DEPTH 24
/* Tasks named in one finding. */
#define NAMED 20

struct drawing {
	const struct page_view *p;
	const struct tree *g;
	struct strbuf text;
	size_t lines;
	bool last[DRAWN_DEPTH + 1];
};

static void branches(struct drawing *d, const struct forest_step *s)
{
	size_t depth = s->depth < DRAWN_DEPTH ? s->depth : DRAWN_DEPTH;
	for (size_t i = 1; i < depth; i++)
		strbuf_str(d->p->b, d->last[i] ? "   " : "│  ");
	if (depth)
		strbuf_str(d->p->b, s->last ? "└─ " : "├─ ");
	d->last[depth] = s->last;
	if (s->depth > DRAWN_DEPTH)
		strbuf_fmt(d->p->b, "(%zu deep) ", s->depth);
}

static void group_line(struct drawing *d, const struct group *x)
{
	struct strbuf *b = d->p->b;
	strbuf_str(b, "<b>");
	html_text(b, x->kind ? x->kind : "group");
	if (x->name) {
		strbuf_char(b, ' ');
		html_text(b, x->name);
	}
	strbuf_fmt(b, "</b>  %zu task%s%s", x->ntasks, x->ntasks == 1 ? "" : "s", x->aborting ? ", aborting" : "");
}

static void task_line(struct drawing *d, const struct task *t, const struct forest_step *s)
{
	struct strbuf *b = d->p->b;
	html_task_link(d->p, t->id, t->name);
	strbuf_str(b, "  ");
	html_text(b, task_body(t));
	if (s->again) {
		strbuf_str(b, s->cycle ? "  <strong class=\"bad\">(a cycle: see above)</strong>" : "  (see above)");
		return;
	}
	strbuf_fmt(b, "  <span class=\"state %s\">%s</span>", task_state_name(t->state), task_state_name(t->state));
	strbuf_clear(&d->text);
	if (shape_wait(&d->text, d->p->s, t)) {
		strbuf_str(b, ": ");
		html_text(b, d->text.s);
	}
}

static void draw(void *ctx, const struct forest_step *s)
{
	struct drawing *d = ctx;
	if (s->leave || d->lines++ >= LINES_MOST)
		return;
	branches(d, s);
	if (s->node < d->p->s->ntasks)
		task_line(d, tree_task(d->g, s->node), s);
	else
		group_line(d, &d->p->s->groups[s->node - d->p->s->ntasks]);
	strbuf_char(d->p->b, '\n');
}

err_t html_tree(const struct page_view *p, const struct args *a, bool grouped)
{
	struct tree g = { 0 };
	struct drawing d = { .p = p, .g = &g };
	err_t e = tree_make(&g, p->s, a, grouped);
	if (!e) {
		page_begin(p, grouped ? "Groups" : "Tree", grouped ? "groups" : "tree");
		strbuf_str(p->b, "<form method=\"get\" class=\"filters\"><label>Name has <input name=\"filter\" value=\"");
		html_text(p->b, opt_value(a, "filter") ? opt_value(a, "filter") : "");
		strbuf_str(p->b, "\"></label> <button>Show</button></form>\n<pre class=\"tree\">");
		e = forest_walk(&g.forest, draw, &d);
		strbuf_str(p->b, "</pre>\n");
		if (d.lines > LINES_MOST)
			strbuf_fmt(p->b, "<p class=\"note\">%zu more lines are not shown: a name chooses those that matter.</p>\n",
				   d.lines - LINES_MOST);
		if (!d.lines)
			strbuf_str(p->b, grouped ? "<p>No task group has tasks.</p>\n" : "<p>There is no task.</p>\n");
		page_finish(p);
	}
	strbuf_free(&d.text);
	tree_free(&g);
	return e;
}

static void thread_frame(const struct page_view *p, const struct thread_frame *f)
{
	strbuf_str(p->b, f->kind == FRAME_NATIVE ? "<li class=\"native\"><b>" : "<li><b>");
	html_text(p->b, f->function);
	strbuf_str(p->b, "</b> <span>");
	if (f->file) {
		html_text(p->b, f->file);
		strbuf_fmt(p->b, ":%d", f->line);
	} else {
		strbuf_fmt(p->b, "0x%llx ", (unsigned long long)f->address);
		html_text(p->b, f->module ? f->module : "");
	}
	strbuf_str(p->b, "</span></li>\n");
}

static void signal_form(const struct page_view *p)
{
	static const char *const signals[] = { "SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL" };
	if (!p->form || p->ended || p->s->source != SNAPSHOT_OF_PROCESS)
		return;
	strbuf_fmt(p->b, "<form method=\"post\" action=\"/act\"><input type=\"hidden\" name=\"form\" value=\"%s\">"
			 "<input type=\"hidden\" name=\"target\" value=\"%s\"><input type=\"hidden\" name=\"do\" value=\"signal\">"
			 "<select name=\"signal\">", p->form, p->key);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		strbuf_fmt(p->b, "<option>%s</option>", signals[i]);
	strbuf_str(p->b, "</select> <button>Send this signal</button></form>\n");
}

void html_threads(const struct page_view *p)
{
	const struct snapshot *s = p->s;
	page_begin(p, "Threads", "threads");
	strbuf_fmt(p->b, "<p><a href=\"/t/%s/threads\">Python</a> <a href=\"/t/%s/threads?native=1\">with C frames</a></p>\n", p->key,
		   p->key);
	signal_form(p);
	for (size_t i = 0; i < s->nthreads; i++) {
		const struct thread_stack *t = &s->threads[i];
		strbuf_fmt(p->b, "<h2 id=\"thread-%d\">Thread %d ", (int)t->tid, (int)t->tid);
		html_text(p->b, t->name ? t->name : "");
		strbuf_str(p->b, t->gil == 1 ? " holds the GIL</h2>\n" : "</h2>\n");
		if (t->task) {
			strbuf_str(p->b, "<p>in task ");
			html_task_ref(p, t->task);
			strbuf_str(p->b, "</p>\n");
		}
		strbuf_str(p->b, "<ol class=\"stack\">\n");
		for (size_t k = 0; k < t->nframes; k++)
			thread_frame(p, &t->frames[k]);
		strbuf_str(p->b, "</ol>\n");
		if (t->broken) {
			strbuf_str(p->b, "<p class=\"note\">");
			html_text(p->b, t->broken);
			strbuf_str(p->b, "</p>\n");
		}
	}
	page_finish(p);
}

static void named(const struct page_view *p, const uint64_t *ids, size_t n)
{
	strbuf_str(p->b, n ? "<p class=\"tasks\">" : "");
	for (size_t i = 0; i < n && i < NAMED; i++) {
		strbuf_str(p->b, i ? ", " : "");
		html_task_ref(p, ids[i]);
	}
	if (n > NAMED)
		strbuf_fmt(p->b, ", and %zu more", n - NAMED);
	strbuf_str(p->b, n ? "</p>" : "");
}

void html_findings(const struct page_view *p)
{
	const struct snapshot *s = p->s;
	page_begin(p, "Findings", "check");
	strbuf_str(p->b, s->nfindings ? "<ul class=\"findings\">\n" : "<p>Nothing was found.</p>\n");
	for (size_t i = 0; i < s->nfindings; i++) {
		const struct finding *f = &s->findings[i];
		strbuf_fmt(p->b, "<li class=\"%s\"><b>%s</b> [%s] ", severity_name((int)f->severity), severity_name((int)f->severity), f->rule);
		html_text(p->b, f->message);
		named(p, f->tasks, f->ntasks);
		strbuf_str(p->b, "</li>\n");
	}
	strbuf_str(p->b, s->nfindings ? "</ul>\n" : "");
	page_finish(p);
}

void html_why(const struct page_view *p, const struct why *y)
{
	page_begin(p, "Why", "why");
	strbuf_str(p->b, y->nroots ? "<ul class=\"findings\">\n" : "<p>No task waits.</p>\n");
	for (size_t i = 0; i < y->nroots && i < LINES_MOST; i++) {
		const struct root *r = &y->roots[i];
		strbuf_fmt(p->b, "<li class=\"%s\"><b>%s</b> ", r->kind == ROOT_DEADLOCK ? "error" : "info", root_kind_name(r->kind));
		html_text(p->b, r->message);
		if (r->task)
			named(p, &r->task, 1);
		else
			named(p, r->tasks, r->ntasks);
		strbuf_str(p->b, "</li>\n");
	}
	strbuf_str(p->b, y->nroots ? "</ul>\n" : "");
	page_finish(p);
}

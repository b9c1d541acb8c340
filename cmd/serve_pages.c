/* Which page is at which address, and what it needs. */
#include "cmd/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/source.h"
#include "query/resolve.h"
#include "show/ended.h"
#include "show/html_page.h"
#include "show/list_look.h"

#define KEPT 4

/* What one request is about. */
struct visit {
	struct watches *ws;
	struct watched *w;
	const struct asked *asked;
	const struct look *look;
	struct snapshot view;
	struct args args;
	struct page_view page;
	struct source source;
};

/* Lists that were selected and sorted, of looks that are kept: paging through a long one
 * does that once. */
static struct kept {
	struct watched *w;
	uint64_t look;
	char *query;
	struct list l;
	struct tallies t;
} kept[KEPT];
static size_t next_kept;

static void kept_free(struct kept *k)
{
	tallies_free(&k->t);
	list_free(&k->l);
	free(k->query);
	*k = (struct kept){ 0 };
}

void pages_forget(const struct watched *w, uint64_t look)
{
	for (size_t i = 0; i < KEPT; i++)
		if (kept[i].w == w && kept[i].look == look)
			kept_free(&kept[i]);
}

/* What the list is of: all of the request but which page, and of which look. */
static char *query_of(const struct asked *a)
{
	struct strbuf b = { 0 };
	struct field v[WIRE_FIELDS];
	size_t n = 0;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, "look") != 0)
			v[n++] = a->v[i];
	strbuf_str(&b, a->path);
	url_query(&b, v, n, "page", NULL);
	return b.s;
}

static err_t list_of(struct visit *x, const struct list_kind *kind, struct rows rows, struct kept **out)
{
	char *query = query_of(x->asked);
	if (!query)
		return ERR_NOMEM;
	for (size_t i = 0; i < KEPT; i++)
		if (kept[i].w == x->w && kept[i].look == x->look->number && strcmp(kept[i].query, query) == 0) {
			free(query);
			*out = &kept[i];
			return NULL;
		}
	struct kept *k = *out = &kept[next_kept++ % KEPT];
	kept_free(k);
	*k = (struct kept){ .w = x->w, .look = x->look->number, .query = query };
	err_t e = list_check(kind, &x->args);
	if (!e)
		e = list_make(&k->l, kind, x->look->s, rows);
	if (!e)
		e = list_query(&k->l, &x->args, &k->t);
	if (e)
		kept_free(k);
	return e;
}

static err_t list_page(struct visit *x, const struct list_kind *kind, struct rows rows, const char *view)
{
	struct kept *k = NULL;
	size_t page = 1;
	const char *number = asked_field(x->asked, "page"), *by = opt_value(&x->args, "group-by");
	if (number && *number)
		TRY(count_parse("page", number, &page));
	TRY(list_of(x, kind, rows, &k));
	list_say_unjudged(&x->view, k->l.unjudged, kind->noun);
	if (by)
		html_groups(&x->page, &k->l, &k->t, by, view);
	else
		html_list(&x->page, &k->l, page > 0 && page < SIZE_MAX / PAGE_ROWS ? (page - 1) * PAGE_ROWS : 0, view);
	return NULL;
}

static err_t tasks(struct visit *x)
{
	const struct snapshot *s = x->look->s;
	return list_page(x, &list_tasks, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }, "tasks");
}

static err_t ended(struct visit *x)
{
	const struct snapshot *s = x->look->s;
	TRY(ended_check(s));
	return list_page(x, &list_ended, (struct rows){ s->ended, s->nended, sizeof *s->ended }, "ended");
}

static const char *id_of(const struct visit *x)
{
	const char *id = asked_field(x->asked, "id");
	return id ? id : "";
}

/* The file may be one that the target has changed since: source_line() sees to that. */
static bool source_of(void *ctx, const struct frame *f, struct strbuf *b)
{
	const struct source_place at = { f->function, f->file, f->line, f->first };
	return f->file && source_line(ctx, &at, b);
}

static err_t task(struct visit *x)
{
	struct why y;
	const struct task *t = NULL;
	TRY(resolve_task(&x->view, id_of(x), &t));
	err_t e = why_make(&y, &x->view);
	if (!e && x->w->cap && x->w->cap->target) {
		x->source = (struct source){ .target = x->w->cap->target, .python = x->view.python };
		x->page.source = source_of;
		x->page.ctx = &x->source;
	}
	if (!e)
		html_task(&x->page, t, &y);
	why_free(&y);
	source_free(&x->source);
	return e;
}

static err_t ended_task(struct visit *x)
{
	const struct ended *t = NULL;
	TRY(ended_check(&x->view));
	TRY(resolve_ended(&x->view, id_of(x), &t));
	html_ended(&x->page, t);
	return NULL;
}

static err_t tree(struct visit *x) { return html_tree(&x->page, &x->args, false); }
static err_t groups(struct visit *x) { return html_tree(&x->page, &x->args, true); }

static err_t threads(struct visit *x)
{
	html_threads(&x->page);
	return NULL;
}

static err_t check(struct visit *x)
{
	TRY(findings_of(x->w, x->look, &x->view));
	html_findings(&x->page);
	return NULL;
}

static err_t why(struct visit *x)
{
	struct why y;
	err_t e = why_make(&y, &x->view);
	if (!e)
		html_why(&x->page, &y);
	why_free(&y);
	return e;
}

static const struct { const char *name, *command; enum look_kind kind; err_t (*show)(struct visit *x); } pages[] = {
	{ "tasks", "ps", LOOK_LIVE, tasks },
	{ "task", "where", LOOK_LIVE, task },
	{ "tree", "tree", LOOK_LIVE, tree },
	{ "groups", "tree", LOOK_LIVE, groups },
	{ "ended", "ps-terminated", LOOK_LIVE, ended },
	{ "ended-task", "where-terminated", LOOK_LIVE, ended_task },
	{ "threads", "stacktrace", LOOK_LIVE, threads },
	{ "check", "check", LOOK_DONE, check },
	{ "why", "why", LOOK_LIVE, why },
};
#define PAGES (sizeof pages / sizeof *pages)

/* ---- requests ---- */

static struct page_view view_of(const struct watches *ws, const struct asked *a, struct reply *r)
{
	return (struct page_view){
		.b = &r->body, .path = a->path, .fields = a->v, .nfields = a->n, .interval = ws->o->interval,
		.form = ws->o->allow_actions ? ws->o->entry.form : NULL,
	};
}

static err_t visit(struct visit *x, size_t page, struct reply *r)
{
	static const char *const ours[] = { "page", "look", NULL };
	const char *number = asked_field(x->asked, "look");
	size_t look = 0;
	TRY(args_of_fields(&x->args, pages[page].command, x->asked, ours));
	if (number && *number)
		TRY(count_parse("look", number, &look));
	enum look_kind kind = opt_given(&x->args, "native") ? LOOK_NATIVE : pages[page].kind;
	TRY(watched_look(x->ws, x->w, kind, look, &x->look));
	TRY(snapshot_view(x->look->s, &x->view));
	x->page = view_of(x->ws, x->asked, r);
	x->page.key = x->w->key;
	x->page.command = x->w->command;
	x->page.s = &x->view;
	x->page.look = x->look->number;
	x->page.pinned = look && look == x->look->number;
	x->page.ended = x->w->ended;
	if (look && look != x->look->number)
		snapshot_note(&x->view, "The look that was asked for is not kept any more; this is a newer one.");
	return pages[page].show(x);
}

static err_t overview(struct watches *ws, const struct asked *a, struct reply *r)
{
	struct overview_row *v = calloc(ws->v.n + 1, sizeof *v);
	struct page_view p = view_of(ws, a, r);
	size_t n = 0;
	if (!v)
		return ERR_NOMEM;
	for (size_t i = 0; i < ws->v.n; i++) {
		struct watched *w = ws->v.v[i];
		const struct look *l = NULL;
		if (!watched_shown(w))
			continue;
		err_free(watched_look(ws, w, LOOK_LIVE, 0, &l));
		v[n++] = (struct overview_row){ w->key, w->command, w->trouble, w->ended, l ? l->s : NULL };
	}
	html_overview(&p, v, n);
	free(v);
	return NULL;
}

static err_t dispatch(struct watches *ws, const struct asked *a, struct reply *r)
{
	char key[24];
	const char *slash = strncmp(a->path, "/t/", 3) == 0 ? strchr(a->path + 3, '/') : NULL;
	size_t page = 0;
	if (strcmp(a->path, "/") == 0)
		return overview(ws, a, r);
	while (slash && page < PAGES && strcmp(pages[page].name, slash + 1) != 0)
		page++;
	if (!slash || page == PAGES || (size_t)(slash - a->path - 3) >= sizeof key)
		return err_new(E_NOTFOUND, "there is no such page");
	snprintf(key, sizeof key, "%.*s", (int)(slash - a->path - 3), a->path + 3);
	struct visit x = { .ws = ws, .w = watched_find(ws, key), .asked = a };
	if (!x.w)
		return err_new(E_NOTFOUND, "%s is no process that is watched, or it has ended", key);
	err_t e = visit(&x, page, r);
	snapshot_view_end(&x.view);
	args_free(&x.args);
	return e;
}

void serve_pages(struct watches *ws, const struct asked *a, struct reply *r)
{
	snprintf(r->type, sizeof r->type, "text/html; charset=utf-8");
	err_t e = dispatch(ws, a, r);
	if (e)
		reply_error(r, a, e);
}

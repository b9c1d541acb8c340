/* Lists of tasks, and of those that ended, as tables in pages. */
#include "show/html_page.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "show/ended.h"
#include "show/list_look.h"

#define COLUMNS_MAX 40

static const char *value_of(const struct page_view *p, const char *name)
{
	for (size_t i = 0; i < p->nfields; i++)
		if (strcmp(p->fields[i].name, name) == 0)
			return p->fields[i].value;
	return "";
}

/* This page with another value of a field, or without it. */
static void link_with(const struct page_view *p, const char *name, const char *value)
{
	struct strbuf url = { 0 };
	struct field kept[64];
	size_t n = 0;
	/* The first page of what is asked for anew, and of the newest look. */
	bool anew = strcmp(name, "page") != 0;
	for (size_t i = 0; i < p->nfields && n < 64; i++)
		if (!(anew && (strcmp(p->fields[i].name, "page") == 0 || strcmp(p->fields[i].name, "look") == 0)))
			kept[n++] = p->fields[i];
	url_encode(&url, p->path, "/");
	url_query(&url, kept, n, name, value);
	html_lines(p->b, url.s ? url.s : "");
	strbuf_free(&url);
}

static void lower(char *out, size_t size, const char *text)
{
	size_t i = 0;
	for (; text[i] && i + 1 < size; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[i] = '\0';
}

static void option_row(const struct page_view *p, const char *name, const char *label, const char *const *values)
{
	strbuf_fmt(p->b, "<label>%s <select name=\"%s\"><option value=\"\"></option>", label, name);
	for (; *values; values++)
		strbuf_fmt(p->b, "<option%s>%s</option>", strcmp(value_of(p, name), *values) == 0 ? " selected" : "", *values);
	strbuf_str(p->b, "</select></label>\n");
}

static void filters(const struct page_view *p, const struct list_kind *kind)
{
	static const struct { const char *name, *label; } texts[] = {
		{ "filter", "Name has" }, { "coro", "Coroutine" }, { "created", "Made at" }, { "older-than", "Older than" },
	};
	static const char *const live[] = { "running", "runnable", "waiting", NULL };
	static const char *const done[] = { "finished", "failed", "cancelled", NULL };
	const char *groups[COLUMNS_MAX + 1];
	size_t n = 0;
	for (; kind->groups_by[n] && n < COLUMNS_MAX; n++)
		groups[n] = kind->groups_by[n]->name;
	groups[n] = NULL;
	strbuf_str(p->b, "<form method=\"get\" class=\"filters\">\n");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		strbuf_fmt(p->b, "<label>%s <input name=\"%s\" value=\"", texts[i].label, texts[i].name);
		html_text(p->b, value_of(p, texts[i].name));
		strbuf_str(p->b, "\"></label>\n");
	}
	option_row(p, "state", "State", kind == &list_ended ? done : live);
	option_row(p, "group-by", "Group by", groups);
	strbuf_str(p->b, "<button>Show</button></form>\n");
}

static bool known(const struct column *c, const struct list *l, size_t from, size_t to)
{
	struct strbuf b = { 0 };
	bool some = false;
	for (size_t i = from; i < to && !some; i++)
		some = c->text(&b, l->snap, l->rows[i]);
	strbuf_free(&b);
	return some;
}

static size_t columns_of(const struct list *l, size_t from, size_t to, const struct column **out)
{
	size_t n = 0;
	for (const struct column *c = l->kind->columns; c->name && n < COLUMNS_MAX; c++)
		if (c->show == COL_DEFAULT || c->show == COL_SPARE || (c->show == COL_KNOWN && known(c, l, from, to)))
			out[n++] = c;
	return n;
}

static void heading(const struct page_view *p, const struct column *c)
{
	char name[32], down[48];
	lower(name, sizeof name, c->name);
	snprintf(down, sizeof down, "%s:desc", name);
	const char *now = value_of(p, "sort");
	bool up = strcmp(now, name) == 0;
	strbuf_fmt(p->b, "<th%s><a href=\"", up ? " aria-sort=\"ascending\"" : strcmp(now, down) == 0 ? " aria-sort=\"descending\"" : "");
	link_with(p, "sort", up ? down : name);
	strbuf_str(p->b, "\" title=\"");
	html_text(p->b, c->help);
	strbuf_fmt(p->b, "\">%s</a></th>", c->name);
}

static void cell(const struct page_view *p, const struct list *l, const struct column *c, const void *row, struct strbuf *text)
{
	strbuf_clear(text);
	bool is_known = c->text(text, l->snap, row);
	const char *shown = is_known && text->s ? text->s : NULL;
	strbuf_fmt(p->b, c->right ? "<td class=\"num\">" : "<td>");
	if (strcmp(c->name, "NAME") == 0 && l->kind == &list_tasks) {
		html_task_link(p, ((const struct task *)row)->id, shown);
	} else if (strcmp(c->name, "NAME") == 0 || strcmp(c->name, "SERIAL") == 0) {
		strbuf_fmt(p->b, "<a href=\"/t/%s/ended-task?id=%lld\">", p->key, (long long)((const struct ended *)row)->serial);
		html_text(p->b, shown ? shown : "-");
		strbuf_str(p->b, "</a>");
	} else if (strcmp(c->name, "STATE") == 0 || strcmp(c->name, "OUTCOME") == 0) {
		strbuf_fmt(p->b, "<span class=\"state %s\">%s</span>", shown ? shown : "", shown ? shown : "-");
	} else {
		html_text(p->b, shown ? shown : "-");
	}
	strbuf_str(p->b, "</td>");
}

static void page_link(const struct page_view *p, size_t page, const char *rel, const char *label)
{
	struct strbuf url = { 0 };
	char number[32];
	/* Pages of one look, so that none of its tasks is on two of them, or on none. */
	snprintf(number, sizeof number, "%llu", (unsigned long long)p->look);
	struct field v[64];
	size_t n = 0;
	for (size_t i = 0; i < p->nfields && n < 63; i++)
		if (strcmp(p->fields[i].name, "page") != 0 && strcmp(p->fields[i].name, "look") != 0)
			v[n++] = p->fields[i];
	v[n++] = (struct field){ "look", number };
	char of[32];
	snprintf(of, sizeof of, "%zu", page);
	url_encode(&url, p->path, "/");
	url_query(&url, v, n, "page", of);
	strbuf_fmt(p->b, "<a rel=\"%s\" href=\"", rel);
	html_lines(p->b, url.s ? url.s : "");
	strbuf_fmt(p->b, "\">%s</a> ", label);
	strbuf_free(&url);
}

static void pager(const struct page_view *p, const struct list *l, size_t from)
{
	size_t page = from / PAGE_ROWS + 1, last = l->n ? (l->n - 1) / PAGE_ROWS + 1 : 1;
	strbuf_fmt(p->b, "<p class=\"pager\">%zu of %zu %s", l->n, l->total, l->kind->noun);
	if (last > 1) {
		strbuf_fmt(p->b, ", page %zu of %zu ", page, last);
		if (page > 1) {
			page_link(p, 1, "first", "first");
			page_link(p, page - 1, "prev", "previous");
		}
		if (page < last) {
			page_link(p, page + 1, "next", "next");
			page_link(p, last, "last", "last");
		}
	}
	strbuf_str(p->b, "</p>\n");
}

void html_list(const struct page_view *p, const struct list *l, size_t from, const char *view)
{
	const struct column *columns[COLUMNS_MAX];
	struct strbuf text = { 0 };
	from = from < l->n ? from - from % PAGE_ROWS : l->n ? (l->n - 1) - (l->n - 1) % PAGE_ROWS : 0;
	size_t to = l->n - from < PAGE_ROWS ? l->n : from + PAGE_ROWS, n = columns_of(l, from, to, columns);
	page_begin(p, l->kind->noun, view);
	filters(p, l->kind);
	pager(p, l, from);
	strbuf_str(p->b, "<div class=\"wide\"><table><thead><tr>");
	for (size_t c = 0; c < n; c++)
		heading(p, columns[c]);
	strbuf_str(p->b, "</tr></thead><tbody>\n");
	for (size_t i = from; i < to; i++) {
		strbuf_str(p->b, "<tr>");
		for (size_t c = 0; c < n; c++)
			cell(p, l, columns[c], l->rows[i], &text);
		strbuf_str(p->b, "</tr>\n");
	}
	strbuf_str(p->b, "</tbody></table></div>\n");
	pager(p, l, from);
	page_finish(p);
	strbuf_free(&text);
}

/* A group whose key is what a filter takes leads to its rows. */
static const char *filter_of(const char *by)
{
	return strcmp(by, "coro") == 0 ? "filter" : strcmp(by, "created") == 0 ? "created" : strcmp(by, "state") == 0 ? "state" : NULL;
}

void html_groups(const struct page_view *p, const struct list *l, const struct tallies *t, const char *by, const char *view)
{
	const char *filter = filter_of(by);
	struct page_view ungrouped = *p;
	struct field v[64];
	ungrouped.fields = v;
	ungrouped.nfields = 0;
	for (size_t i = 0; i < p->nfields && i < 64; i++)
		if (strcmp(p->fields[i].name, "group-by") != 0 && strcmp(p->fields[i].name, "sort") != 0)
			v[ungrouped.nfields++] = p->fields[i];
	page_begin(p, l->kind->noun, view);
	filters(p, l->kind);
	strbuf_fmt(p->b, "<p class=\"pager\">%zu of %zu %s in %zu groups</p>\n", l->n, l->total, l->kind->noun, t->n);
	strbuf_str(p->b, "<div class=\"wide\"><table><thead><tr><th>Count</th><th>");
	html_text(p->b, by);
	strbuf_str(p->b, "</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < t->n && i < 20 * PAGE_ROWS; i++) {
		strbuf_fmt(p->b, "<tr><td class=\"num\">%zu</td><td>", t->v[i].count);
		bool linked = filter && strcmp(t->v[i].key, "-") != 0;
		if (linked) {
			strbuf_str(p->b, "<a href=\"");
			link_with(&ungrouped, filter, t->v[i].key);
			strbuf_str(p->b, "\">");
		}
		html_text(p->b, t->v[i].key);
		strbuf_str(p->b, linked ? "</a></td></tr>\n" : "</td></tr>\n");
	}
	strbuf_str(p->b, "</tbody></table></div>\n");
	page_finish(p);
}

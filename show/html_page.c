#include "show/html_page.h"

#include <math.h>
#include <time.h>

#include "query/shape.h"

static const struct { const char *name, *title; } views[] = {
	{ "tasks", "Tasks" }, { "tree", "Tree" }, { "groups", "Groups" }, { "why", "Why" },
	{ "check", "Findings" }, { "threads", "Threads" }, { "ended", "Ended" },
};

static void head(struct strbuf *b, const char *title)
{
	strbuf_str(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		      "<meta name=\"htmx-config\" content='{\"includeIndicatorStyles\":false,\"allowEval\":false,"
		      "\"selfRequestsOnly\":true,\"historyCacheSize\":0}'><title>");
	html_text(b, title);
	strbuf_str(b, " - asyncmon</title>"
		      "<link rel=\"stylesheet\" href=\"/assets/style.css\">"
		      "<script src=\"/assets/htmx.js\" defer></script><script src=\"/assets/page.js\" defer></script></head><body>\n");
}

void html_error(struct strbuf *b, const char *message)
{
	head(b, "Error");
	strbuf_str(b, "<header><a href=\"/\">asyncmon</a></header><main id=\"main\"><p class=\"bad\">");
	html_text(b, message);
	strbuf_str(b, "</p><p><a href=\"/\">All targets</a></p></main></body></html>\n");
}

static void navigation(const struct page_view *p, const char *view)
{
	struct strbuf *b = p->b;
	strbuf_str(b, "<header><a href=\"/\" accesskey=\"0\">asyncmon</a>");
	if (p->key) {
		strbuf_str(b, "<nav>");
		for (size_t i = 0; i < sizeof views / sizeof *views; i++)
			strbuf_fmt(b, "<a href=\"/t/%s/%s\" accesskey=\"%zu\"%s>%s</a>", p->key, views[i].name, i + 1,
				   view && strcmp(view, views[i].name) == 0 ? " aria-current=\"page\"" : "", views[i].title);
		strbuf_str(b, "</nav>");
	}
	strbuf_str(b, "</header>\n");
}

static void clock_time(struct strbuf *b, double at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[32];
	if (at > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof text, "%H:%M:%S", &tm))
		strbuf_fmt(b, "<time>%s.%03d UTC</time>", text, (int)((at - floor(at)) * 1000));
}

static void address(const struct page_view *p, const char *field, const char *value)
{
	struct strbuf url = { 0 };
	url_encode(&url, p->path, "/");
	url_query(&url, p->fields, p->nfields, field, value);
	html_lines(p->b, url.s ? url.s : "/");
	p->b->failed |= url.failed;
	strbuf_free(&url);
}

/* Of what the page is: which process, and how old. */
static void subject(const struct page_view *p)
{
	struct strbuf *b = p->b;
	const struct snapshot *s = p->s;
	strbuf_fmt(b, "<p class=\"of\"><b>%s</b> <code>", p->key);
	html_text(b, p->command);
	strbuf_str(b, "</code>");
	if (s) {
		strbuf_str(b, " Python ");
		html_text(b, s->python);
		strbuf_str(b, s->agent ? ", with the agent, at " : ", at ");
		clock_time(b, s->taken_at);
		if (s->paused_us >= 0)
			strbuf_fmt(b, ", paused %.1f ms", (double)s->paused_us / 1e3);
	}
	if (p->ended)
		strbuf_str(b, " <strong class=\"bad\">ended; this is the last look</strong>");
	if (p->pinned) {
		strbuf_str(b, " <strong>an earlier look</strong> (<a href=\"");
		address(p, "look", NULL);
		strbuf_str(b, "\">newest</a>)");
	}
	strbuf_str(b, "</p>\n");
	if (s && !s->complete)
		strbuf_str(b, "<p class=\"bad\">The answer is incomplete.</p>");
	for (size_t i = 0; s && i < s->nnotes; i++) {
		strbuf_str(b, "<p class=\"note\">");
		html_text(b, s->notes[i]);
		strbuf_str(b, "</p>\n");
	}
}

void page_begin(const struct page_view *p, const char *title, const char *view)
{
	head(p->b, title);
	navigation(p, view);
	strbuf_str(p->b, "<main id=\"main\"");
	if (!p->pinned && !p->ended && p->path) {
		strbuf_str(p->b, " hx-get=\"");
		address(p, "look", NULL);
		strbuf_fmt(p->b, "\" hx-trigger=\"every %.0fs\" hx-select=\"#main\" hx-swap=\"outerHTML\"",
			   p->interval < 2 ? 2.0 : ceil(p->interval));
	}
	strbuf_str(p->b, ">\n");
	if (p->key)
		subject(p);
}

void page_finish(const struct page_view *p)
{
	strbuf_str(p->b, "</main></body></html>\n");
}

void html_task_link(const struct page_view *p, uint64_t id, const char *name)
{
	strbuf_fmt(p->b, "<a href=\"/t/%s/task?id=0x%llx\">", p->key, (unsigned long long)id);
	if (name && *name)
		html_text(p->b, name);
	else
		strbuf_hex(p->b, id);
	strbuf_str(p->b, "</a>");
}

void html_task_ref(const struct page_view *p, uint64_t id)
{
	const struct task *t = id ? snapshot_task(p->s, id) : NULL;
	if (t)
		html_task_link(p, id, t->name);
	else if (id)
		strbuf_hex(p->b, id);
	else
		strbuf_char(p->b, '?');
}

static void contexts(const struct page_view *p, const struct stack *st, size_t frame)
{
	for (size_t i = 0; i < st->ncontexts; i++) {
		const struct context *c = &st->contexts[i];
		if (c->frame != frame)
			continue;
		strbuf_str(p->b, c->entering ? "<div class=\"in\">entering " : "<div class=\"in\">inside ");
		html_text(p->b, c->type);
		strbuf_fmt(p->b, " <small>0x%llx", (unsigned long long)c->id);
		if (c->line > 0)
			strbuf_fmt(p->b, ", since line %d", c->line);
		strbuf_str(p->b, "</small></div>");
	}
}

void html_stack(const struct page_view *p, const struct stack *st)
{
	struct strbuf line = { 0 };
	strbuf_str(p->b, "<ol class=\"stack\">\n");
	for (size_t i = 0; i < st->n; i++) {
		const struct frame *f = st->frames[i];
		strbuf_str(p->b, f->owner == CODE_USER ? "<li class=\"own\"><b>" : "<li><b>");
		html_text(p->b, f->function);
		strbuf_str(p->b, "</b> <span>");
		html_text(p->b, f->file);
		strbuf_fmt(p->b, ":%d</span>", f->line);
		strbuf_clear(&line);
		if (p->source && p->source(p->ctx, f, &line)) {
			strbuf_str(p->b, "<pre>");
			html_text(p->b, line.s);
			strbuf_str(p->b, "</pre>");
		}
		contexts(p, st, i);
		strbuf_str(p->b, "</li>\n");
	}
	strbuf_str(p->b, "</ol>\n");
	if (st->broken) {
		strbuf_str(p->b, "<p class=\"note\">");
		html_text(p->b, st->broken);
		strbuf_str(p->b, "</p>\n");
	}
	strbuf_free(&line);
}

static void overview_row(struct strbuf *b, const struct overview_row *r)
{
	size_t live = 0;
	for (size_t i = 0; r->s && i < r->s->ntasks; i++)
		live += !r->s->tasks[i].copied;
	strbuf_fmt(b, "<tr><td><a href=\"/t/%s/tasks\">%s</a></td>", r->key, r->key);
	if (r->s)
		strbuf_fmt(b, "<td class=\"num\">%zu</td><td class=\"num\">%zu</td><td>%s</td><td>%s</td>", live, r->s->nloops,
			   r->s->python, r->s->agent ? "yes" : "no");
	else
		strbuf_str(b, "<td>-</td><td>-</td><td>-</td><td>-</td>");
	strbuf_str(b, "<td><code>");
	html_text(b, r->command);
	strbuf_str(b, "</code>");
	if (r->ended)
		strbuf_str(b, " <strong class=\"bad\">ended</strong>");
	if (r->trouble) {
		strbuf_str(b, "<p class=\"bad\">");
		html_text(b, r->trouble);
		strbuf_str(b, "</p>");
	}
	strbuf_str(b, "</td></tr>\n");
}

void html_overview(const struct page_view *p, const struct overview_row *v, size_t n)
{
	page_begin(p, "Targets", NULL);
	strbuf_fmt(p->b, "<h1>%zu target%s</h1>\n", n, n == 1 ? "" : "s");
	strbuf_str(p->b, "<div class=\"wide\"><table><thead><tr><th>PID</th><th>Tasks</th><th>Loops</th><th>Python</th><th>Agent</th>"
			 "<th>Command</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < n; i++)
		overview_row(p->b, &v[i]);
	strbuf_str(p->b, "</tbody></table></div>\n<p>JSON: <a href=\"/api/1/targets\">targets</a>, <a href=\"/api/1/ps\">ps</a>, "
			 "<a href=\"/api/1/check\">check</a>; <a href=\"/metrics\">metrics</a>; "
			 "<a href=\"/asyncmon-1.schema.json\">schema</a></p>\n");
	page_finish(p);
}

void html_acted(const struct page_view *p, const char *json)
{
	page_begin(p, "Done", NULL);
	strbuf_str(p->b, "<h1>What became of it</h1><pre>");
	html_lines(p->b, json);
	strbuf_fmt(p->b, "</pre><p><a href=\"/t/%s/tasks\">Tasks</a></p>\n", p->key);
	page_finish(p);
}

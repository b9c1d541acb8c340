/* A task whole, living or ended, as a page. */
#include "show/html_page.h"

#include <math.h>

#include "base/signals.h"
#include "query/shape.h"
#include "show/fold.h"
#include "show/why.h"

/* Tasks named in one field. */
#define NAMED 50

static void label(const struct page_view *p, const char *name)
{
	strbuf_fmt(p->b, "<dt>%s</dt><dd>", name);
}

static void end(const struct page_view *p)
{
	strbuf_str(p->b, "</dd>\n");
}

static void field(const struct page_view *p, const char *name, struct strbuf *text)
{
	if (text->len) {
		label(p, name);
		html_text(p->b, text->s);
		end(p);
	}
	strbuf_clear(text);
}

static void tasks(const struct page_view *p, const char *name, const uint64_t *ids, size_t n)
{
	if (!n)
		return;
	label(p, name);
	for (size_t i = 0; i < n && i < NAMED; i++) {
		strbuf_str(p->b, i ? ", " : "");
		html_task_ref(p, ids[i]);
	}
	if (n > NAMED)
		strbuf_fmt(p->b, ", and %zu more", n - NAMED);
	end(p);
}

static void reference(const struct page_view *p, const struct task_ref *r)
{
	bool lives = r->id && snapshot_task(p->s, r->id);
	if (lives)
		html_task_link(p, r->id, r->name);
	else
		html_text(p->b, r->name);
	if (r->serial >= 0 && lives)
		strbuf_fmt(p->b, " #%lld", (long long)r->serial);
	else if (r->serial >= 0)
		strbuf_fmt(p->b, " <a href=\"/t/%s/ended-task?id=%lld\">#%lld</a>", p->key, (long long)r->serial, (long long)r->serial);
}

static void holders(const struct page_view *p, const struct wait *w)
{
	if (!w || !w->nholders)
		return;
	label(p, "held by");
	for (size_t i = 0; i < w->nholders && i < NAMED; i++) {
		struct strbuf text = { 0 };
		strbuf_str(p->b, i ? ", " : "");
		if (w->holders[i].task) {
			html_task_ref(p, w->holders[i].task);
		} else {
			shape_holder(&text, p->s, &w->holders[i]);
			html_text(p->b, text.s);
		}
		strbuf_free(&text);
	}
	end(p);
}

static void created(const struct page_view *p, const struct created *c, struct strbuf *text)
{
	if (!c)
		return;
	label(p, "created");
	shape_instant(text, c->at);
	if (!isnan(c->age)) {
		strbuf_str(text, ", ");
		shape_seconds(text, c->age);
		strbuf_str(text, " ago");
	}
	html_text(p->b, text->s);
	strbuf_clear(text);
	if (c->has_by) {
		strbuf_str(p->b, ", by ");
		reference(p, &c->by);
	}
	end(p);
}

static void fields(const struct page_view *p, const struct task *t)
{
	struct strbuf text = { 0 };
	strbuf_hex(&text, t->id);
	if (t->serial >= 0)
		strbuf_fmt(&text, "  #%lld", (long long)t->serial);
	field(p, "id", &text);
	strbuf_str(&text, t->coro ? t->coro : "?");
	if (t->body)
		strbuf_fmt(&text, ", which runs %s", t->body);
	field(p, "coroutine", &text);
	if (t->loop)
		strbuf_hex(&text, t->loop);
	if (t->loop && t->thread)
		strbuf_fmt(&text, " in thread %d", (int)t->thread);
	field(p, "loop", &text);
	if (!shape_wait(&text, p->s, t))
		strbuf_clear(&text);
	field(p, "waiting on", &text);
	if (t->wait)
		tasks(p, "waits for", t->wait->tasks, t->wait->ntasks);
	holders(p, t->wait);
	tasks(p, "awaited by", t->awaited_by, t->nawaited_by);
	if (t->group)
		strbuf_hex(&text, t->group);
	field(p, "group", &text);
	if (t->cancelling || t->must_cancel)
		strbuf_fmt(&text, "%lld unanswered requests", (long long)t->cancelling);
	field(p, "cancelling", &text);
	created(p, t->created, &text);
	if (t->stats) {
		strbuf_fmt(&text, "%llu times, ", (unsigned long long)t->stats->polls);
		shape_seconds(&text, t->stats->busy);
		strbuf_str(&text, " in all, ");
		shape_seconds(&text, t->stats->longest_poll);
		strbuf_str(&text, t->stats->partial ? " at most, since the agent came" : " at most");
	}
	field(p, "ran", &text);
	if (t->exception)
		shape_exception(&text, t->exception);
	field(p, "exception", &text);
	strbuf_free(&text);
}

static void cancels(const struct page_view *p, const struct cancel *v, size_t n)
{
	struct strbuf text = { 0 };
	for (size_t i = 0; i < n; i++) {
		strbuf_clear(&text);
		shape_instant(&text, v[i].at);
		strbuf_str(&text, " by ");
		shape_asker(&text, &v[i]);
		if (v[i].message)
			strbuf_fmt(&text, ": %s", v[i].message);
		strbuf_str(p->b, "<h2>Asked to cancel</h2><p>");
		html_text(p->b, text.s);
		if (v[i].has_by) {
			strbuf_char(p->b, ' ');
			reference(p, &v[i].by);
		}
		strbuf_str(p->b, "</p>\n");
		html_stack(p, &v[i].stack);
	}
	strbuf_free(&text);
}

/* A stack of the past; sources may have changed since. */
static void past(const struct page_view *p, const struct stack *st)
{
	struct page_view plain = *p;
	plain.source = NULL;
	html_stack(&plain, st);
}

static void chain(const struct page_view *p, const struct chain_link *v, size_t n, const char *title)
{
	if (!n)
		return;
	strbuf_fmt(p->b, "<h2>%s</h2>\n", title);
	for (size_t i = 0; i < n; i++) {
		strbuf_str(p->b, "<details><summary>");
		reference(p, &v[i].task);
		strbuf_str(p->b, "</summary>");
		past(p, &v[i].stack);
		strbuf_str(p->b, "</details>\n");
	}
}

static void reason(const struct page_view *p, const struct task *t, const struct why *y)
{
	struct out out = { .fd = -1 };
	const struct term term = { 0 };
	if (t->state != TASK_WAITING)
		return;
	text_why_chain(&out, &term, y, (uint32_t)(t - p->s->tasks));
	strbuf_str(p->b, "<h2>Why it waits</h2><pre>");
	html_lines(p->b, out.b.s ? out.b.s : "");
	strbuf_str(p->b, "</pre>\n");
	out_free(&out);
}

static void cancel_form(const struct page_view *p, const struct task *t)
{
	if (!p->form || p->ended || p->s->source != SNAPSHOT_OF_PROCESS)
		return;
	strbuf_fmt(p->b, "<form method=\"post\" action=\"/act\"><input type=\"hidden\" name=\"form\" value=\"%s\">"
			 "<input type=\"hidden\" name=\"target\" value=\"%s\"><input type=\"hidden\" name=\"do\" value=\"cancel\">"
			 "<input type=\"hidden\" name=\"task\" value=\"0x%llx\"><button>Cancel this task</button></form>\n",
		   p->form, p->key, (unsigned long long)t->id);
}

static void heading(const struct page_view *p, const char *name, uint64_t id, enum task_state state)
{
	struct strbuf text = { 0 };
	shape_name(&text, name, id);
	page_begin(p, text.s ? text.s : "Task", NULL);
	strbuf_str(p->b, "<h1>");
	html_text(p->b, text.s);
	strbuf_fmt(p->b, " <span class=\"state %s\">%s</span></h1>\n", task_state_name(state), task_state_name(state));
	strbuf_free(&text);
}

void html_task(const struct page_view *p, const struct task *t, const struct why *y)
{
	heading(p, t->name, t->id, t->state);
	strbuf_str(p->b, "<dl>\n");
	fields(p, t);
	strbuf_str(p->b, "</dl>\n");
	cancel_form(p, t);
	reason(p, t, y);
	strbuf_str(p->b, "<h2>Stack, most recent call last</h2>\n");
	html_stack(p, &t->stack);
	chain(p, t->chain, t->nchain, "Who made it, the first first");
	if (!t->nchain && t->created) {
		strbuf_str(p->b, "<h2>Where it was made</h2>\n");
		past(p, &t->created->stack);
	}
	cancels(p, t->cancels, t->ncancels);
	strbuf_fmt(p->b, "<p>JSON: <a href=\"/api/1/%s/where?task=0x%llx\">where</a>, <a href=\"/api/1/%s/why?task=0x%llx\">why</a></p>\n",
		   p->key, (unsigned long long)t->id, p->key, (unsigned long long)t->id);
	page_finish(p);
}

void html_ended(const struct page_view *p, const struct ended *t)
{
	struct strbuf text = { 0 };
	heading(p, t->name, t->id, t->outcome);
	strbuf_str(p->b, "<dl>\n");
	strbuf_fmt(&text, "#%lld", (long long)t->serial);
	field(p, "serial", &text);
	strbuf_str(&text, t->coro ? t->coro : "?");
	field(p, "coroutine", &text);
	shape_seconds(&text, p->s->taken_at - t->ended_at);
	strbuf_str(&text, " ago, after ");
	shape_lifetime(&text, t);
	field(p, "ended", &text);
	if (t->exception)
		shape_exception(&text, t->exception);
	field(p, "exception", &text);
	created(p, t->created, &text);
	strbuf_str(p->b, "</dl>\n<h2>Where it ended</h2>\n");
	past(p, &t->stack);
	chain(p, t->chain, t->nchain, "Who cancelled it, the first first");
	if (t->created) {
		strbuf_str(p->b, "<h2>Where it was made</h2>\n");
		past(p, &t->created->stack);
	}
	cancels(p, t->cancels, t->ncancels);
	page_finish(p);
	strbuf_free(&text);
}

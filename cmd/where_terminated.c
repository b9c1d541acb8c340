/* where-terminated: how a task ended, and why. */
#include "cmd/command.h"
#include "show/ended.h"
#include "cmd/page.h"
#include "query/resolve.h"
#include "query/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void fields(struct page *p, const struct snapshot *s, const struct ended *t)
{
	strbuf_fmt(&p->text, "#%lld", (long long)t->serial);
	if (t->persistent)
		strbuf_str(&p->text, "  persistent");
	page_field(p, "serial");
	strbuf_str(&p->text, t->coro ? t->coro : "?");
	page_field(p, "coroutine");
	shape_seconds(&p->text, s->taken_at - t->ended_at);
	strbuf_str(&p->text, " ago, after ");
	shape_lifetime(&p->text, t);
	if (isnan(t->started_at))
		strbuf_str(&p->text, " (it was made before the agent came)");
	page_field(p, "ended");
	if (t->exception) {
		shape_exception(&p->text, t->exception);
		page_field(p, "exception");
	}
	if (t->created && t->created->has_by) {
		page_ref(p, &t->created->by);
		page_field(p, "made by");
	}
}

static void cancel_one(struct page *p, void *ctx, size_t i)
{
	const struct ended *t = ctx;
	const struct cancel *x = &t->cancels[i];
	shape_asker(&p->text, x);
	if (x->has_by) {
		strbuf_char(&p->text, ' ');
		page_ref(p, &x->by);
	}
	strbuf_str(&p->text, ", ");
	shape_seconds(&p->text, t->ended_at - x->at);
	strbuf_str(&p->text, " before the end");
	if (x->message)
		strbuf_fmt(&p->text, ": %s", x->message);
	page_field(p, "cancelled by");
	/* The last request's stack is the last link of the chain. */
	if (i + 1 < t->ncancels || !t->nchain)
		page_past_stack(p, &x->stack, 6);
}

static void before_end(struct strbuf *b, void *ctx, double at)
{
	shape_seconds(b, ((const struct ended *)ctx)->ended_at - at);
	strbuf_str(b, " before the end");
}

static void cancels(struct page *p, const struct ended *t)
{
	page_cancels(p, t->cancels, t->ncancels, cancel_one, before_end, (void *)(uintptr_t)t);
}

static void stack(struct page *p, const char *title, const struct stack *st)
{
	if (!st->n && !st->broken)
		return;
	strbuf_fmt(&p->c->out->b, "  %s (most recent call last):\n", title);
	page_past_stack(p, st, 4);
}

/* What it failed with came from. Its own traceback is the last stack. */
static void related(struct page *p, const struct exception *e)
{
	struct exception rest;
	if (!e)
		return;
	rest = *e;
	rest.stack = (struct stack){ 0 };
	page_exception(p, &rest, 2);
}

static void text_page(struct page *p, const struct snapshot *s, const struct ended *t)
{
	struct strbuf *b = &p->c->out->b;
	size_t from = b->len;
	strbuf_str(&p->text, "Task ");
	shape_name(&p->text, t->name, t->id);
	page_put(p, "1");
	strbuf_str(b, "  ");
	strbuf_str(&p->text, task_state_name(t->outcome));
	page_put(p, shape_state_colour(t->outcome));
	page_end_line(p, from, 5);
	fields(p, s, t);
	cancels(p, t);
	page_chain(p, t->chain, t->nchain, "cancelled");
	if (t->created)
		stack(p, "made", &t->created->stack);
	stack(p, "ended", &t->stack);
	related(p, t->exception);
}

/* NULL ends v. */
static void answer(struct call *c, const struct snapshot *s, const struct ended *const *v)
{
	struct page p = page_of(c, s);
	call_answer(c, s);
	if (c->as_json) {
		json_key(&c->json, "terminated");
		json_array(&c->json);
	}
	for (size_t i = 0; v[i]; i++) {
		if (c->as_json) {
			json_ended_whole(&c->json, v[i]);
			continue;
		}
		if (i)
			strbuf_char(&c->out->b, '\n');
		text_page(&p, s, v[i]);
	}
	if (c->as_json)
		json_array_end(&c->json);
	page_free(&p);
}

static int where_terminated_run(struct call *c)
{
	struct snapshot *s = NULL;
	const struct ended **v = calloc(c->nwords + 1, sizeof *v);
	err_t e = !v ? ERR_NOMEM : c->nwords ? NULL
		: err_new(E_USAGE, "where-terminated needs an ID: a serial of ps-terminated, or an exact name");
	if (!e)
		e = call_snapshot(c, SNAPSHOT_ENDED, &s);
	if (!e)
		e = ended_check(s);
	for (size_t i = 0; !e && i < c->nwords; i++)
		e = resolve_ended(s, c->words[i], &v[i]);
	if (!e) {
		list_say_cut(s, &(struct list){ .kind = &list_ended, .rows = (const void **)v, .n = c->nwords });
		answer(c, s, v);
	}
	int status = e ? call_fail(c, e) : call_end(c, s);
	free(v);
	snapshot_free(s);
	return status;
}

const struct command cmd_where_terminated = {
	.name = "where-terminated",
	.aliases = { "wt" },
	.arguments = "ID...",
	.summary = "how a task ended: its last stack, exception, who cancelled it",
	.description = "Shows how tasks ended: the last stack, the exception, every cancel request and the chain "
		       "of who cancelled whom, who made them. ID is a serial as ps-terminated shows it, or an "
		       "exact name (of several, the one that ended last). Needs the agent (run, inject).",
	.flags = CMD_TARGET | CMD_CORE | CMD_PAGER,
	.run = where_terminated_run,
};

/* where: one task whole. What it is, who made it, what it waits for, its stack. */
#include "cmd/command.h"
#include "show/answers.h"
#include "show/list_look.h"
#include "cmd/page.h"
#include "query/coalesce.h"
#include "query/resolve.h"
#include "query/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Awaiters named on one line. */
#define NAMED 12

static void task_named(struct page *p, const struct snapshot *s, uint64_t id)
{
	const struct task *t = snapshot_task(s, id);
	if (t && t->name)
		strbuf_fmt(&p->text, "%s ", t->name);
	strbuf_hex(&p->text, id);
}

static void named(struct page *p, const char *label, const struct snapshot *s, const uint64_t *ids, size_t n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n && i < NAMED; i++) {
		strbuf_str(&p->text, i ? ", " : "");
		task_named(p, s, ids[i]);
	}
	if (n > NAMED)
		strbuf_fmt(&p->text, ", and %zu more", n - NAMED);
	page_field(p, label);
}

struct cancelled { const struct snapshot *s; const struct task *t; };

static void cancel_one(struct page *p, void *ctx, size_t i)
{
	const struct cancel *x = &((struct cancelled *)ctx)->t->cancels[i];
	shape_instant(&p->text, x->at);
	strbuf_str(&p->text, " by ");
	shape_asker(&p->text, x);
	if (x->has_by) {
		strbuf_char(&p->text, ' ');
		page_ref(p, &x->by);
	}
	if (x->message)
		strbuf_fmt(&p->text, ": %s", x->message);
	page_field(p, "cancelled");
	page_past_stack(p, &x->stack, 6);
}

static void ago(struct strbuf *b, void *ctx, double at)
{
	shape_seconds(b, ((struct cancelled *)ctx)->s->taken_at - at);
	strbuf_str(b, " ago");
}

static void cancels(struct page *p, const struct snapshot *s, const struct task *t)
{
	struct cancelled x = { s, t };
	page_cancels(p, t->cancels, t->ncancels, cancel_one, ago, &x);
}

static void chain(struct page *p, const struct task *t)
{
	page_chain(p, t->chain, t->nchain, "made");
	if (!t->nchain && t->created) {
		strbuf_str(&p->c->out->b, "  made here:\n");
		page_past_stack(p, &t->created->stack, 4);
	}
}

static void heading(struct page *p, const struct task *t)
{
	struct strbuf *b = &p->c->out->b;
	size_t from = b->len;
	strbuf_str(&p->text, "Task ");
	shape_name(&p->text, t->name, t->id);
	page_put(p, "1");
	strbuf_str(b, "  ");
	strbuf_str(&p->text, task_state_name(t->state));
	page_put(p, shape_state_colour(t->state));
	page_end_line(p, from, 5);
}

static void fields(struct page *p, const struct snapshot *s, const struct task *t)
{
	strbuf_hex(&p->text, t->id);
	if (t->serial >= 0)
		strbuf_fmt(&p->text, "  #%lld", (long long)t->serial);
	if (t->persistent)
		strbuf_str(&p->text, "  persistent");
	page_field(p, "id");
	strbuf_str(&p->text, t->coro ? t->coro : "?");
	if (t->body)
		strbuf_fmt(&p->text, ", which runs %s", t->body);
	strbuf_fmt(&p->text, "  (a %s)", t->type ? t->type : "task");
	page_field(p, "coroutine");
	if (t->loop) {
		strbuf_hex(&p->text, t->loop);
		if (t->thread)
			strbuf_fmt(&p->text, " in thread %d", (int)t->thread);
		page_field(p, "loop");
	}
	if (shape_wait(&p->text, s, t)) {
		if (t->wait && t->wait->peer && !strstr(p->text.s, t->wait->peer))
			strbuf_fmt(&p->text, " from %s", t->wait->peer);
		page_field(p, "waiting on");
	}
	strbuf_clear(&p->text);
	if (t->wait)
		named(p, "waits for", s, t->wait->tasks, t->wait->ntasks);
	named(p, "awaited by", s, t->awaited_by, t->nawaited_by);
	if (t->group) {
		strbuf_hex(&p->text, t->group);
		page_field(p, "group");
	}
}

static void history(struct page *p, const struct snapshot *s, const struct task *t)
{
	if (t->cancelling || t->must_cancel) {
		strbuf_fmt(&p->text, "%lld unanswered request%s%s", (long long)t->cancelling,
			   t->cancelling == 1 ? "" : "s",
			   t->must_cancel ? "; will be thrown in at its next step" : "");
		page_field(p, "cancelling");
	}
	if (t->created) {
		shape_instant(&p->text, t->created->at);
		if (!isnan(t->created->age)) {
			strbuf_str(&p->text, ", ");
			shape_seconds(&p->text, t->created->age);
			strbuf_str(&p->text, " ago");
		}
		if (t->created->has_by) {
			strbuf_str(&p->text, ", by ");
			page_ref(p, &t->created->by);
		}
		page_field(p, "created");
	}
	if (!t->created && t->before_agent && !isnan(s->agent_since)) {
		strbuf_str(&p->text, "before the agent came, which was ");
		shape_seconds(&p->text, s->taken_at - s->agent_since);
		strbuf_str(&p->text, " ago");
		page_field(p, "created");
	}
	if (t->stats) {
		strbuf_fmt(&p->text, "%llu time%s, ", (unsigned long long)t->stats->polls,
			   t->stats->polls == 1 ? "" : "s");
		shape_seconds(&p->text, t->stats->busy);
		strbuf_str(&p->text, " in all, ");
		shape_seconds(&p->text, t->stats->longest_poll);
		strbuf_str(&p->text, t->stats->partial ? " at most, since the agent came" : " at most");
		page_field(p, "ran");
	}
	if (t->steps && t->steps->count) {
		strbuf_fmt(&p->text, "all tasks of %s: ", t->coro ? t->coro : "its coroutine");
		shape_steps(&p->text, t->steps);
		page_field(p, "its kind");
	}
	if (t->exception) {
		shape_exception(&p->text, t->exception);
		page_field(p, "exception");
	}
	cancels(p, s, t);
}

static void task_page(struct page *p, const struct snapshot *s, const struct task *t, bool locals)
{
	heading(p, t);
	fields(p, s, t);
	history(p, s, t);
	chain(p, t);
	if (t->nnative && !locals) {
		strbuf_str(&p->c->out->b, "  stack (most recent call last):\n");
		page_thread_frames(p, t->native, t->nnative, 4);
	} else if (t->stack.n || t->stack.broken || t->stack.beyond) {
		strbuf_str(&p->c->out->b, "  stack (most recent call last):\n");
		page_stack(p, &t->stack, 4, locals);
	}
	if (t->exception)
		page_exception(p, t->exception, 2);
}

static bool alike(const void *ctx, uint32_t a, uint32_t b)
{
	const struct list *l = ctx;
	return tasks_alike(l->rows[a], l->rows[b]);
}

static uint64_t likeness(const void *ctx, uint32_t i)
{
	const struct list *l = ctx;
	return task_likeness(l->rows[i]);
}

/* --coalesce: all tasks of the list, those that are alike once. */
static err_t coalesce_rows(const struct list *l, struct coalesced *same)
{
	struct kinds k = { .alike = alike, .ctx = l };
	err_t e = coalesce(same, l->n, &k, likeness);
	kinds_free(&k);
	return e;
}

/* same.n is 0 without --coalesce: each stands for itself. */
static size_t stands_for(const struct coalesced *same, size_t i)
{
	return same->n ? same->count[i] : 1;
}

/* What several tasks have in common, and who they are. */
static void alike_page(struct page *p, const struct list *l, const struct coalesced *same, size_t i, bool locals)
{
	const struct task *t = l->rows[i];
	struct strbuf *b = &p->c->out->b;
	size_t from = b->len, named = 0;
	strbuf_fmt(&p->text, "×%u tasks", same->count[i]);
	page_put(p, "1");
	strbuf_str(b, "  ");
	strbuf_str(&p->text, task_state_name(t->state));
	page_put(p, shape_state_colour(t->state));
	page_end_line(p, from, 5);
	for (size_t k = i; k < l->n && named < NAMED; k++)
		if (same->first[k] == i) {
			strbuf_str(&p->text, named++ ? ", " : "");
			task_named(p, l->snap, ((const struct task *)l->rows[k])->id);
		}
	if (same->count[i] > named)
		strbuf_fmt(&p->text, ", and %zu more", same->count[i] - named);
	page_field(p, "tasks");
	strbuf_str(&p->text, task_body(t) ? task_body(t) : "?");
	page_field(p, "coroutine");
	if (t->wait) {
		strbuf_str(&p->text, wait_kind_name(t->wait->kind));
		if (t->wait->detail)
			strbuf_fmt(&p->text, ": %s", t->wait->detail);
		page_field(p, "waiting on");
	}
	strbuf_str(b, "  stack (most recent call last):\n");
	page_stack(p, &t->stack, 4, locals);
}

static void answer_text(struct call *c, const struct list *l, const struct coalesced *same)
{
	bool locals = opt_given(&c->args, "locals");
	struct page p = page_of(c, l->snap);
	for (size_t i = 0; i < l->n; i++) {
		if (!stands_for(same, i))
			continue;
		if (i)
			strbuf_char(&c->out->b, '\n');
		if (stands_for(same, i) > 1)
			alike_page(&p, l, same, i, locals);
		else
			task_page(&p, l->snap, l->rows[i], locals);
	}
	if (l->filtered)
		strbuf_fmt(&c->out->b, "%s%zu of %zu task%s\n", l->n ? "\n" : "", l->n, l->total, l->total == 1 ? "" : "s");
	page_free(&p);
}

/* The tasks named, in that order, or those that the filters leave. */
static err_t choose(struct call *c, struct list *l)
{
	struct tallies none = { 0 };
	if (!c->nwords)
		return list_query(l, &c->args, &none);
	free(l->rows);
	l->n = 0;
	l->rows = calloc(c->nwords, sizeof *l->rows);
	const struct task **tasks = calloc(c->nwords, sizeof *tasks);
	size_t n = c->nwords;
	err_t e = l->rows && tasks ? resolve_tasks(l->snap, c->words, &n, tasks) : ERR_NOMEM;
	for (; !e && l->n < n; l->n++)
		l->rows[l->n] = tasks[l->n];
	free(tasks);
	return e;
}

static err_t check(const struct call *c)
{
	struct selection sel;
	TRY(selection_parse(&sel, &c->args));
	bool together = opt_given(&c->args, "coalesce");
	if (!c->nwords && !selection_any(&sel) && !together)
		return err_new(E_USAGE, "where needs a TASK (an id, #serial or exact name) or a filter");
	if (c->nwords && together)
		return err_new(E_USAGE, "--coalesce is for many tasks: where takes it without TASK");
	if (c->nwords && selection_any(&sel))
		return err_new(E_USAGE, "where takes a TASK or a filter, not both");
	return NULL;
}

static int where_run(struct call *c)
{
	struct snapshot *s = NULL;
	struct list l = { 0 };
	struct coalesced same = { 0 };
	unsigned what = (c->nwords ? SNAPSHOT_DONE_IF_CAN : SNAPSHOT_DONE) | SNAPSHOT_NATIVE |
			(opt_given(&c->args, "locals") ? SNAPSHOT_LOCALS : 0);
	err_t e = check(c);
	if (!e)
		e = call_snapshot(c, what, &s);
	if (!e)
		e = list_make(&l, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks });
	if (!e)
		e = choose(c, &l);
	if (!e && opt_given(&c->args, "coalesce"))
		e = coalesce_rows(&l, &same);
	if (!e) {
		list_say_unjudged(s, l.unjudged, "tasks");
		list_say_cut(s, &l);
		call_answer(c, s);
		if (c->as_json)
			json_where(&c->json, &l, &same);
		else
			answer_text(c, &l, &same);
	}
	int status = e ? call_fail(c, e) : call_end(c, s);
	coalesced_free(&same);
	list_free(&l);
	snapshot_free(s);
	return status;
}

static const struct option where_options[] = {
	{ "locals", 'l', NULL, "show arguments and locals of each frame" },
	{ "coalesce", 0, NULL, "of all tasks, or those that filters leave: equal stacks once, with a count" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_where = {
	.name = "where",
	.aliases = { "w" },
	.arguments = "TASK...",
	.summary = "one task whole: stack with source, what it waits for, who made it",
	.description = "Shows tasks whole: what each waits for, who awaits it, who made it and where, who "
		       "asked it to cancel, its await stack with source lines. TASK is an id as shown "
		       "(hexadecimal or decimal, or its last digits where they are the only such), the "
		       "agent's #serial, or an exact name where only one task has it. Instead of TASKs, "
		       "filters choose.",
	.options = where_options,
	.flags = CMD_TARGET | CMD_CORE | CMD_SELECT | CMD_PAGER,
	.run = where_run,
};

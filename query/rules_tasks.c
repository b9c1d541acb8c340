/* Rules about tasks: circles, crowds, pending cancels, lost exceptions, tasks that
 * nothing holds. */
#include "query/findings.h"
#include "query/forest.h"
#include "query/list.h"
#include "query/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* So many new ones at least are growth, and so small a part of all. */
#define GREW_LEAST 10
#define GREW_PART 100
#define WENT_PART 10
#define NAMED_MAX 6              /* tasks of a circle that are named */

/* await-cycle */

static bool cycle_edges(const struct snapshot *s, struct edge **out, size_t *n)
{
	size_t cap = 0;
	for (size_t i = 0; i < s->ntasks; i++)
		cap += s->tasks[i].nawaited_by;
	struct edge *v = malloc((cap ? cap : 1) * sizeof *v);
	if (!v)
		return false;
	for (size_t i = 0; i < s->ntasks; i++)
		for (size_t a = 0; a < s->tasks[i].nawaited_by; a++) {
			const struct task *by = snapshot_task(s, s->tasks[i].awaited_by[a]);
			if (by)
				v[(*n)++] = (struct edge){ (uint32_t)(by - s->tasks), (uint32_t)i };
		}
	*out = v;
	return true;
}

void cycle_check(struct checking *k)
{
	const struct snapshot *s = k->now;
	struct forest f = { 0 };
	struct edge *edges = NULL;
	size_t n = 0;
	if (!cycle_edges(s, &edges, &n)) {
		k->nomem = true;
		return;
	}
	err_t e = forest_make(&f, s->ntasks, edges, n, NULL);
	k->nomem |= e != NULL;
	for (size_t c = 0; !e && c < f.ncycles; c++) {
		size_t len = f.cycle_starts[c + 1] - f.cycle_starts[c];
		uint64_t *ids = arena_array(s->arena, len, sizeof *ids);
		for (size_t i = 0; ids && i < len; i++)
			ids[i] = s->tasks[f.cycles[f.cycle_starts[c] + i]].id;
		k->nomem |= !ids;
		item_add(k, &(struct item){ .tasks = ids, .ntasks = ids ? len : 0 });
	}
	forest_free(&f);
	free(edges);
}

static void say_id(struct strbuf *b, const struct checking *k, uint64_t id)
{
	const struct task *t = snapshot_task(k->now, id);
	shape_name(b, t ? t->name : NULL, id);
}

void cycle_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	if (x->ntasks == 1) {
		strbuf_str(b, "Task ");
		say_id(b, k, x->tasks[0]);
		strbuf_str(b, " waits for itself and can never go on.");
	} else {
		say_count(b, x->ntasks);
		strbuf_str(b, " tasks wait for each other in a circle and none can go on: ");
		for (size_t i = 0; i < x->ntasks && i < NAMED_MAX; i++) {
			say_id(b, k, x->tasks[i]);
			strbuf_str(b, " waits for ");
		}
		if (x->ntasks > NAMED_MAX)
			strbuf_str(b, "… waits for ");
		say_id(b, k, x->tasks[0]);
		strbuf_str(b, ".");
	}
	strbuf_str(b, " Cancelling one of them ends it; \"where ");
	say_id(b, k, x->tasks[0]);
	strbuf_str(b, "\" shows the line.");
}

void cycle_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " circles of tasks wait for each other");
}

/* many-of-one-origin: by the line that made them where it is known, else by what
 * they run. */

struct crowd { const char *key; const struct task *t; };

static const char *origin_of(const struct snapshot *s, const struct task *t)
{
	const struct frame *f = created_at(t->created);
	struct strbuf b = { 0 };
	if (f) {
		strbuf_str(&b, "made by ");
		shape_frame(&b, f);
	} else if (task_body(t)) {
		const char *file = t->stack.n ? t->stack.frames[0]->file : NULL;
		const char *base = file ? strrchr(file, '/') : NULL;
		strbuf_fmt(&b, "of %s()", task_body(t));
		if (file)
			strbuf_fmt(&b, " in %s", base ? base + 1 : file);
	}
	const char *key = b.s ? arena_str(s->arena, b.s) : NULL;
	strbuf_free(&b);
	return key;
}

static int by_key(const void *a, const void *b)
{
	const struct crowd *x = a, *y = b;
	int c = strcmp(x->key, y->key);
	return c ? c : x->t < y->t ? -1 : x->t > y->t;
}

/* The living tasks of a snapshot whose origin is known, in its order. */
static struct crowd *crowds_of(const struct snapshot *s, size_t *n)
{
	struct crowd *v = malloc((s->ntasks + 1) * sizeof *v);
	*n = 0;
	for (size_t i = 0; v && i < s->ntasks; i++) {
		const char *key = task_alive(&s->tasks[i]) ? origin_of(s, &s->tasks[i]) : NULL;
		if (key)
			v[(*n)++] = (struct crowd){ key, &s->tasks[i] };
	}
	if (v)
		qsort(v, *n, sizeof *v, by_key);
	return v;
}

static bool was_there(const struct snapshot *before, const struct task *t)
{
	const struct task *was = snapshot_task(before, t->id);
	return was && was->coro_id == t->coro_id && was->serial == t->serial;
}

/* How many of a crowd came since the earlier look, and how many are gone. */
static void count_moves(const struct checking *k, const struct crowd *before, size_t nbefore, struct item *x)
{
	size_t were = 0;
	for (size_t i = 0; i < nbefore; i++)
		were += strcmp(before[i].key, x->key) == 0;
	for (size_t i = 0; i < x->ntasks; i++)
		x->came += !was_there(k->before, snapshot_task(k->now, x->tasks[i]));
	size_t stayed = x->ntasks - x->came;
	x->went = were > stayed ? were - stayed : 0;
}

/* A crowd that stands is what a server with many connections looks like. One grows where
 * so many come within the interval that chance is no reason, and next to none go. */
static bool grows(const struct item *x)
{
	return x->came >= GREW_LEAST && x->came >= x->ntasks / GREW_PART && x->went <= x->came / WENT_PART;
}

void origin_check(struct checking *k)
{
	const struct snapshot *s = k->now;
	size_t n = 0, nbefore = 0;
	if (s->ntasks < k->many)
		return;
	struct crowd *v = crowds_of(s, &n), *before = k->before ? crowds_of(k->before, &nbefore) : NULL;
	k->nomem |= !v || (k->before && !before);
	for (size_t i = 0, end; !k->nomem && i < n; i = end) {
		for (end = i + 1; end < n && strcmp(v[end].key, v[i].key) == 0; end++)
			;
		if (end - i < k->many)
			continue;
		uint64_t *ids = arena_array(s->arena, end - i, sizeof *ids);
		for (size_t x = i; ids && x < end; x++)
			ids[x - i] = v[x].t->id;
		k->nomem |= !ids;
		struct item x = { .of = v[i].t, .tasks = ids, .ntasks = ids ? end - i : 0, .key = v[i].key };
		if (before)
			count_moves(k, before, nbefore, &x);
		x.milder = !grows(&x);
		item_add(k, &x);
	}
	free(v);
	free(before);
}

/* What most of them wait for. */
static void say_mostly(struct strbuf *b, const struct checking *k, const struct item *x)
{
	size_t count[WAIT_KINDS] = { 0 }, most = WAIT_KINDS, runnable = 0;
	const struct task *of[WAIT_KINDS] = { 0 };
	for (size_t i = 0; i < x->ntasks; i++) {
		const struct task *t = snapshot_task(k->now, x->tasks[i]);
		if (t && t->wait && (unsigned)t->wait->kind < WAIT_KINDS) {
			enum wait_kind kind = t->wait->kind;
			count[kind]++;
			if (!of[kind])
				of[kind] = t;
			if (most == WAIT_KINDS || count[kind] > count[most])
				most = kind;
		}
		runnable += t && t->state == TASK_RUNNABLE;
	}
	if (most < WAIT_KINDS && of[most] && count[most] >= runnable) {
		strbuf_str(b, ", ");
		say_count(b, count[most]);
		strbuf_fmt(b, " of them waiting (%s", wait_kind_name(most));
		if (of[most]->wait->detail)
			strbuf_fmt(b, ": %s", of[most]->wait->detail);
		strbuf_str(b, ")");
		say_where(b, of[most]);
	} else if (runnable) {
		strbuf_str(b, ", ");
		say_count(b, runnable);
		strbuf_str(b, " of them ready to run");
	}
}

void origin_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	say_count(b, x->ntasks);
	strbuf_fmt(b, " live tasks are %s", x->key);
	say_mostly(b, k, x);
	if (k->before) {
		strbuf_str(b, ". Within ");
		shape_seconds(b, k->apart);
		strbuf_char(b, ' ');
		say_count(b, x->came);
		strbuf_str(b, " came and ");
		say_count(b, x->went);
		strbuf_str(b, x->milder ? " went, so they do not grow by much" : " went: they are made faster than they end");
	}
	strbuf_str(b, "; ");
	if (t->created)
		strbuf_fmt(b, "\"ps --coro %s --group-by waiting\" shows where they are.", task_body(t) ? task_body(t) : "NAME");
	else
		strbuf_fmt(b, "\"ps --coro %s --group-by waiting\" shows where they are, and with the agent in "
			      "(\"inject\") \"--group-by created\" which line makes them.", task_body(t) ? task_body(t) : "NAME");
}

void origin_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	size_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += items[i].ntasks;
	say_count(b, total);
	strbuf_str(b, " live tasks come from ");
	say_count(b, n);
	strbuf_str(b, " places that make ");
	say_count(b, k->many);
	strbuf_str(b, " or more each");
}

/* cancel-pending: asked in both looks, and where it was. A task that is only about to
 * be thrown into is not meant. */

/* The last request that wants the task itself to end: a timeout wants a part of it to. */
static const struct cancel *last_request(const struct task *t)
{
	for (size_t i = t->ncancels; i-- > 0;)
		if (t->cancels[i].origin != CANCEL_TIMEOUT && !t->cancels[i].scope)
			return &t->cancels[i];
	return NULL;
}

/* Whether the agent has seen all requests that the task counts. */
static bool all_seen(const struct task *t)
{
	return t->serial >= 0 && !t->before_agent;
}

/* A request stays counted until the task takes it back (from 3.11 on). The count may be
 * left over from scopes: where the agent saw requests, it knows who made them. Without it a
 * count in a task that has scopes says nothing. */
static bool asked(const struct checking *k, const struct task *t)
{
	bool counts = k->now->cancels_counted;
	if (t->must_cancel)
		return true;
	if (last_request(t))
		return !counts || t->cancelling > 0;
	return t->cancelling > 0 && !all_seen(t) && (!t->scoped || t->cleaning);
}

/* It waits for tasks of which one was asked too: that one is the trouble. */
static bool waits_for_asked(const struct checking *k, const struct task *t)
{
	for (size_t i = 0; t->wait && i < t->wait->ntasks; i++) {
		const struct task *on = snapshot_task(k->now, t->wait->tasks[i]);
		if (on && task_alive(on) && asked(k, on))
			return true;
	}
	return false;
}

/* Nobody saw who asked, nothing shows that it is at an end, and there are libraries that
 * leave requests counted. */
static bool may_be_left_over(const struct checking *k, const struct task *t)
{
	return !t->must_cancel && !t->cleaning && !last_request(t) && k->now->scopes;
}

void cancel_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->ntasks; i++) {
		const struct task *t = &k->now->tasks[i], *was;
		if (!task_alive(t) || !asked(k, t) || waits_for_asked(k, t) || (!k->before && t->state != TASK_WAITING))
			continue;
		was = k->before ? snapshot_task(k->before, t->id) : t;
		if (was && asked(k, was) && was->state == t->state && was->coro_id == t->coro_id &&
		    was->fut_waiter == t->fut_waiter)
			item_add(k, &(struct item){ .of = t, .tasks = &t->id, .ntasks = 1,
						    .milder = may_be_left_over(k, t) });
	}
}

static void say_request(struct strbuf *b, const struct checking *k, const struct task *t)
{
	const struct cancel *c = last_request(t);
	strbuf_str(b, " was asked to cancel");
	if (!c) {
		if (t->cancelling > 1) {
			strbuf_char(b, ' ');
			say_count(b, (uint64_t)t->cancelling);
			strbuf_str(b, " times");
		}
		return;
	}
	if (c->has_by) {
		strbuf_str(b, " by task ");
		shape_name(b, c->by.name, c->by.id);
	} else if (c->origin != CANCEL_UNKNOWN) {
		strbuf_str(b, " by ");
		shape_asker(b, c);
		strbuf_char(b, ',');
	}
	strbuf_char(b, ' ');
	shape_seconds(b, k->now->taken_at - c->at);
	strbuf_str(b, " ago");
}

/* Why it lives on, as far as that is known. */
static void say_unended(struct strbuf *b, const struct checking *k, const struct task *t)
{
	if (t->must_cancel) {
		strbuf_str(b, ": it has not been told yet, for it has not run since.");
	} else if (t->cleaning) {
		strbuf_str(b, ": it is still handling the cancellation in ");
		shape_frame(b, t->cleaning);
		strbuf_str(b, ", and what it does there does not end.");
	} else if (may_be_left_over(k, t)) {
		strbuf_fmt(b, ": it has caught the cancellation and not raised it again, or a scope of %s has left "
			      "the request counted when it was over. The agent (\"inject\") tells these apart.",
			   k->now->scopes);
	} else if (t->wait && t->wait->ntasks) {
		strbuf_str(b, ": it has caught the cancellation, or what it waits for was to end and has not.");
	} else {
		strbuf_str(b, ": it has caught the cancellation and goes on. Look for an except around that line that "
			      "does not raise again.");
	}
}

void cancel_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	strbuf_str(b, "Task ");
	shape_name(b, t->name, t->id);
	say_request(b, k, t);
	strbuf_str(b, " and is still alive");
	if (t->state == TASK_WAITING) {
		strbuf_str(b, ", waiting");
		say_where(b, t);
		struct strbuf wait = { 0 };
		if (shape_wait(&wait, k->now, t))
			strbuf_fmt(b, " (%s)", wait.s);
		strbuf_free(&wait);
	}
	say_unended(b, k, t);
}

void cancel_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " tasks were asked to cancel and are still alive");
}

/* exception-never-retrieved */

void exception_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->ntasks; i++)
		if (k->now->tasks[i].state == TASK_FAILED && k->now->tasks[i].unretrieved && !k->now->tasks[i].copied)
			item_task(k, &k->now->tasks[i]);
}

void exception_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	(void)k;
	strbuf_str(b, "Task ");
	shape_name(b, t->name, t->id);
	say_body(b, t);
	strbuf_str(b, " failed");
	if (t->exception && t->exception->type)
		strbuf_fmt(b, " with %s", t->exception->type);
	if (t->exception && t->exception->message && *t->exception->message)
		strbuf_fmt(b, ": %s", t->exception->message);
	strbuf_str(b, "; nobody has fetched the exception, and while something holds the task it is not even "
		      "logged. Await it where it was made, or give it a done-callback that looks.");
}

void exception_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " tasks failed with exceptions that nobody has fetched");
}

/* unreferenced-task */

void unreferenced_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->ntasks; i++)
		if (task_alive(&k->now->tasks[i]) && k->now->tasks[i].unreferenced)
			item_task(k, &k->now->tasks[i]);
}

void unreferenced_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	(void)k;
	strbuf_str(b, "Nothing refers to ");
	say_task(b, t);
	say_body(b, t);
	strbuf_str(b, " but the loop's weak set, nor to the future it waits for");
	say_where(b, t);
	strbuf_str(b, ": nobody can complete it, and the garbage collector may take it at any time. "
		      "Keep what create_task() gives.");
}

void unreferenced_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " waiting tasks are referred to by nothing but the loop's weak set");
}

/* orphaned-lock */

void lock_check(struct checking *k)
{
	for (size_t i = 0; i < k->now->ntasks; i++) {
		const struct task *t = &k->now->tasks[i];
		if (task_alive(t) && t->wait && t->wait->holder && t->wait->holder_ended)
			item_task(k, t);
	}
}

void lock_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct task *t = x->of;
	(void)k;
	strbuf_str(b, "Task ");
	shape_name(b, t->name, t->id);
	strbuf_str(b, " waits");
	say_where(b, t);
	strbuf_str(b, " for a lock (");
	strbuf_hex(b, t->wait->id);
	strbuf_str(b, ") that task ");
	shape_name(b, t->wait->holder_name, t->wait->holder);
	strbuf_str(b, " held when it ended: nobody else may release it. Take it with \"async with\", so that it "
		      "is given back whatever happens.");
}

void lock_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " tasks wait for locks whose holders have ended");
}

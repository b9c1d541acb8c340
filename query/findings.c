/* The rules, and what is made of their cases: a finding for each while they are few,
 * one for all of them when they are many. */
#include "query/findings.h"
#include "query/shape.h"

#include <stdlib.h>
#include <string.h>

#define APART_MAX 5              /* more cases than this are said in one sentence */
#define MANY_DEFAULT 1000

#define ENTRY(name) name##_check, name##_one, name##_summary
const struct rule rules[] = {
	{ "await-cycle", FINDING_ERROR, "tasks that wait for each other in a circle",
	  false, false, ENTRY(cycle) },
	{ "deadlock", FINDING_ERROR, "tasks and threads that wait for what each other, or they themselves, have",
	  false, false, ENTRY(deadlock) },
	{ "lost-wakeup", FINDING_ERROR, "a task that waits for what is there, and nothing is about to wake it",
	  true, false, ENTRY(lostwakeup) },
	{ "asleep-with-work", FINDING_ERROR, "a loop that sleeps though callbacks are ready to be run",
	  true, false, ENTRY(asleep) },
	{ "loop-not-running", FINDING_WARNING, "a loop that nobody runs though its tasks have work that is due",
	  true, false, ENTRY(idle) },
	{ "blocked-loop", FINDING_ERROR, "a loop that is in the same step in two looks",
	  true, false, ENTRY(blocked) },
	{ "spin", FINDING_WARNING, "a loop that never rests, for one descriptor, callback or task",
	  true, false, ENTRY(spin) },
	{ "orphaned-lock", FINDING_ERROR, "a lock whose holder has ended without releasing it",
	  false, false, ENTRY(lock) },
	{ "pool-exhausted", FINDING_WARNING, "a pool that has nothing left for those who wait at it",
	  true, false, ENTRY(pool) },
	{ "join-without-consumer", FINDING_WARNING, "a join() of a queue that no other task is seen to have",
	  true, false, ENTRY(join) },
	{ "executor-saturated", FINDING_WARNING, "an executor with all workers busy and calls in its queue",
	  false, false, ENTRY(executor) },
	{ "many-of-one-origin", FINDING_WARNING, "very many live tasks from one line, or of one coroutine",
	  true, false, ENTRY(origin) },
	{ "cancel-pending", FINDING_WARNING, "a task that was asked to cancel and lives on",
	  true, false, ENTRY(cancel) },
	{ "group-aborting", FINDING_WARNING, "a task group that cancels its children for one that failed",
	  false, false, ENTRY(group) },
	{ "exception-never-retrieved", FINDING_WARNING, "a failed task whose exception nobody has fetched",
	  false, true, ENTRY(exception) },
	{ "timer-overdue", FINDING_WARNING, "timers that are long due in a loop that runs",
	  false, false, ENTRY(overdue) },
	{ "unreferenced-task", FINDING_INFO, "a waiting task that nothing but the loop's weak set knows",
	  false, false, ENTRY(unreferenced) },
	{ NULL, 0, NULL, false, false, NULL, NULL, NULL }
};

const struct rule *rule_find(const char *name)
{
	for (const struct rule *r = rules; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

const char *severity_name(int severity)
{
	return severity == FINDING_ERROR ? "error" : severity == FINDING_WARNING ? "warning" : "info";
}

void item_add(struct checking *k, const struct item *x)
{
	if (!vec_push(&k->items, *x))
		k->nomem = true;
}

void item_task(struct checking *k, const struct task *t)
{
	item_add(k, &(struct item){ .of = t, .tasks = &t->id, .ntasks = 1 });
}

void say_task(struct strbuf *b, const struct task *t)
{
	strbuf_str(b, "task ");
	shape_name(b, t->name, t->id);
}

void say_body(struct strbuf *b, const struct task *t)
{
	if (task_body(t))
		strbuf_fmt(b, " (%s)", task_body(t));
}

void say_where(struct strbuf *b, const struct task *t)
{
	const struct frame *f = shape_last(&t->stack);
	if (!f)
		return;
	strbuf_str(b, " at ");
	shape_frame(b, f);
}

void say_count(struct strbuf *b, uint64_t n)
{
	if (n >= 1000) {
		say_count(b, n / 1000);
		strbuf_fmt(b, ",%03u", (unsigned)(n % 1000));
	} else {
		strbuf_fmt(b, "%u", (unsigned)n);
	}
}

struct making {
	struct snapshot *s;
	struct finding *v;
	size_t n, cap;
};

static err_t add(struct making *m, const struct rule *r, const struct item *x, struct strbuf *text)
{
	struct finding *f = vec_add(m);
	if (!f)
		return ERR_NOMEM;
	*f = (struct finding){ .rule = r->name, .severity = r->severity, .ntasks = x->ntasks };
	if (x->milder && r->severity > FINDING_INFO)
		f->severity--;
	f->tasks = arena_dup(m->s->arena, x->tasks, x->ntasks * sizeof *x->tasks);
	f->message = arena_str(m->s->arena, text->s ? text->s : "");
	return f->message && f->tasks ? NULL : ERR_NOMEM;
}

static err_t add_all(struct making *m, const struct rule *r, const struct checking *k)
{
	struct strbuf b = { 0 };
	size_t total = 0, n = 0;
	bool milder = true;
	for (size_t i = 0; i < k->items.n; i++) {
		total += k->items.v[i].ntasks;
		milder &= k->items.v[i].milder;
	}
	uint64_t *ids = malloc((total ? total : 1) * sizeof *ids);
	if (!ids)
		return ERR_NOMEM;
	for (size_t i = 0; i < k->items.n; n += k->items.v[i++].ntasks)
		if (k->items.v[i].ntasks)
			memcpy(ids + n, k->items.v[i].tasks, k->items.v[i].ntasks * sizeof *ids);
	r->summary(&b, k, k->items.v, k->items.n);
	strbuf_str(&b, ". The first: ");
	r->one(&b, k, &k->items.v[0]);
	err_t e = add(m, r, &(struct item){ .tasks = ids, .ntasks = total, .milder = milder }, &b);
	strbuf_free(&b);
	free(ids);
	return e;
}

static err_t apply(struct making *m, const struct rule *r, struct checking *k)
{
	k->items.n = 0;
	r->check(k);
	if (k->nomem)
		return ERR_NOMEM;
	if (k->items.n > APART_MAX)
		return add_all(m, r, k);
	for (size_t i = 0; i < k->items.n; i++) {
		struct strbuf b = { 0 };
		r->one(&b, k, &k->items.v[i]);
		err_t e = add(m, r, &k->items.v[i], &b);
		strbuf_free(&b);
		if (e)
			return e;
	}
	return NULL;
}

static bool chosen(const struct findings_opts *o, const struct rule *r)
{
	if (!o->only)
		return true;
	for (const struct rule *const *p = o->only; *p; p++)
		if (*p == r)
			return true;
	return false;
}

err_t findings_make(struct snapshot *now, const struct snapshot *before, const struct findings_opts *o)
{
	struct checking k = { .now = now, .before = before, .apart = o->apart,
			      .many = o->many ? o->many : MANY_DEFAULT };
	struct making m = { .s = now };
	err_t e = NULL;
	for (const struct rule *r = rules; r->name && !e; r++)
		if (chosen(o, r))
			e = apply(&m, r, &k);
	if (!e) {
		now->findings = arena_dup(now->arena, m.v, m.n * sizeof *m.v);
		now->nfindings = now->findings ? m.n : 0;
		e = now->findings ? NULL : ERR_NOMEM;
	}
	free(m.v);
	vec_free(&k.items);
	return e;
}

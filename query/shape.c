#include "query/shape.h"

#include "base/signals.h"

#include <math.h>
#include <string.h>
#include <time.h>

void shape_seconds(struct strbuf *b, double s)
{
	static const struct { double s; const char *unit; } units[] = {
		{ 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" },
	};
	double a = fabs(s);
	if (!isfinite(s)) {
		strbuf_str(b, "?");
		return;
	}
	if (s < 0)
		strbuf_char(b, '-');
	if (a < 0.9995) {
		strbuf_fmt(b, "%.*f ms", a < 0.01 ? 1 : 0, a * 1e3);
		return;
	}
	if (a < 60) {
		strbuf_fmt(b, "%.*f s", a < 10 ? 1 : 0, a);
		return;
	}
	size_t u = 0;
	while (a < units[u].s)
		u++;
	if (a >= 1e15) {
		strbuf_str(b, "forever");
		return;
	}
	int64_t whole = (int64_t)(a / units[u].s), rest = (int64_t)((a - (double)whole * units[u].s) / units[u + 1].s);
	strbuf_fmt(b, "%lld %s", (long long)whole, units[u].unit);
	if (rest > 0)
		strbuf_fmt(b, " %lld %s", (long long)rest, units[u + 1].unit);
}

void shape_short(struct strbuf *b, double s)
{
	if (s >= 0 && s < 0.0009995)
		strbuf_fmt(b, "%.0f µs", s * 1e6);
	else
		shape_seconds(b, s);
}

static void below(struct strbuf *b, const struct histogram *h, double part)
{
	double bound = histogram_below(h, part);
	bool last = isinf(bound);
	strbuf_str(b, last ? "more than " : "below ");
	shape_short(b, last && h->nbuckets > 1 ? histogram_bound(h, h->nbuckets - 2) : bound);
}

void shape_steps(struct strbuf *b, const struct histogram *h)
{
	strbuf_fmt(b, "%llu step%s, half ", (unsigned long long)h->count, h->count == 1 ? "" : "s");
	below(b, h, 0.5);
	strbuf_str(b, ", 99 % ");
	below(b, h, 0.99);
}

void shape_lifetime(struct strbuf *b, const struct ended *t)
{
	bool known = !isnan(t->started_at);
	strbuf_str(b, known ? "" : "more than ");
	shape_seconds(b, t->ended_at - (known ? t->started_at : t->seen_at));
}

bool shape_because(struct strbuf *b, const struct cancel *c)
{
	if (!c->because_ended)
		return false;
	shape_name(b, c->because.name, c->because.id);
	if (c->because.serial >= 0)
		strbuf_fmt(b, " (#%lld)", (long long)c->because.serial);
	if (!c->because_failed) {
		strbuf_str(b, " ended");
		return true;
	}
	strbuf_str(b, " failed with ");
	shape_exception(b, c->because_failed);
	return true;
}

void shape_asker(struct strbuf *b, const struct cancel *c)
{
	strbuf_str(b, cancel_origin_name(c->origin));
	if (c->signal && signal_name(c->signal))
		strbuf_fmt(b, " %s", signal_name(c->signal));
	if (c->because_ended) {
		strbuf_str(b, ", because ");
		shape_because(b, c);
	}
}

static const char *last_two(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return path;
	while (slash > path && slash[-1] != '/')
		slash--;
	return slash;
}

void shape_place(struct strbuf *b, const char *function, const char *file, int line)
{
	strbuf_str(b, function ? function : "?");
	if (!file)
		return;
	strbuf_char(b, ' ');
	strbuf_str(b, last_two(file));
	if (line > 0) {
		strbuf_char(b, ':');
		strbuf_int(b, line);
	}
}

void shape_frame(struct strbuf *b, const struct frame *f)
{
	shape_place(b, f->function, f->file, f->line);
}

static enum shape_where where;

void shape_set_where(enum shape_where w)
{
	where = w;
}

enum code_owner shape_owner(const struct frame *f)
{
	static const struct code_folders unknown;
	return f->owner ? f->owner : code_owner(&unknown, f->file);
}

const struct frame *shape_last(const struct stack *st)
{
	for (size_t i = st->n; where == WHERE_USER && i-- > 0;)
		if (shape_owner(st->frames[i]) == CODE_USER)
			return st->frames[i];
	for (size_t i = st->n; i-- > 0;)
		if (shape_owner(st->frames[i]) != CODE_ASYNCIO)
			return st->frames[i];
	return st->n ? st->frames[st->n - 1] : NULL;
}

bool shape_instant(struct strbuf *b, double at)
{
	struct tm tm;
	char text[40];
	time_t t = (time_t)at;
	bool known = at >= 0 && at < 253402300800.0 && localtime_r(&t, &tm) &&
		     strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_str(b, known ? text : "?");
	return known;
}

void shape_name(struct strbuf *b, const char *name, uint64_t id)
{
	if (name)
		strbuf_str(b, name);
	else
		strbuf_hex(b, id);
}

/* Names cost a look at every task; one says enough. */
static void tasks_waited_for(struct strbuf *b, const struct snapshot *s, const struct wait *w)
{
	const struct task *t = w->ntasks == 1 ? snapshot_task(s, w->tasks[0]) : NULL;
	strbuf_str(b, ": ");
	if (t)
		shape_name(b, t->name, t->id);
	else if (w->ntasks == 1)
		strbuf_hex(b, w->tasks[0]);
	else
		strbuf_fmt(b, "%zu tasks", w->ntasks);
}

static void shape_object(struct strbuf *b, const char *type, uint64_t id)
{
	strbuf_fmt(b, "%s ", type ? type : "object");
	strbuf_hex(b, id);
}

void shape_holder(struct strbuf *b, const struct snapshot *s, const struct holder *h)
{
	const struct task *t = h->task ? snapshot_task(s, h->task) : NULL;
	if (h->task)
		shape_name(b, t ? t->name : NULL, h->task);
	else if (h->thread)
		strbuf_fmt(b, "thread %d", (int)h->thread);
	else if (h->object)
		shape_object(b, h->object_type, h->object);
	else
		strbuf_fmt(b, "generator %s", h->place && h->place->function ? h->place->function : "?");
}

static void held_by(struct strbuf *b, const struct snapshot *s, const struct wait *w)
{
	/* What knows its owner says so in the detail. */
	if (!w->nholders || w->holder_name)
		return;
	strbuf_str(b, ", held by ");
	shape_holder(b, s, &w->holders[0]);
	if (w->nholders > 1)
		strbuf_fmt(b, " and %zu more", w->nholders - 1);
}

bool shape_wait(struct strbuf *b, const struct snapshot *s, const struct task *t)
{
	const struct wait *w = t->wait;
	const struct frame *f = t->stack.n ? t->stack.frames[t->stack.n - 1] : NULL;
	if (!w || (w->kind == WAIT_UNKNOWN && !w->detail)) {
		if (t->state != TASK_WAITING || !f)
			return false;
		strbuf_str(b, "in ");
		strbuf_str(b, f->function ? f->function : "?");
		return true;
	}
	strbuf_str(b, wait_kind_name(w->kind));
	if (w->detail) {
		strbuf_str(b, ": ");
		strbuf_str(b, w->detail);
	} else if (w->ntasks) {
		tasks_waited_for(b, s, w);
	}
	held_by(b, s, w);
	if (!isnan(w->deadline_in)) {
		strbuf_str(b, w->deadline_in < 0 ? ", due for " : ", ");
		shape_seconds(b, fabs(w->deadline_in));
		if (w->deadline_in >= 0)
			strbuf_str(b, " left");
	}
	return true;
}

const char *shape_state_colour(enum task_state s)
{
	static const char *const colours[TASK_STATES] = {
		[TASK_RUNNING] = "32", [TASK_RUNNABLE] = "36", [TASK_FAILED] = "31", [TASK_CANCELLED] = "33",
	};
	return (unsigned)s < TASK_STATES ? colours[s] : NULL;
}

void shape_exception(struct strbuf *b, const struct exception *e)
{
	if (e->message && e->message == e->repr && *e->message) {
		strbuf_str(b, e->repr);
		return;
	}
	strbuf_str(b, e->type ? e->type : "?");
	if (e->message && *e->message)
		strbuf_fmt(b, ": %s", e->message);
}

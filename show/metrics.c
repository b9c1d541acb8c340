#include "show/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/findings.h"

/* How many of the names that the target chooses are told apart, and how long they are. */
#define CORO_MOST 20
#define LOOPS_MOST 32
#define EXECUTORS_MOST 32
#define NAME_MOST 120

struct writing {
	struct out *o;
	bool openmetrics;
	const char *family;
};

/* ---- the format ---- */

/* Text of the target as a label's value: fit for a terminal first, then quoted. */
static void label_text(struct strbuf *b, const char *text)
{
	struct strbuf plain = { 0 };
	strbuf_escaped(&plain, text ? text : "");
	size_t n = plain.len < NAME_MOST ? plain.len : NAME_MOST;
	/* Not in the middle of a character. */
	while (n < plain.len && n && ((unsigned char)plain.s[n] & 0xC0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++) {
		char c = plain.s[i];
		if (c == '"' || c == '\\')
			strbuf_char(b, '\\');
		strbuf_char(b, c);
	}
	b->failed |= plain.failed;
	strbuf_free(&plain);
}

struct label { const char *name, *value; };

static void number(struct strbuf *b, double v)
{
	if (isnan(v))
		strbuf_str(b, "NaN");
	else if (isinf(v))
		strbuf_str(b, v > 0 ? "+Inf" : "-Inf");
	else
		strbuf_fmt(b, "%.9g", v);
}

/* A sample of the family; suffix: "", "_sum" or the like. */
static void sample(struct writing *w, const char *suffix, const struct measured *m, const struct label *v, size_t n,
		   double value)
{
	struct strbuf *b = &w->o->b;
	strbuf_fmt(b, "%s%s{pid=\"%s\"", w->family, suffix, m->key);
	for (size_t i = 0; i < n; i++) {
		strbuf_fmt(b, ",%s=\"", v[i].name);
		label_text(b, v[i].value);
		strbuf_char(b, '"');
	}
	strbuf_str(b, "} ");
	number(b, value);
	strbuf_char(b, '\n');
}

static void one(struct writing *w, const struct measured *m, const char *label, const char *of, double value)
{
	sample(w, "", m, &(struct label){ label, of }, 1, value);
}

/* ---- families ---- */

static void tasks(struct writing *w, const struct measured *m)
{
	size_t count[TASK_STATES] = { 0 };
	for (size_t i = 0; i < m->s.ntasks; i++)
		if (m->s.tasks[i].state < TASK_STATES)
			count[m->s.tasks[i].state]++;
	for (unsigned i = 0; i < TASK_STATES; i++)
		one(w, m, "state", task_state_name(i), (double)count[i]);
}

struct counted { const char *name; size_t count; };

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct counted *)a)->name, ((const struct counted *)b)->name);
}

static int by_count(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	return x->count != y->count ? (x->count < y->count ? 1 : -1) : by_name(a, b);
}

/* Equal ones become one with a count; the most frequent first. */
static size_t tally(struct counted *v, size_t n)
{
	size_t kept = 0;
	qsort(v, n, sizeof *v, by_name);
	for (size_t i = 0; i < n; i++) {
		if (kept && strcmp(v[kept - 1].name, v[i].name) == 0)
			v[kept - 1].count++;
		else
			v[kept++] = v[i];
	}
	qsort(v, kept, sizeof *v, by_count);
	return kept;
}

/* Each name as it is written, so that no two series are the same. Names are cut: those that
 * begin alike are one. */
static void by_coro(struct writing *w, const struct measured *m)
{
	struct counted *v = calloc(m->s.ntasks + 1, sizeof *v);
	struct strbuf texts = { 0 };
	size_t n = 0, other = 0;
	for (size_t i = 0; v && i < m->s.ntasks; i++)
		if (task_alive(&m->s.tasks[i]))
			v[n++] = (struct counted){ task_body(&m->s.tasks[i]) ? task_body(&m->s.tasks[i]) : "unknown", 1 };
	size_t kept = v ? tally(v, n) : 0, told = 0;
	for (size_t i = 0; i < kept; i++) {
		size_t from = texts.len;
		bool again = told == CORO_MOST;
		label_text(&texts, v[i].name);
		strbuf_add(&texts, "", 1);
		for (size_t at = 0; !again && !texts.failed && at < from; at += strlen(texts.s + at) + 1)
			again = strcmp(texts.s + at, texts.s + from) == 0;
		if (again || texts.failed || strcmp(v[i].name, "other") == 0) {
			texts.len = texts.failed ? texts.len : from;
			other += v[i].count;
			continue;
		}
		one(w, m, "coro", v[i].name, (double)v[i].count);
		told++;
	}
	if (v)
		one(w, m, "coro", "other", (double)other);
	strbuf_free(&texts);
	free(v);
}

static const char *id_text(uint64_t id)
{
	static _Thread_local char text[24];
	snprintf(text, sizeof text, "0x%llx", (unsigned long long)id);
	return text;
}

static bool first_of_id(const struct loop *v, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (v[k].id == v[i].id)
			return false;
	return true;
}

static void loop_lag(struct writing *w, const struct measured *m)
{
	for (size_t i = 0; i < m->s.nloops && i < LOOPS_MOST; i++)
		if (!m->s.loops[i].copied && first_of_id(m->s.loops, i))
			one(w, m, "loop", id_text(m->s.loops[i].id), isnan(m->s.loops[i].overdue) ? 0 : m->s.loops[i].overdue);
}

static void loop_ready(struct writing *w, const struct measured *m)
{
	for (size_t i = 0; i < m->s.nloops && i < LOOPS_MOST; i++)
		if (!m->s.loops[i].copied && m->s.loops[i].ready >= 0 && first_of_id(m->s.loops, i))
			one(w, m, "loop", id_text(m->s.loops[i].id), (double)m->s.loops[i].ready);
}

/* By id, for several have the same name. */
static void executor_queue(struct writing *w, const struct measured *m)
{
	for (size_t i = 0; i < m->s.nexecutors && i < EXECUTORS_MOST; i++) {
		const struct executor *e = &m->s.executors[i];
		bool again = e->queued < 0;
		for (size_t k = 0; k < i; k++)
			again |= m->s.executors[k].id == e->id;
		if (!again)
			one(w, m, "executor", id_text(e->id), (double)e->queued);
	}
}

static void findings(struct writing *w, const struct measured *m)
{
	for (const struct rule *r = rules; r->name; r++)
		for (int severity = FINDING_INFO; severity <= FINDING_ERROR; severity++) {
			size_t n = 0;
			for (size_t i = 0; i < m->s.nfindings; i++)
				n += strcmp(m->s.findings[i].rule, r->name) == 0 && (int)m->s.findings[i].severity == severity;
			const struct label v[] = { { "rule", r->name }, { "severity", severity_name(severity) } };
			/* Each rule at its own severity, so that alerts have a zero to come from. */
			if (n || severity == r->severity)
				sample(w, "", m, v, 2, (double)n);
		}
}

static void waiting_for_root(struct writing *w, const struct measured *m)
{
	size_t count[ROOT_KINDS] = { 0 };
	for (size_t i = 0; i < m->why.nroots; i++) {
		const struct root *r = &m->why.roots[i];
		if (r->kind < ROOT_KINDS)
			count[r->kind] += r->alike > 1 && !r->waiting ? r->ntasks : r->waiting;
	}
	for (unsigned i = 0; i < ROOT_KINDS; i++)
		one(w, m, "kind", root_kind_name(i), (double)count[i]);
}

static void summed(struct writing *w, const struct measured *m, double seconds)
{
	sample(w, "_count", m, NULL, 0, (double)m->looks);
	sample(w, "_sum", m, NULL, 0, seconds);
}

static void look_seconds(struct writing *w, const struct measured *m) { summed(w, m, m->look_seconds); }
static void pause_seconds(struct writing *w, const struct measured *m) { summed(w, m, m->pause_seconds); }

static const struct { const char *name, *type, *unit, *help; void (*write)(struct writing *, const struct measured *); } families[] = {
	{ "asyncmon_tasks", "gauge", NULL, "Tasks by state; done ones while they are alive.", tasks },
	{ "asyncmon_tasks_by_coro", "gauge", NULL, "Live tasks by what their coroutine runs, the 20 most frequent and other.",
	  by_coro },
	{ "asyncmon_loop_lag_seconds", "gauge", "seconds", "How late the latest timer of the event loop is.", loop_lag },
	{ "asyncmon_loop_ready", "gauge", NULL, "Callbacks in the event loop's ready queue.", loop_ready },
	{ "asyncmon_executor_queue", "gauge", NULL, "Calls that wait for a worker of the executor.", executor_queue },
	{ "asyncmon_findings", "gauge", NULL, "What asyncmon check finds, by rule.", findings },
	{ "asyncmon_waiting_for_root", "gauge", NULL, "Tasks by the kind of what they wait for in the end.", waiting_for_root },
	{ "asyncmon_look_seconds", "summary", "seconds", "Time that looks at the process took asyncmon.", look_seconds },
	{ "asyncmon_pause_seconds", "summary", "seconds", "Time that the process was stopped for looks.", pause_seconds },
};

void metrics_write(struct out *o, const struct measured *v, size_t n, bool openmetrics)
{
	struct strbuf *b = &o->b;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		struct writing w = { o, openmetrics, families[i].name };
		strbuf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", w.family, families[i].help, w.family, families[i].type);
		if (openmetrics && families[i].unit)
			strbuf_fmt(b, "# UNIT %s %s\n", w.family, families[i].unit);
		for (size_t k = 0; k < n; k++)
			families[i].write(&w, &v[k]);
	}
	if (openmetrics)
		strbuf_str(b, "# EOF\n");
}

void measured_end(struct measured *m)
{
	why_free(&m->why);
	snapshot_view_end(&m->s);
}

#include "cmd/top.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fit.h"
#include "query/findings.h"
#include "query/shape.h"
#include "show/list_look.h"

#define LOOPS_MAX 3
#define FINDINGS_MAX 3
/* The line of the process, the counts, the column heads, and the last line. */
#define FIXED 4

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t loops_shown(const struct top *t)
{
	const struct snapshot *s = t->targets.v[t->shown].now;
	return s ? least(s->nloops, LOOPS_MAX) : 0;
}

static size_t findings_shown(const struct top *t)
{
	const struct snapshot *s = t->targets.v[t->shown].now;
	return s && LINES >= 16 ? least(s->nfindings, FINDINGS_MAX) : 0;
}

size_t top_room(const struct top *t)
{
	size_t used = FIXED + loops_shown(t) + findings_shown(t);
	if (t->page.len)
		used = 1;
	return LINES > (int)used ? (size_t)LINES - used : 1;
}

/* A line of text, cut to the screen; what is not fit for a terminal is escaped. */
static void put(int y, const char *text, attr_t how)
{
	struct strbuf escaped = { 0 }, cut = { 0 };
	if (y < 0 || y >= LINES)
		return;
	strbuf_escaped(&escaped, text ? text : "");
	fit_cut(&cut, escaped.s ? escaped.s : "", (size_t)COLS, FIT_KEEP_START);
	attrset(how);
	mvaddstr(y, 0, cut.s ? cut.s : "");
	if (how & A_REVERSE)
		for (int x = getcurx(stdscr); x > 0 && x < COLS && getcury(stdscr) == y; x++)
			addch(' ');
	clrtoeol();
	attrset(A_NORMAL);
	strbuf_free(&escaped);
	strbuf_free(&cut);
}

static void head(struct top *t)
{
	const struct top_target *x = top_target(t);
	struct strbuf b = { 0 };
	char when[16] = "";
	time_t now = time(NULL);
	struct tm tm;
	if (localtime_r(&now, &tm))
		strftime(when, sizeof when, "%H:%M:%S", &tm);
	strbuf_fmt(&b, "%s  PID %s", when, x->word);
	if (t->targets.n > 1)
		strbuf_fmt(&b, " (%zu of %zu)", t->shown + 1, t->targets.n);
	if (x->now)
		strbuf_fmt(&b, "  Python %s%s", x->now->python, x->now->agent ? ", with the agent" : "");
	strbuf_fmt(&b, "  %s", x->command);
	put(0, b.s, A_BOLD);
	strbuf_free(&b);
}

static void counts(struct top *t)
{
	const struct top_target *x = top_target(t);
	struct strbuf b = { 0 };
	size_t n[TASK_CANCELLED + 1] = { 0 };
	for (size_t i = 0; x->now && i < x->now->ntasks; i++)
		n[x->now->tasks[i].state]++;
	if (!x->now) {
		strbuf_str(&b, "not looked at yet");
	} else {
		if (t->paused)
			strbuf_str(&b, "PAUSED; ");
		strbuf_fmt(&b, "%zu task%s: %zu run, %zu ready, %zu wait; ", x->now->ntasks,
			   x->now->ntasks == 1 ? "" : "s", n[TASK_RUNNING], n[TASK_RUNNABLE], n[TASK_WAITING]);
		strbuf_fmt(&b, "%zu stall%s", x->stalls, x->stalls == 1 ? "" : "s");
		if (x->stalls) {
			strbuf_str(&b, ", longest ");
			shape_seconds(&b, x->longest);
		}
		if (t->sort)
			strbuf_fmt(&b, "; by %s%s", list_tasks.columns[t->sort - 1].name, t->reverse ? ", reversed" : "");
		if (t->filter[0])
			strbuf_fmt(&b, "; with \"%s\"", t->filter);
	}
	put(1, b.s, A_NORMAL);
	strbuf_free(&b);
}

static void loop_line(const struct top_target *x, const struct loop *l, int y)
{
	struct strbuf b = { 0 };
	bool held = x->holds && x->held.of.loop == l->id;
	strbuf_str(&b, "loop ");
	strbuf_hex(&b, l->id);
	if (!l->running)
		strbuf_str(&b, l->copied ? " of the parent process" : " not running");
	else
		strbuf_fmt(&b, " thread %d  %s", (int)l->thread, held ? "HELD " : l->asleep ? "idle" : "busy");
	if (held) {
		shape_seconds(&b, now_seconds() - x->held.start);
		strbuf_fmt(&b, " (%s)", hold_state_name(hold_state(&x->held)));
	}
	if (l->ready >= 0)
		strbuf_fmt(&b, "  %lld ready", (long long)l->ready);
	if (l->timers >= 0)
		strbuf_fmt(&b, "  %lld timers", (long long)l->timers);
	if (l->overdue > 0) {
		strbuf_str(&b, "  late by ");
		shape_seconds(&b, l->overdue);
	}
	put(y, b.s, held ? A_BOLD | (attr_t)COLOR_PAIR(COLOR_RED) : A_NORMAL);
	strbuf_free(&b);
}

static int findings(const struct top *t, int y)
{
	const struct snapshot *s = t->targets.v[t->shown].now;
	for (size_t i = 0; i < findings_shown(t); i++) {
		const struct finding *f = &s->findings[i];
		struct strbuf b = { 0 };
		strbuf_fmt(&b, "%s [%s] %s", severity_name((int)f->severity), f->rule, f->message);
		put(y++, b.s, (attr_t)COLOR_PAIR(f->severity == FINDING_ERROR ? COLOR_RED : COLOR_YELLOW));
		strbuf_free(&b);
	}
	return y;
}

/* The options of ps that say the same. */
static err_t options(struct top *t, struct args *a, char *sort, size_t size)
{
	static const struct option give[] = {
		{ "filter", 'f', "TEXT", "" }, { "sort", 0, "KEY", "" }, { "group-by", 0, "KEY", "" },
	};
	if (t->filter[0])
		TRY(args_give(a, &give[0], t->filter));
	snprintf(sort, size, "%s%s", t->sort ? list_tasks.columns[t->sort - 1].name : "", t->reverse ? ":desc" : "");
	if (t->sort && !t->group)
		TRY(args_give(a, &give[1], sort));
	if (t->group) {
		snprintf(sort, size, "%s", list_tasks.groups_by[t->group - 1]->name);
		TRY(args_give(a, &give[2], sort));
	}
	return NULL;
}

/* Lines of text, the first in reverse as a heading, the chosen one marked. */
static void lines(struct top *t, int y, const char *text, size_t chosen)
{
	for (size_t i = 0; text && *text && y < LINES - 1; i++) {
		size_t n = strcspn(text, "\n");
		char *line = strndup(text, n);
		put(y++, line, i == 0 ? A_REVERSE : i - 1 == chosen ? A_BOLD | A_STANDOUT : A_NORMAL);
		free(line);
		text += n + (text[n] == '\n');
	}
	for (; y < LINES - 1; y++)
		put(y, "", A_NORMAL);
	(void)t;
}

static void keep_in_view(struct top *t, size_t n, size_t room)
{
	if (t->at >= n)
		t->at = n ? n - 1 : 0;
	if (t->first > t->at)
		t->first = t->at;
	if (t->at >= t->first + room)
		t->first = t->at - room + 1;
	t->rows = n;
}

/* The chosen task may stand elsewhere in the new list. */
static void find_chosen(struct top *t, const struct list *l)
{
	for (size_t i = 0; t->chosen && i < l->n; i++)
		if (((const struct task *)l->rows[i])->id == t->chosen)
			t->at = i;
	keep_in_view(t, l->n, top_room(t));
	t->chosen = t->at < l->n ? ((const struct task *)l->rows[t->at])->id : 0;
}

static err_t list_text(struct top *t, struct list *l, const struct args *a, struct out *o)
{
	const struct term term = { .out = true, .width = (unsigned)COLS, .height = (unsigned)LINES };
	struct list_look k = { 0 };
	struct list window = *l;
	find_chosen(t, l);
	err_t e = list_look_make(&k, l, a, &term);
	window.rows += t->first;
	window.n = least(l->n - t->first, top_room(t));
	window.filtered = false;
	if (!e)
		e = list_print(o, &window, &k);
	list_look_free(&k);
	return e;
}

static err_t groups_text(struct top *t, struct tallies *g, const char *by, struct out *o)
{
	struct list_look k = { 0 };
	struct tallies window = *g;
	keep_in_view(t, g->n, top_room(t));
	window.v += t->first;
	window.n = least(g->n - t->first, top_room(t));
	return tallies_print(o, &window, by, &k);
}

static void tasks(struct top *t, int y)
{
	struct snapshot *s = top_target(t)->now;
	struct args a = { 0 };
	struct list l = { 0 };
	struct tallies g = { 0 };
	struct out o = { .fd = -1 };
	char sort[64];
	err_t e = options(t, &a, sort, sizeof sort);
	if (!e)
		e = list_make(&l, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks });
	if (!e)
		e = list_query(&l, &a, &g);
	if (!e)
		e = t->group ? groups_text(t, &g, sort, &o) : list_text(t, &l, &a, &o);
	lines(t, y, e ? e->msg : o.b.s, t->at - t->first);
	err_free(e);
	tallies_free(&g);
	list_free(&l);
	args_free(&a);
	out_free(&o);
}

static void page(struct top *t)
{
	const char *p = t->page.s;
	size_t n = 0, room = top_room(t);
	for (const char *q = p; *q; q++)
		n += *q == '\n';
	if (t->page_first + room > n)
		t->page_first = n > room ? n - room : 0;
	for (size_t skip = t->page_first; skip && *p; p++)
		skip -= *p == '\n';
	for (int y = 0; y < LINES - 1; y++) {
		size_t len = strcspn(p, "\n");
		char *line = strndup(p, len);
		put(y, line, A_NORMAL);
		free(line);
		p += len + (p[len] == '\n');
	}
}

static void last_line(struct top *t)
{
	struct strbuf b = { 0 };
	if (t->asks != ASK_NOTHING)
		strbuf_fmt(&b, "%s%s", t->prompt, t->answer);
	else if (t->page.len)
		strbuf_str(&b, "Esc back   Up, Down, PgUp, PgDn");
	else if (t->said.len)
		strbuf_str(&b, t->said.s);
	else
		strbuf_fmt(&b, "q leave  Enter open  c cancel  / filter  s sort  g group  p pause%s  ? keys",
			   t->targets.n > 1 ? "  Tab next" : "");
	put(LINES - 1, b.s, t->asks != ASK_NOTHING || t->said.len ? A_BOLD : A_DIM);
	strbuf_free(&b);
}

void top_draw(struct top *t)
{
	const struct top_target *x = top_target(t);
	int y = 2;
	if (t->page.len) {
		page(t);
	} else {
		head(t);
		counts(t);
		for (size_t i = 0; i < loops_shown(t); i++)
			loop_line(x, &x->now->loops[i], y++);
		y = findings(t, y);
		if (x->now)
			tasks(t, y);
	}
	last_line(t);
	refresh();
}

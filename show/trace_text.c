/* A trace as lines for a person, as strace's: when, which task, what, and what about it. */
#include "show/trace_writer.h"

#include <math.h>
#include <time.h>

#include "base/fit.h"
#include "base/signals.h"
#include "base/utf8.h"
#include "query/shape.h"
#include "show/trace_summary.h"

#define TIME_COLUMNS 16
#define NAME_COLUMNS 22
#define NAME_NARROW 14           /* on a terminal of less than */
#define NARROW 80
#define DETAILS_LEAST 10         /* a terminal with room for less breaks lines as it likes */
#define KIND_COLUMNS 10

static void put_time(struct strbuf *b, double at)
{
	time_t second = (time_t)at;
	int part = (int)((at - (double)second) * 1e6);
	char text[16] = "?";
	struct tm tm;
	if (localtime_r(&second, &tm))
		strftime(text, sizeof text, "%H:%M:%S", &tm);
	strbuf_fmt(b, "%s.%06d ", text, part >= 0 && part < 1000000 ? part : 0);
}

static void put_ref(struct strbuf *b, const struct task_ref *r)
{
	if (r->name)
		strbuf_fmt(b, "%s (#%lld)", r->name, (long long)r->serial);
	else
		strbuf_fmt(b, "task #%lld", (long long)r->serial);
}

static void put_by(struct strbuf *b, const struct trace_event *e)
{
	const char *signal = e->signal ? signal_name(e->signal) : NULL;
	switch (e->by) {
	case BY_TASK: strbuf_str(b, "by "); put_ref(b, &e->by_task); break;
	case BY_END: strbuf_str(b, "by the end of "); put_ref(b, &e->by_task); break;
	case BY_CALLBACK: strbuf_str(b, "by a callback"); break;
	case BY_SIGNAL: strbuf_fmt(b, "by %s", signal ? signal : "a signal"); break;
	case BY_THREAD:
		if (e->thread)
			strbuf_fmt(b, "by thread %d", (int)e->thread);
		else
			strbuf_str(b, "by another thread");
		break;
	default: strbuf_str(b, "by no task"); break;
	}
}

static const struct frame *put_place(struct strbuf *b, const struct stack *st)
{
	const struct frame *shown = shape_last(st);
	if (shown) {
		strbuf_str(b, " at ");
		shape_frame(b, shown);
	}
	return shown;
}

/* The same, and the function that is further in. */
static void put_where(struct strbuf *b, const struct stack *st)
{
	const struct frame *shown = put_place(b, st), *inner = st->n ? st->frames[st->n - 1] : NULL;
	if (inner && inner != shown && inner->function)
		strbuf_fmt(b, ", in %s", inner->function);
}

static void created(struct strbuf *b, const struct trace_event *e)
{
	strbuf_str(b, e->task->coro ? e->task->coro : "?");
	strbuf_str(b, ", ");
	put_by(b, e);
	put_place(b, &e->stack);
	if (e->eager)
		strbuf_str(b, ", which runs it at once");
}

static void met(struct strbuf *b, const struct trace_event *e)
{
	strbuf_fmt(b, "%s, which is older than the agent", e->task->coro ? e->task->coro : "?");
}

static void ready(struct strbuf *b, const struct trace_event *e)
{
	put_by(b, e);
	if (e->how && e->how[0] != 'r' && e->by != BY_END)
		strbuf_fmt(b, ", by %s", e->how[0] == 'e' ? "an exception" : "a cancellation");
}

static void begun(struct strbuf *b, const struct trace_event *e)
{
	if (isnan(e->took))
		return;
	shape_short(b, e->took);
	strbuf_str(b, " after it was ready");
}

static void suspended(struct strbuf *b, const struct trace_event *e)
{
	if (!isnan(e->took)) {
		strbuf_str(b, "after ");
		shape_short(b, e->took);
	}
	put_where(b, &e->stack);
	if (e->on == ON_TASK) {
		strbuf_str(b, ", until ");
		put_ref(b, &e->on_task);
		strbuf_str(b, " ends");
	} else if (e->on == ON_NOTHING || e->on == ON_DONE) {
		strbuf_str(b, ", ready again");
	}
}

static void cancel(struct strbuf *b, const struct trace_event *e)
{
	put_by(b, e);
	if (e->by == BY_CALLBACK || e->by == BY_TASK)
		put_place(b, &e->stack);
	if (e->message)
		strbuf_fmt(b, ": %s", e->message);
}

static void ended(struct strbuf *b, const struct trace_event *e)
{
	if (e->destroyed)
		strbuf_str(b, "its object went away while it was pending, ");
	if (e->type)
		strbuf_fmt(b, "%s%s%s, ", e->type, e->message ? ": " : "", e->message ? e->message : "");
	if (isnan(e->lifetime)) {
		strbuf_str(b, "after an unknown time");
		return;
	}
	strbuf_str(b, "after ");
	shape_short(b, e->lifetime);
}

static void lost(struct strbuf *b, const struct trace_event *e)
{
	strbuf_fmt(b, "about %llu events were overwritten before they were read", (unsigned long long)e->lost);
}

/* What is done to it, in a word. */
static const char *word(const struct trace_event *e, const char **sgr)
{
	*sgr = e->kind == TRACE_CANCEL || e->kind == TRACE_LOST ? "33" : NULL;
	if (e->kind == TRACE_CANCEL)
		return "cancel";
	if (e->kind != TRACE_ENDED)
		return trace_kind_name(e->kind);
	*sgr = e->outcome == TASK_FAILED ? "31" : e->outcome == TASK_CANCELLED ? "33" : "32";
	return task_state_name(e->outcome);
}

static void put_cell(struct strbuf *b, const char *text, size_t columns, const struct term *term, const char *sgr)
{
	size_t width = utf8_width(text);
	if (sgr)
		term_sgr(term, b, sgr, text);
	else
		strbuf_str(b, text);
	strbuf_fmt(b, "%*s", width < columns ? (int)(columns - width) + 1 : 1, "");
}

static void event(struct trace_writer *w, const struct trace_event *e)
{
	static void (*const details[TRACE_KINDS])(struct strbuf *, const struct trace_event *) = {
		[TRACE_CREATED] = created, [TRACE_MET] = met, [TRACE_READY] = ready, [TRACE_BEGUN] = begun,
		[TRACE_SUSPENDED] = suspended, [TRACE_CANCEL] = cancel, [TRACE_ENDED] = ended, [TRACE_LOST] = lost,
	};
	struct strbuf *b = &w->out->b, *t = &w->line;
	const char *sgr, *kind = word(e, &sgr);
	unsigned columns = w->term.width && w->term.width < NARROW ? NAME_NARROW : NAME_COLUMNS;
	unsigned used = TIME_COLUMNS + columns + 1 + KIND_COLUMNS + 1;
	put_time(b, e->at);
	strbuf_clear(t);
	if (e->task) {
		const struct task_ref r = { .serial = (int64_t)e->task->serial, .name = e->task->name };
		put_ref(t, &r);
	}
	strbuf_clear(&w->inner);
	strbuf_escaped(&w->inner, t->s ? t->s : "");
	strbuf_clear(t);
	fit_cut(t, w->inner.s ? w->inner.s : "", columns, FIT_KEEP_BOTH);
	put_cell(b, t->s ? t->s : "", columns, NULL, NULL);
	put_cell(b, kind, KIND_COLUMNS, &w->term, sgr);
	strbuf_clear(t);
	if (details[e->kind])
		details[e->kind](t, e);
	strbuf_clear(&w->inner);
	strbuf_escaped(&w->inner, t->s ? t->s : "");
	if (w->term.width >= used + DETAILS_LEAST)
		fit_cut(b, w->inner.s ? w->inner.s : "", w->term.width - used, FIT_KEEP_START);
	else
		strbuf_str(b, w->inner.s ? w->inner.s : "");
	while (b->len && b->s[b->len - 1] == ' ')
		b->len--;
	strbuf_char(b, '\n');
}

static void nothing(struct trace_writer *w) { (void)w; }

static void end(struct trace_writer *w, const struct trace_sum *sum)
{
	if (sum->totals)
		trace_summary_text(&w->out->b, sum->totals);
}

const struct trace_format trace_text = { .name = "text", .begin = nothing, .event = event, .end = end };

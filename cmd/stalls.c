/* stalls: each time a loop is held, how long, by what, and where. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach/act.h"
#include "base/clock.h"
#include "cmd/capture.h"
#include "cmd/page.h"
#include "query/list.h"
#include "query/shape.h"
#include "show/stalls.h"
#include "watch/watch.h"

#define OVER_S 0.1
#define OVER_MIN_S 0.002
#define FOREVER_S 1e9
/* Holds of several loops that are looked into at a time. */
#define KEPT_MAX 16
/* Looks into one that lasts: each stops the process for an instant. */
#define LOOKS_MAX 8

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/* The looks into a hold that goes on. */
struct kept {
	uint64_t number;         /* 0: free */
	struct snapshot *first, *later;
	double first_at, later_at; /* when they were of, now_seconds() */
	unsigned looks;
};

struct stalls {
	struct call *c;
	struct page page;
	double over, seconds;    /* seconds: for how long */
	size_t count;            /* 0: any number */
	struct watch *watch;
	struct kept kept[KEPT_MAX];
	struct stall_sum sum;
	double began, clock;     /* now_seconds(); what is to be added to it for the time of day */
	bool fail, gone;
};

static err_t parse(struct stalls *s, const struct args *a)
{
	const char *over = opt_value(a, "over"), *seconds = opt_value(a, "for"), *count = opt_value(a, "count");
	s->over = OVER_S;
	s->seconds = FOREVER_S;
	if (over)
		TRY(duration_parse(over, &s->over));
	if (!(s->over >= OVER_MIN_S && s->over <= 86400))
		return err_new(E_USAGE, "--over takes a duration from 2ms to a day, not %s", over);
	if (seconds)
		TRY(duration_parse(seconds, &s->seconds));
	if (count)
		TRY(count_parse("count", count, &s->count));
	s->fail = opt_given(a, "fail");
	return NULL;
}

static struct kept *kept_of(struct stalls *s, uint64_t number)
{
	for (size_t i = 0; i < KEPT_MAX; i++)
		if (s->kept[i].number == number)
			return &s->kept[i];
	return NULL;
}

static void drop(struct kept *k)
{
	snapshot_free(k->first);
	snapshot_free(k->later);
	*k = (struct kept){ 0 };
}

/* A look at the threads and what runs in them, which stops the process for an instant. */
static err_t look(struct stalls *s, struct snapshot **out, double *at)
{
	unsigned what = SNAPSHOT_RUNNING | SNAPSHOT_THREADS | SNAPSHOT_NATIVE;
	TRY(call_snapshot(s->c, what, out));
	*at = (*out)->taken_at - s->clock;
	return NULL;
}

static err_t look_into(struct stalls *s, const struct hold *h)
{
	struct kept *k = kept_of(s, h->number);
	struct snapshot *snap = NULL;
	double at;
	if (!k)
		k = kept_of(s, 0);
	if (!k || k->looks == LOOKS_MAX || !watch_goes_on(s->watch, h->number))
		return NULL;
	TRY(look(s, &snap, &at));
	k->number = h->number;
	k->looks++;
	if (!k->first) {
		k->first = snap;
		k->first_at = at;
		return NULL;
	}
	snapshot_free(k->later);
	k->later = snap;
	k->later_at = at;
	return NULL;
}

static const char *state_colour(enum hold_state s)
{
	return s == HOLD_PYTHON || s == HOLD_NATIVE ? "33;1" : "35;1";
}

/* "00:12:03.123  312 ms  syscall  loop 0x7f… in thread 12, task fetch-3 (fetch)" */
static void head_line(struct stalls *s, const struct stall *x, double at)
{
	struct page *p = &s->page;
	size_t from = p->c->out->b.len;
	time_t day = (time_t)at;
	struct tm tm;
	char when[16] = "?";
	if (localtime_r(&day, &tm))
		strftime(when, sizeof when, "%H:%M:%S", &tm);
	strbuf_fmt(&p->c->out->b, "%s.%03d  ", when, (int)((at - floor(at)) * 1e3));
	shape_seconds(&p->text, hold_seconds(&x->hold));
	page_put(p, "1");
	strbuf_str(&p->c->out->b, x->hold.ended ? "  " : " so far  ");
	strbuf_str(&p->text, hold_state_name(hold_state(&x->hold)));
	page_put(p, state_colour(hold_state(&x->hold)));
	strbuf_str(&p->text, "  loop ");
	strbuf_hex(&p->text, x->hold.of.loop);
	strbuf_fmt(&p->text, " in thread %d", (int)x->hold.of.thread);
	if (x->first.task) {
		strbuf_str(&p->text, ", task ");
		shape_name(&p->text, x->first.task->name, x->first.task->id);
		if (x->first.task->coro)
			strbuf_fmt(&p->text, " (%s)", x->first.task->coro);
	} else if (x->hold.in_step && x->first.snap) {
		strbuf_str(&p->text, ", a callback");
	}
	page_put(p, NULL);
	page_end_line(p, from, 4);
}

static void text(struct stalls *s, const struct stall *x, double at)
{
	struct page *p = &s->page;
	head_line(s, x, at);
	stall_detail(&p->text, x);
	if (p->text.len)
		page_line(p, 2, NULL);
	if (!x->first.snap && x->hold.in_step) {
		strbuf_str(&p->text, "(it was over before a look could be taken)");
		page_line(p, 2, "2");
	}
	page_thread_frames(p, x->first.frames, x->first.nframes, 4);
	if (x->later.snap && !stall_looks_alike(&x->first, &x->later)) {
		strbuf_str(&p->text, "and later:");
		page_line(p, 2, NULL);
		page_thread_frames(p, x->later.frames, x->later.nframes, 4);
	}
}

static err_t tell(struct stalls *s, const struct hold *h)
{
	struct kept *k = kept_of(s, h->number);
	struct stall x = { .hold = *h };
	double at = h->start + s->clock;
	/* A look that was taken after the end shows something else. */
	if (k && k->first && k->first_at <= h->end)
		stall_look_make(&x.first, h, k->first);
	if (k && k->later && k->later_at <= h->end)
		stall_look_make(&x.later, h, k->later);
	if (!stall_sum_add(&s->sum, h))
		return ERR_NOMEM;
	if (s->c->as_json) {
		json_stall(&s->c->json, &x, at);
		json_end(&s->c->json);
	} else {
		text(s, &x, at);
	}
	if (k)
		drop(k);
	out_flush(s->c->out);
	return NULL;
}

static void say_loops(struct stalls *s)
{
	size_t blind;
	const char *type;
	size_t n = watch_loops(s->watch, &blind, &type);
	if (!n && !blind)
		call_note(s->c, "no event loop runs in the process yet; waiting for one");
	if (blind)
		call_note(s->c, "%zu loop%s cannot be watched: what goes round in a %s cannot be seen from outside", blind,
			  blind == 1 ? "" : "s", type);
	if (!s->c->as_json && s->c->term.err)
		call_note(s->c, "watching %zu loop%s for steps of %g ms or more; Ctrl-C ends it", n, n == 1 ? "" : "s",
			  s->over * 1e3);
	/* It is of use now, not once all is over. */
	call_notes_flush(s->c);
}

static err_t follow(struct stalls *s)
{
	double until = s->began + s->seconds;
	struct watch_event e;
	bool got;
	while (!interrupted && !s->c->out->errnum) {
		TRY(watch_next(s->watch, until, &interrupted, &e, &got));
		if (!got)
			return NULL;
		if (e.kind == WATCH_END)
			TRY(tell(s, &e.hold));
		else
			TRY(look_into(s, &e.hold));
		if (s->count && s->sum.n >= s->count)
			return NULL;
	}
	return NULL;
}

/* What is held at the end is told as far as it has come. */
static err_t drain(struct stalls *s)
{
	struct watch_event e;
	bool got;
	watch_halt(s->watch);
	for (;;) {
		TRY(watch_next(s->watch, 0, NULL, &e, &got));
		if (!got)
			return NULL;
		if (e.kind == WATCH_END && !(s->count && s->sum.n >= s->count))
			TRY(tell(s, &e.hold));
	}
}

static void summary_text(struct stalls *s, double watched)
{
	struct strbuf *b = &s->page.text;
	static const double percents[] = { 50, 90, 99 };
	if (!s->sum.n) {
		strbuf_fmt(b, "No loop was held for %g ms or longer in %.1f s.", s->over * 1e3, watched);
		page_line(&s->page, 0, "1");
		return;
	}
	strbuf_fmt(b, "%zu stall%s of %g ms or more in %.1f s, ", s->sum.n, s->sum.n == 1 ? "" : "s", s->over * 1e3, watched);
	shape_seconds(b, s->sum.held);
	strbuf_fmt(b, " together: ");
	for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
		strbuf_fmt(b, "p%g ", percents[i]);
		shape_seconds(b, stall_sum_percentile(&s->sum, percents[i]));
		strbuf_str(b, ", ");
	}
	strbuf_str(b, "longest ");
	shape_seconds(b, stall_sum_percentile(&s->sum, 100));
	strbuf_str(b, " (");
	for (size_t k = 0, told = 0; k < HOLD_STATES; k++)
		if (s->sum.states[k])
			strbuf_fmt(b, "%s%zu %s", told++ ? ", " : "", s->sum.states[k], hold_state_name((enum hold_state)k));
	strbuf_str(b, ").");
	page_line(&s->page, 0, "1");
}

static void summary(struct stalls *s)
{
	double watched = now_seconds() - s->began;
	const char *by = s->gone ? "target" : interrupted ? "interrupt" : s->count && s->sum.n >= s->count ? "count" : "for";
	stall_sum_sort(&s->sum);
	if (s->c->as_json) {
		json_stall_sum(&s->c->json, &s->sum, now_seconds() + s->clock, watched, s->over, by);
		json_end(&s->c->json);
	} else {
		summary_text(s, watched);
	}
	if (watch_lost(s->watch))
		call_note(s->c, "%zu events came too fast to be told", watch_lost(s->watch));
}

static err_t watch_all(struct stalls *s)
{
	struct sigaction sa = { .sa_handler = on_signal }, was_int, was_term;
	interrupted = 0;
	TRY(watch_start(s->c->cap->python, s->over, &s->watch));
	s->began = now_seconds();
	say_loops(s);
	sigaction(SIGINT, &sa, &was_int);
	sigaction(SIGTERM, &sa, &was_term);
	err_t e = follow(s);
	s->gone = err_code(e) == E_GONE || (e && target_ended(call_target(s->c)));
	if (!e || s->gone) {
		err_t rest = drain(s);
		if (rest && !e)
			e = rest;
		else
			err_free(rest);
		summary(s);
	}
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGTERM, &was_term, NULL);
	return e;
}

static int stalls_run(struct call *c)
{
	struct stalls s = { .c = c, .page.c = c };
	struct snapshot *head = NULL;
	struct timespec day;
	err_t e = parse(&s, &c->args);
	/* Says who it is, and stops nothing. */
	if (!e)
		e = call_snapshot(c, SNAPSHOT_NO_PAUSE | SNAPSHOT_RUNNING, &head);
	if (!e && call_target(c)->kind != TARGET_PROCESS)
		e = err_new(E_USAGE, "stalls takes a process: a core dump does not go on");
	if (!e) {
		clock_gettime(CLOCK_REALTIME, &day);
		s.clock = (double)day.tv_sec + (double)day.tv_nsec / 1e9 - now_seconds();
		s.page.source.target = call_target(c);
		s.page.source.python = head->python;
		e = watch_all(&s);
	}
	int status = STATUS_FINE;
	if (e && s.gone) {
		/* The summary was the answer. */
		call_note(c, "%s", e == ERR_NOMEM ? "out of memory" : e->msg);
		err_free(e);
		status = STATUS_ATTACH;
	} else if (e) {
		status = call_fail(c, e);
	}
	if (s.sum.n && s.fail)
		status = STATUS_FINDING;
	for (size_t i = 0; i < KEPT_MAX; i++)
		drop(&s.kept[i]);
	page_free(&s.page);
	watch_free(s.watch);
	stall_sum_free(&s.sum);
	snapshot_free(head);
	return status;
}

static const struct option stalls_options[] = {
	{ "over", 0, "DURATION", "how long a loop is held for it to be told (100ms)" },
	{ "for", 0, "DURATION", "watch so long; until Ctrl-C where not given" },
	{ "count", 0, "N", "end after so many stalls" },
	{ "fail", 0, NULL, "exit 1 if there was one" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_stalls = {
	.name = "stalls",
	.arguments = "",
	.summary = "each time a loop is held: how long, by what, and where",
	.description = "Follows the event loops of a process and tells each time that one of them has not gone back to "
		       "its selector for --over: how long, by which task or callback, where it was at that moment and "
		       "later, and what it did: Python code, C code, a system call, waiting for the GIL, collecting "
		       "garbage, or that it was stopped or throttled. The process is not stopped for that, but for an "
		       "instant when a loop has been held for that long.",
	.options = stalls_options,
	.flags = CMD_TARGET | CMD_FOLLOWS,
	.run = stalls_run,
};

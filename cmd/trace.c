/* trace: what happens to tasks, as it happens. */
#include "tasks/feed.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "query/list.h"
#include "show/trace_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/act.h"
#include "base/clock.h"

/* Between two looks at the ring, in which the agent has room for a tenth of a second of a
 * program that does nothing but make tasks. */
#define POLL_MS 10
#define FLUSH_BYTES (32u << 10)
#define SIZE_DEFAULT (1ull << 30)
#define SIZE_MIN (4u << 10)
/* Kept for the line that says how it ended. */
#define END_BYTES 256u

struct tracing {
	struct call *c;
	double seconds;              /* INFINITY: until it is ended */
	const char *file;            /* NULL: standard output */
	uint64_t size_max, size;     /* of the file: may be, and is */
	unsigned kinds;              /* a bit for each that is written */
	const struct trace_format *format;
	struct selection sel;
	struct out out;
	struct trace_writer w;
	struct trace_sum sum;
	bool full, summary;
	struct totals totals;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

/* ---- what is asked for ---- */

static err_t parse_size(const char *text, uint64_t *size)
{
	char *end = NULL;
	double v = text && *text >= '0' && *text <= '9' ? strtod(text, &end) : NAN;
	const char *const units = "KMG", *unit = end && *end ? strchr(units, *end) : NULL;
	*size = SIZE_DEFAULT;
	if (!text)
		return NULL;
	if (unit)
		v *= (double)(1ull << 10 * (unit - units + 1));
	if (!(v >= SIZE_MIN && v < 1e15) || (end && *end && (!unit || end[1])))
		return err_new(E_USAGE, "--max-size takes a number of bytes from 4K on, as 64K, 100M or 2G, not %s", text);
	*size = (uint64_t)v;
	return NULL;
}

static err_t parse_kinds(const char *text, unsigned *kinds)
{
	*kinds = ~0u;
	if (!text)
		return NULL;
	*kinds = 1u << TRACE_LOST;
	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ",");
		enum trace_kind k = trace_kind_find(p, n);
		if (k == TRACE_KINDS)
			return err_new(E_USAGE, "there is no event %.*s; there are created, met, named, ready, begun, suspended, "
				       "cancel-requested and ended", (int)n, p);
		*kinds |= 1u << k;
		p += n;
		if (!*p)
			return NULL;
	}
}

static err_t parse_format(const struct call *c, const struct trace_format **out)
{
	static const struct trace_format *const formats[] = { &trace_text, &trace_json, &trace_perfetto };
	const char *name = opt_value(&c->args, "format");
	*out = c->as_json ? &trace_json : &trace_text;
	if (!name)
		return NULL;
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (strcmp(name, formats[i]->name) == 0) {
			*out = formats[i];
			return NULL;
		}
	}
	return err_new(E_USAGE, "--format is text, json or perfetto, not %s", name);
}

static err_t parse(struct tracing *t)
{
	const struct args *a = &t->c->args;
	const char *seconds = opt_value(a, "for");
	t->seconds = INFINITY;
	if (seconds)
		TRY(duration_parse(seconds, &t->seconds));
	t->file = opt_value(a, "out");
	t->summary = opt_given(a, "summary");
	TRY(parse_size(opt_value(a, "max-size"), &t->size_max));
	TRY(parse_kinds(opt_value(a, "events"), &t->kinds));
	TRY(parse_format(t->c, &t->format));
	TRY(selection_parse(&t->sel, a));
	if (t->summary && t->format->binary)
		return err_new(E_USAGE, "--summary is text or JSON, not a trace for Perfetto");
	if (t->format->binary && !t->file && t->c->term.out)
		return err_new(E_USAGE, "a trace for Perfetto is no text for a terminal: --out FILE");
	if (t->c->nwords)
		return err_new(E_USAGE, "trace takes options only, not %s; -f %s traces tasks of that name", t->c->words[0],
			       t->c->words[0]);
	return NULL;
}

/* ---- writing ---- */

static void flush(struct tracing *t)
{
	t->size += t->out.b.len;
	out_flush(&t->out);
}

static bool fits(const struct tracing *t)
{
	return !t->file || t->size + t->out.b.len + END_BYTES <= t->size_max;
}

static void write_event(void *ctx, const struct trace_event *e)
{
	struct tracing *t = ctx;
	size_t before = t->out.b.len;
	if (t->summary) {
		t->sum.events++;
		totals_event(&t->totals, e);
		return;
	}
	if (t->full || !(t->kinds & 1u << e->kind))
		return;
	t->format->event(&t->w, e);
	t->full = !fits(t);
	if (t->full)
		t->out.b.len = before;
	else
		t->sum.events++;
	if (t->out.b.len >= FLUSH_BYTES)
		flush(t);
}

static err_t open_out(struct tracing *t)
{
	t->out.fd = STDOUT_FILENO;
	if (!t->file)
		return NULL;
	t->out.fd = open(t->file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return t->out.fd < 0 ? err_errno(E_IO, errno, t->file) : NULL;
}

static err_t close_out(struct tracing *t)
{
	int failed = t->out.errnum;
	if (t->file && t->out.fd >= 0 && close(t->out.fd) != 0 && !failed)
		failed = errno;
	out_free(&t->out);
	if (!failed || (failed == EPIPE && !t->file))
		return NULL;
	return err_errno(E_IO, failed, t->file ? t->file : "standard output");
}

/* ---- following ---- */

static void nap(const struct target *target)
{
	struct pollfd p = { .fd = target_pidfd(target), .events = POLLIN };
	poll(&p, p.fd >= 0 ? 1 : 0, POLL_MS);
}

/* Until it is over, for whichever reason; t->sum says which. */
static err_t follow(struct tracing *t, struct trace *trace)
{
	double end = now_seconds() + t->seconds;
	err_t e = NULL;
	bool behind = false;
	for (;;) {
		bool last = stopped || now_seconds() >= end;
		e = trace_read(trace, write_event, t, &behind);
		flush(t);
		const char *why = t->out.errnum ? "output" : t->full ? "size" : stopped ? "interrupted" : last ? "time" : NULL;
		if (e || (why && (last || t->full || t->out.errnum))) {
			t->sum.ended = why;
			break;
		}
		if (!behind)
			nap(call_target(t->c));
	}
	if (err_code(e) != E_GONE && err_code(e) != E_UNSUPPORTED)
		return e;
	t->sum.ended = err_code(e) == E_GONE ? "gone" : "off";
	if (!t->c->as_json)
		call_note(t->c, "%s%s", e->msg, err_code(e) == E_GONE ? ": its last events may not have been read" : "");
	err_free(e);
	return NULL;
}

static void catch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal }, was;
	stopped = 0;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (sigaction(ends[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(ends[i], &sa, NULL);
}

static err_t follow_and_write(struct tracing *t, struct feed *f, const struct snapshot *s)
{
	struct trace *trace = NULL;
	TRY(trace_begin(f, s, &t->sel, &trace));
	t->w = (struct trace_writer){ .out = &t->out, .term = t->c->term, .s = s, .trace = trace };
	if (t->file)
		t->w.term.width = 0, t->w.term.colour = false;
	t->format->begin(&t->w);
	flush(t);
	err_t e = follow(t, trace);
	const struct feed_stats *st = feed_stats(f);
	t->sum.lost = st->lost + st->unwritten;
	totals_sort(&t->totals);
	t->sum.totals = t->summary ? &t->totals : NULL;
	if (!e)
		t->format->end(&t->w, &t->sum);
	totals_free(&t->totals);
	flush(t);
	trace_writer_free(&t->w);
	trace_end(trace);
	return e;
}

/* Says what is missing; false: nothing is. */
static bool say_missing(struct tracing *t, const struct feed_stats *st)
{
	if (t->full)
		call_note(t->c, "%s is as large as --max-size lets it be: what came then was not written", t->file);
	if (st->lost)
		call_note(t->c, "about %llu events were overwritten before they were read", (unsigned long long)st->lost);
	if (st->unwritten)
		call_note(t->c, "about %llu events were not written: the process had no memory for them",
			  (unsigned long long)st->unwritten);
	if (st->gaps)
		call_note(t->c, "%u times no events were written for a while: this program did not renew its lease in time",
			  st->gaps);
	return st->lost || st->unwritten || st->gaps;
}

static err_t run(struct tracing *t, int *status)
{
	struct call *c = t->c;
	struct feed *f = NULL;
	struct snapshot *s = NULL;
	TRY(parse(t));
	TRY(call_open(c));
	TRY(feed_open(c->cap->python, &f));
	catch_signals();
	err_t e = call_snapshot(c, 0, &s);
	if (!e)
		e = open_out(t);
	if (!e && c->term.err && t->file)
		fprintf(stderr, "asyncmon: tracing %zu tasks of process %d; Ctrl-C ends it\n", s->ntasks, (int)s->pid);
	if (!e)
		e = follow_and_write(t, f, s);
	err_t closed = close_out(t);
	if (!e)
		e = closed;
	else
		err_free(closed);
	if (!e && say_missing(t, feed_stats(f)))
		*status = STATUS_INCOMPLETE;
	for (size_t i = 0; !e && i < s->nnotes; i++)
		call_note(c, "%s", s->notes[i]);
	feed_close(f);
	snapshot_free(s);
	return e;
}

static int trace_run(struct call *c)
{
	struct tracing t = { .c = c };
	int status = STATUS_FINE;
	err_t e = run(&t, &status);
	return e ? call_fail(c, e) : status;
}

static const struct option trace_options[] = {
	{ "for", 0, "DURATION", "end after that time: 10s, 5m" },
	{ "out", 0, "FILE", "write to a file in place of standard output" },
	{ "format", 0, "FORMAT", "text, json (a line an event, as with --json) or perfetto (for ui.perfetto.dev)" },
	{ "max-size", 0, "SIZE", "end when the file is that large: 100M, 2G; 1G where not given" },
	{ "events", 0, "EVENT,...", "only these: created, met, named, ready, begun, suspended, cancel-requested, ended" },
	{ "summary", 0, NULL, "not the events, but in the end a row for each coroutine: how many tasks, how long their "
			      "steps took, how long they were ready before" },
	{ "filter", 'f', "TEXT", "only tasks with TEXT in their own or their coroutine's name" },
	{ "coro", 0, "GLOB", "only tasks whose coroutine's name matches" },
	{ "created", 0, "GLOB", "only tasks made at a file:line that matches" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_trace = {
	.name = "trace",
	.arguments = "",
	.summary = "what happens to tasks, as it happens",
	.description = "Shows events as they happen: tasks made, made ready and by whom, their steps and where "
		       "they are suspended, requests to cancel, ends. Needs the agent (run, inject), which "
		       "writes them down in its own memory while somebody reads; the target is not stopped "
		       "but for one look at the start. Ends with Ctrl-C, with --for, or with the target.",
	.options = trace_options,
	.flags = CMD_TARGET | CMD_FOLLOWS,
	.run = trace_run,
};

/* The sum of a trace, by coroutine. */
#include "show/trace_summary.h"

#include <math.h>
#include <stdio.h>

#include "base/fit.h"
#include "base/utf8.h"
#include "query/shape.h"
#include "show/json_types.h"

#define CORO_COLUMNS 28
#define COLUMN 9

static void put_right(struct strbuf *b, const char *text, size_t columns)
{
	size_t width = utf8_width(text);
	strbuf_fmt(b, "%*s%s", width < columns ? (int)(columns - width) + 1 : 1, "", text);
}

static void put_count(struct strbuf *b, uint64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	put_right(b, text, COLUMN);
}

static void put_time(struct strbuf *b, double s)
{
	struct strbuf t = { 0 };
	if (isnan(s))
		strbuf_char(&t, '-');
	else if (isinf(s))
		strbuf_str(&t, "more");
	else
		shape_short(&t, s);
	put_right(b, t.s ? t.s : "", COLUMN);
	strbuf_free(&t);
}

static void put_times(struct strbuf *b, const struct totals_times *times)
{
	struct histogram h = totals_histogram(times);
	put_time(b, histogram_below(&h, 0.5));
	put_time(b, histogram_below(&h, 0.99));
	put_time(b, times->count ? times->longest : NAN);
}

void trace_summary_text(struct strbuf *b, const struct totals *t)
{
	static const char *const headings[] = {
		"MADE", "FAILED", "CANCELS", "STEPS", "BUSY", "STEP-50%", "STEP-99%", "STEP-MAX",
		"DELAY-50%", "DELAY-99%", "DELAY-MAX",
	};
	struct strbuf name = { 0 }, cut = { 0 };
	strbuf_fmt(b, "%-*s", CORO_COLUMNS, "CORO");
	for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
		put_right(b, headings[i], COLUMN);
	strbuf_char(b, '\n');
	for (size_t i = 0; i < t->n; i++) {
		const struct totals_row *r = &t->v[i];
		strbuf_clear(&name);
		strbuf_clear(&cut);
		strbuf_escaped(&name, r->coro ? r->coro : "(others)");
		fit_cut(&cut, name.s ? name.s : "", CORO_COLUMNS, FIT_KEEP_END);
		strbuf_str(b, cut.s ? cut.s : "");
		size_t width = utf8_width(cut.s ? cut.s : "");
		strbuf_fmt(b, "%*s", (int)(width < CORO_COLUMNS ? CORO_COLUMNS - width : 0), "");
		put_count(b, r->made);
		put_count(b, r->failed);
		put_count(b, r->cancels);
		put_count(b, r->steps.count);
		put_time(b, r->steps.sum);
		put_times(b, &r->steps);
		put_times(b, &r->delays);
		strbuf_char(b, '\n');
	}
	strbuf_free(&name);
	strbuf_free(&cut);
}

static void count(struct json *j, const char *key, uint64_t n)
{
	json_key(j, key);
	json_int(j, (int64_t)n);
}

static void times(struct json *j, const char *key, const struct totals_times *t)
{
	struct histogram h = totals_histogram(t);
	json_histogram(j, key, &h);
}

void trace_summary_json(struct json *j, const struct totals *t)
{
	json_key(j, "summary");
	json_array(j);
	for (size_t i = 0; i < t->n; i++) {
		const struct totals_row *r = &t->v[i];
		json_object(j);
		json_key(j, "coro");
		json_str(j, r->coro);
		count(j, "created", r->made);
		count(j, "finished", r->finished);
		count(j, "failed", r->failed);
		count(j, "cancelled", r->cancelled);
		count(j, "cancels", r->cancels);
		times(j, "steps", &r->steps);
		times(j, "delays", &r->delays);
		json_object_end(j);
	}
	json_array_end(j);
}

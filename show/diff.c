#include "show/diff.h"

#include <math.h>
#include <string.h>

#include "query/findings.h"
#include "query/shape.h"
#include "show/json_types.h"
#include "show/wrap.h"

/* Of each kind so many lines are printed; JSON has all. */
#define LINES_MAX 20

static void head_json(struct json *j, const char *key, const struct snapshot *s)
{
	json_key(j, key);
	json_object(j);
	json_head(j, s);
	json_object_end(j);
}

static void tasks_json(struct json *j, const char *key, const struct snapshot *s, const uint32_t *v, size_t n)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_task(j, &s->tasks[v[i]], false);
	json_array_end(j);
}

static void counts_json(struct json *j, size_t old, size_t now)
{
	json_key(j, "old");
	json_int(j, (int64_t)old);
	json_key(j, "new");
	json_int(j, (int64_t)now);
}

static void moved_json(struct json *j, const struct moved *m)
{
	json_object(j);
	json_key(j, "coro");
	json_str(j, m->coro);
	json_key(j, "created");
	json_str(j, m->place);
	counts_json(j, m->old, m->now);
	json_key(j, "came");
	json_int(j, (int64_t)m->came);
	json_key(j, "went");
	json_int(j, (int64_t)m->went);
	json_object_end(j);
}

void json_diff(struct json *j, const struct diff *d)
{
	head_json(j, "old", d->old);
	head_json(j, "new", d->now);
	json_key(j, "apart");
	json_double(j, d->apart);
	tasks_json(j, "came", d->now, d->came.v, d->came.n);
	tasks_json(j, "went", d->old, d->went.v, d->went.n);
	json_key(j, "grew");
	json_array(j);
	for (size_t i = 0; i < d->grew.n; i++) {
		const struct grown *g = &d->grew.v[i];
		json_object(j);
		json_key(j, "key");
		json_str(j, g->key);
		json_key(j, "value");
		json_str(j, g->value);
		counts_json(j, g->old, g->now);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "moved");
	json_array(j);
	for (size_t i = 0; i < d->moved.n; i++)
		moved_json(j, &d->moved.v[i]);
	json_array_end(j);
}

static void line_end(struct out *o, const struct term *t, struct strbuf *text)
{
	size_t from = o->b.len;
	strbuf_escaped(&o->b, text->s ? text->s : "");
	wrap_indented(&o->b, from, t->width, 4);
	strbuf_char(&o->b, '\n');
	strbuf_clear(text);
	out_tick(o);
}

static void tasks(struct strbuf *b, size_t n)
{
	say_count(b, n);
	strbuf_str(b, n == 1 ? " task" : " tasks");
}

/* How long lies between the looks, where that is known. */
static void apart(struct strbuf *b, const struct diff *d)
{
	if (isnan(d->apart))
		return;
	strbuf_str(b, " in ");
	shape_seconds(b, fabs(d->apart));
}

static void last_of_path(struct strbuf *b, const char *place)
{
	const char *slash = strrchr(place, '/');
	strbuf_str(b, slash ? slash + 1 : place);
}

/* "+412 tasks of scan() made at disk.py:88 in 60 s, none of the 1,000 before ended" */
static void moved_line(struct strbuf *b, const struct diff *d, const struct moved *m)
{
	bool came = m->came > 0;
	strbuf_str(b, came ? "+" : "-");
	tasks(b, came ? m->came : m->went);
	strbuf_fmt(b, " of %s()", m->coro);
	if (m->place) {
		strbuf_str(b, " made at ");
		last_of_path(b, m->place);
	}
	apart(b, d);
	if (!d->same_process || (!m->old && came))
		return;
	if (!came) {
		strbuf_str(b, ", none came");
	} else if (m->went) {
		strbuf_str(b, ", ");
		say_count(b, m->went);
		strbuf_str(b, " of the ");
		say_count(b, m->old);
		strbuf_str(b, " before ended");
	} else {
		strbuf_str(b, m->old == 1 ? ", the one before did not end" : ", none of the ");
		if (m->old > 1) {
			say_count(b, m->old);
			strbuf_str(b, " before ended");
		}
	}
}

static void grown_line(struct strbuf *b, const struct grown *g)
{
	strbuf_str(b, "  ");
	say_count(b, g->old);
	strbuf_str(b, " -> ");
	say_count(b, g->now);
	strbuf_fmt(b, "  %s %s", g->key, g->value);
}

static void more(struct strbuf *b, size_t n)
{
	strbuf_fmt(b, "... and %zu more; --json has all", n - LINES_MAX);
}

void text_diff(struct out *o, const struct term *t, const struct diff *d)
{
	struct strbuf b = { 0 };
	tasks(&b, d->came.n);
	strbuf_str(&b, " came, ");
	say_count(&b, d->went.n);
	strbuf_str(&b, " went");
	apart(&b, d);
	line_end(o, t, &b);
	for (size_t i = 0; i < d->moved.n && i < LINES_MAX; i++) {
		moved_line(&b, d, &d->moved.v[i]);
		line_end(o, t, &b);
	}
	if (d->moved.n > LINES_MAX) {
		more(&b, d->moved.n);
		line_end(o, t, &b);
	}
	if (d->grew.n) {
		strbuf_str(&b, "What grew:");
		line_end(o, t, &b);
	}
	for (size_t i = 0; i < d->grew.n && i < LINES_MAX; i++) {
		grown_line(&b, &d->grew.v[i]);
		line_end(o, t, &b);
	}
	if (d->grew.n > LINES_MAX) {
		more(&b, d->grew.n);
		line_end(o, t, &b);
	}
	strbuf_free(&b);
}

/* The columns of the list of tasks that ended. */
#include "show/ended.h"

#include <math.h>
#include <string.h>

#include "query/shape.h"

#define TEXT(name) static bool name(struct strbuf *b, const struct snapshot *s, const void *row)
#define NUMBER(name) static bool name(const struct snapshot *s, const void *row, double *v)
#define ENDED const struct ended *t = row; (void)s

static bool str(struct strbuf *b, const char *text)
{
	if (text)
		strbuf_str(b, text);
	return text != NULL;
}

static bool seconds(struct strbuf *b, double v)
{
	shape_seconds(b, v);
	return true;
}

static bool frame(struct strbuf *b, const struct frame *f)
{
	if (f)
		shape_frame(b, f);
	return f != NULL;
}

/* NAN: unknown. */
static bool is(double *v, double value)
{
	*v = value;
	return !isnan(value);
}

TEXT(serial_text) { ENDED; strbuf_fmt(b, "#%lld", (long long)t->serial); return true; }
NUMBER(serial_number) { ENDED; return is(v, (double)t->serial); }
TEXT(id_text) { ENDED; strbuf_hex(b, t->id); return true; }
NUMBER(id_number) { ENDED; return is(v, (double)t->id); }
TEXT(outcome_text) { ENDED; return str(b, task_state_name(t->outcome)); }
NUMBER(outcome_number) { ENDED; return is(v, t->outcome); }
TEXT(name_text) { ENDED; return str(b, t->name); }
TEXT(coro_text) { ENDED; return str(b, t->coro); }
TEXT(ended_text) { ENDED; return seconds(b, s->taken_at - t->ended_at); }
NUMBER(ended_number) { ENDED; return is(v, s->taken_at - t->ended_at); }
TEXT(started_text) { ENDED; return !isnan(t->started_at) && seconds(b, s->taken_at - t->started_at); }
NUMBER(started_number) { ENDED; return is(v, s->taken_at - t->started_at); }
TEXT(lifetime_text) { ENDED; return !isnan(t->started_at) && seconds(b, t->ended_at - t->started_at); }
NUMBER(lifetime_number) { ENDED; return is(v, t->ended_at - t->started_at); }
TEXT(where_text) { ENDED; return t->stack.n && frame(b, shape_last(&t->stack)); }
TEXT(created_text) { ENDED; return frame(b, created_at(t->created)); }
TEXT(cancels_text)
{
	ENDED;
	bool all = !isnan(t->started_at);
	if (!all && !t->cancels_asked)
		return false;
	strbuf_fmt(b, "%s%llu", all ? "" : ">", (unsigned long long)t->cancels_asked);
	return true;
}

NUMBER(cancels_number) { ENDED; return is(v, (double)t->cancels_asked); }
TEXT(persistent_text) { ENDED; return str(b, t->persistent ? "yes" : "no"); }

TEXT(exception_text)
{
	ENDED;
	if (!t->exception || !t->exception->type)
		return false;
	shape_exception(b, t->exception);
	return true;
}

TEXT(by_text)
{
	ENDED;
	if (!t->created || !t->created->has_by)
		return false;
	shape_name(b, t->created->by.name, t->created->by.id);
	return true;
}

TEXT(canceller_text)
{
	ENDED;
	if (!t->ncancels)
		return false;
	const struct cancel *c = &t->cancels[t->ncancels - 1];
	if (c->has_by)
		shape_name(b, c->by.name, c->by.id);
	else
		strbuf_str(b, cancel_origin_name(c->origin));
	return true;
}

static const struct column columns[] = {
	{ "SERIAL", "the agent's number of the task", COL_DEFAULT, true, FIT_WHOLE, serial_text, serial_number },
	{ "ENDED", "how long ago it ended", COL_DEFAULT, true, FIT_WHOLE, ended_text, ended_number },
	{ "OUTCOME", "finished, failed or cancelled", COL_DEFAULT, false, FIT_WHOLE, outcome_text, outcome_number },
	{ "NAME", "its name at the end", COL_DEFAULT, false, FIT_MIDDLE(0.2), name_text, NULL },
	{ "CORO", "its coroutine", COL_DEFAULT, false, FIT_START(0.2), coro_text, NULL },
	{ "LIFETIME", "from its creation to its end", COL_DEFAULT, true, FIT_WHOLE, lifetime_text, lifetime_number },
	{ "EXCEPTION", "what it failed with", COL_KNOWN, false, FIT_END(0.3), exception_text, NULL },
	{ "CANCELLER", "who asked it to cancel last", COL_KNOWN, false, FIT_END(0.1), canceller_text, NULL },
	{ "WHERE", "the last frame in the user's own code when it ended", COL_KNOWN, false, FIT_START(0.3), where_text, NULL },
	{ "STARTED", "how long ago it was made", COL_ASKED, true, FIT_WHOLE, started_text, started_number },
	{ "BY", "the task that made it", COL_ASKED, false, FIT_END(0.1), by_text, NULL },
	{ "CREATED", "where it was made", COL_ASKED, false, FIT_START(0.2), created_text, NULL },
	{ "CANCELS", "how often it was asked to cancel", COL_ASKED, true, FIT_WHOLE, cancels_text, cancels_number },
	{ "ID", "the address that the task object had", COL_ASKED, false, FIT_WHOLE, id_text, id_number },
	{ "PERSISTENT", "whether it was preserved", COL_ASKED, false, FIT_WHOLE, persistent_text, NULL },
	{ NULL, NULL, COL_ASKED, false, FIT_WHOLE, NULL, NULL }
};

static const struct column
	by_coro = { .name = "coro", .text = coro_text },
	by_created = { .name = "created", .text = created_text },
	by_state = { .name = "state", .text = outcome_text };
static const struct column *const groups_by[] = { &by_coro, &by_created, &by_state, NULL };

static void subject(const void *row, struct subject *x)
{
	const struct ended *t = row;
	*x = (struct subject){ t->name, t->coro, NULL, t->outcome, t->created, t->persistent, true,
			       t->cancels_asked > t->ncancels ? t->ncancels : 0 };
}

static const char *colour(const void *row)
{
	return shape_state_colour(((const struct ended *)row)->outcome);
}

static void json(struct json *j, const void *row)
{
	json_ended(j, row, false);
}

const struct list_kind list_ended = {
	"terminated tasks", "terminated", NULL, columns, groups_by, subject, colour, json, NULL
};

/* The columns of a list of tasks. */
#include "show/list_look.h"

#include <math.h>
#include <string.h>

#include "show/json_types.h"
#include "query/shape.h"

#define TEXT(name) static bool name(struct strbuf *b, const struct snapshot *s, const void *row)
#define NUMBER(name) static bool name(const struct snapshot *s, const void *row, double *v)
#define TASK const struct task *t = row; (void)s

static bool str(struct strbuf *b, const char *text)
{
	if (text)
		strbuf_str(b, text);
	return text != NULL;
}

static bool hex(struct strbuf *b, uint64_t v)
{
	if (v)
		strbuf_hex(b, v);
	return v != 0;
}

static bool num(struct strbuf *b, bool known, int64_t v)
{
	if (known)
		strbuf_int(b, v);
	return known;
}

static bool seconds(struct strbuf *b, bool known, double v)
{
	if (known)
		shape_seconds(b, v);
	return known;
}

static bool is(double *v, bool known, double value)
{
	*v = value;
	return known;
}

/* What a task did before the agent came is not counted: the sign says that it is more. */
static bool counted(struct strbuf *b, const struct task *t)
{
	if (t->stats && t->stats->partial)
		strbuf_char(b, '>');
	return t->stats != NULL;
}

TEXT(id_text) { TASK; return hex(b, t->id); }
NUMBER(id_number) { TASK; return is(v, true, (double)t->id); }
TEXT(serial_text) { TASK; return num(b, t->serial >= 0, t->serial); }
NUMBER(serial_number) { TASK; return is(v, t->serial >= 0, (double)t->serial); }
TEXT(state_text) { TASK; return str(b, task_state_name(t->state)); }
NUMBER(state_number) { TASK; return is(v, true, t->state); }
TEXT(name_text) { TASK; return str(b, t->name); }
TEXT(coro_text) { TASK; return str(b, task_body(t)); }
TEXT(type_text) { TASK; return str(b, t->type); }
TEXT(loop_text) { TASK; return hex(b, t->loop); }
NUMBER(loop_number) { TASK; return is(v, t->loop, (double)t->loop); }
TEXT(pid_text) { (void)row; return num(b, s->pid > 0, s->pid); }
NUMBER(pid_number) { (void)row; return is(v, s->pid > 0, s->pid); }
TEXT(thread_text) { TASK; return num(b, t->thread, t->thread); }
NUMBER(thread_number) { TASK; return is(v, t->thread, t->thread); }
TEXT(cancelling_text) { TASK; return num(b, true, t->cancelling); }
NUMBER(cancelling_number) { TASK; return is(v, true, (double)t->cancelling); }
TEXT(waiting_text) { TASK; return shape_wait(b, s, t); }
TEXT(kind_text) { TASK; return t->wait && str(b, wait_kind_name(t->wait->kind)); }
TEXT(deadline_text) { TASK; return t->wait && seconds(b, !isnan(t->wait->deadline_in), t->wait->deadline_in); }
NUMBER(deadline_number) { TASK; return t->wait && is(v, !isnan(t->wait->deadline_in), t->wait->deadline_in); }
TEXT(fd_text) { TASK; return t->wait && num(b, t->wait->fd >= 0, t->wait->fd); }
NUMBER(fd_number) { TASK; return t->wait && is(v, t->wait->fd >= 0, t->wait->fd); }
TEXT(peer_text) { TASK; return t->wait && str(b, t->wait->peer); }
/* The classes of the managers that it is inside of, outermost first. */
TEXT(holds_text)
{
	TASK;
	size_t before = b->len;
	for (size_t i = 0; i < t->stack.ncontexts; i++) {
		const struct context *c = &t->stack.contexts[i];
		const char *dot = c->type ? strrchr(c->type, '.') : NULL;
		if (c->entering || !c->type)
			continue;
		strbuf_fmt(b, "%s%s", b->len > before ? ", " : "", dot ? dot + 1 : c->type);
	}
	return b->len > before;
}
TEXT(group_text) { TASK; return hex(b, t->group); }
/* The address first: names need not be told apart. */
TEXT(group_named)
{
	TASK;
	const struct group *g = snapshot_group(s, t->group);
	if (!hex(b, t->group))
		return false;
	if (g && g->kind)
		strbuf_fmt(b, " %s", g->kind);
	if (g && g->name)
		strbuf_fmt(b, " %s", g->name);
	return true;
}
NUMBER(group_number) { TASK; return is(v, t->group, (double)t->group); }
TEXT(awaiters_text) { TASK; return num(b, true, (int64_t)t->nawaited_by); }
NUMBER(awaiters_number) { TASK; return is(v, true, (double)t->nawaited_by); }
TEXT(depth_text) { TASK; return num(b, true, (int64_t)t->stack.n); }
NUMBER(depth_number) { TASK; return is(v, true, (double)t->stack.n); }
TEXT(age_text) { TASK; return t->created && seconds(b, !isnan(t->created->age), t->created->age); }
NUMBER(age_number) { TASK; return t->created && is(v, true, t->created->age); }
TEXT(at_text) { TASK; return t->created && shape_instant(b, t->created->at); }
NUMBER(at_number) { TASK; return t->created && is(v, true, t->created->at); }
TEXT(cancels_text)
{
	TASK;
	if (t->before_agent && t->cancels_asked)
		strbuf_char(b, '>');
	return num(b, t->cancels_asked || (s->agent && !t->before_agent), (int64_t)t->cancels_asked);
}
NUMBER(cancels_number) { TASK; return is(v, t->cancels_asked || !t->before_agent, (double)t->cancels_asked); }
TEXT(polls_text) { TASK; return counted(b, t) && num(b, true, (int64_t)t->stats->polls); }
NUMBER(polls_number) { TASK; return t->stats && is(v, true, (double)t->stats->polls); }
TEXT(busy_text) { TASK; return counted(b, t) && seconds(b, true, t->stats->busy); }
NUMBER(busy_number) { TASK; return t->stats && is(v, true, t->stats->busy); }
TEXT(longest_text) { TASK; return counted(b, t) && seconds(b, true, t->stats->longest_poll); }
NUMBER(longest_number) { TASK; return t->stats && is(v, true, t->stats->longest_poll); }
TEXT(exception_text) { TASK; return t->exception && str(b, t->exception->type); }
TEXT(persistent_text) { TASK; return str(b, t->serial < 0 ? NULL : t->persistent ? "yes" : "no"); }

TEXT(where_text)
{
	TASK;
	const struct frame *f = shape_last(&t->stack);
	if (f)
		shape_frame(b, f);
	return f;
}

TEXT(file_text)
{
	TASK;
	const struct frame *f = shape_last(&t->stack);
	return f && str(b, f->file);
}

TEXT(line_text)
{
	TASK;
	const struct frame *f = shape_last(&t->stack);
	return f && num(b, f->line > 0, f->line);
}

NUMBER(line_number)
{
	TASK;
	const struct frame *f = shape_last(&t->stack);
	return f && is(v, f->line > 0, f->line);
}

TEXT(last_text)
{
	TASK;
	if (t->stack.n)
		shape_frame(b, t->stack.frames[t->stack.n - 1]);
	return t->stack.n;
}

TEXT(created_text)
{
	TASK;
	const struct frame *f = created_at(t->created);
	if (!f || !f->file)
		return false;
	strbuf_str(b, f->file);
	strbuf_char(b, ':');
	strbuf_int(b, f->line);
	return true;
}

TEXT(by_text)
{
	TASK;
	if (!t->created || !t->created->has_by)
		return false;
	shape_name(b, t->created->by.name, t->created->by.id);
	return true;
}

/* By whom, so that two makers of one name are two. */
TEXT(by_whom)
{
	TASK;
	if (!by_text(b, s, row))
		return false;
	if (t->created->by.serial >= 0)
		strbuf_fmt(b, " (#%lld)", (long long)t->created->by.serial);
	return true;
}

static const struct column columns[] = {
	{ "ID", "the task object's address: id(task) in the target", COL_HANDLE, false, FIT_WHOLE, id_text, id_number },
	{ "STATE", "running, runnable, waiting; finished, failed, cancelled", COL_DEFAULT, false, FIT_WHOLE, state_text,
	  state_number },
	{ "NAME", "the task's name", COL_DEFAULT, false, FIT_MIDDLE(0.2), name_text, NULL },
	{ "CORO", "its outermost coroutine", COL_SPARE, false, FIT_START(0.2), coro_text, NULL },
	{ "WHERE", "function, file and line of the last frame in the user's own code", COL_DEFAULT, false, FIT_START(0.3),
	  where_text, NULL },
	{ "WAITING", "what it waits for", COL_DEFAULT, false, FIT_END(0.3), waiting_text, NULL },
	{ "HOLDS", "the context managers that it is inside of", COL_ASKED, false, FIT_END(0.2), holds_text, NULL },
	{ "AGE", "how long ago it was made", COL_KNOWN, true, FIT_WHOLE, age_text, age_number },
	{ "BY", "the task that made it", COL_KNOWN, false, FIT_END(0.1), by_text, NULL },
	{ "CREATED", "file and line where it was made", COL_KNOWN, false, FIT_START(0.2), created_text, NULL },
	{ "CANCELS", "how often it was asked to cancel", COL_KNOWN, true, FIT_WHOLE, cancels_text, cancels_number },
	{ "POLLS", "how often it ran", COL_KNOWN, true, FIT_WHOLE, polls_text, polls_number },
	{ "BUSY", "how long it ran in all", COL_KNOWN, true, FIT_WHOLE, busy_text, busy_number },
	{ "LONGEST", "how long it ran at most without a break", COL_ASKED, true, FIT_WHOLE, longest_text, longest_number },
	{ "SERIAL", "the agent's number of it", COL_ASKED, true, FIT_WHOLE, serial_text, serial_number },
	{ "TYPE", "the task's class", COL_ASKED, false, FIT_END(0.1), type_text, NULL },
	{ "LOOP", "its loop's address", COL_ASKED, false, FIT_WHOLE, loop_text, loop_number },
	{ "PID", "the process", COL_ASKED, true, FIT_WHOLE, pid_text, pid_number },
	{ "THREAD", "its loop's thread", COL_ASKED, true, FIT_WHOLE, thread_text, thread_number },
	{ "CANCELLING", "cancel requests it has not answered", COL_ASKED, true, FIT_WHOLE, cancelling_text,
	  cancelling_number },
	{ "KIND", "the kind of what it waits for", COL_ASKED, false, FIT_WHOLE, kind_text, NULL },
	{ "DEADLINE", "until its timer or enclosing timeout fires", COL_ASKED, true, FIT_WHOLE, deadline_text,
	  deadline_number },
	{ "FD", "the file descriptor it waits for", COL_ASKED, true, FIT_WHOLE, fd_text, fd_number },
	{ "PEER", "the other end of that", COL_ASKED, false, FIT_END(0.1), peer_text, NULL },
	{ "GROUP", "its task group's address", COL_ASKED, false, FIT_WHOLE, group_text, group_number },
	{ "AWAITERS", "how many tasks await it", COL_ASKED, true, FIT_WHOLE, awaiters_text, awaiters_number },
	{ "DEPTH", "frames in its stack", COL_ASKED, true, FIT_WHOLE, depth_text, depth_number },
	{ "FILE", "the file of WHERE, whole", COL_ASKED, false, FIT_START(0.2), file_text, NULL },
	{ "LINE", "the line of WHERE", COL_ASKED, true, FIT_WHOLE, line_text, line_number },
	{ "LAST", "the last frame, of asyncio or not", COL_ASKED, false, FIT_START(0.2), last_text, NULL },
	{ "AT", "the instant it was made", COL_ASKED, false, FIT_WHOLE, at_text, at_number },
	{ "EXCEPTION", "the class of what it failed with", COL_ASKED, false, FIT_END(0.1), exception_text, NULL },
	{ "PERSISTENT", "whether it is marked as persistent", COL_ASKED, false, FIT_WHOLE, persistent_text, NULL },
	{ NULL, NULL, COL_ASKED, false, FIT_WHOLE, NULL, NULL }
};

static const struct column
	by_coro = { .name = "coro", .text = coro_text },
	by_created = { .name = "created", .text = created_text },
	by_waiting = { .name = "waiting", .text = kind_text },
	by_state = { .name = "state", .text = state_text },
	by_group = { .name = "group", .text = group_named },
	by_maker = { .name = "by", .text = by_whom };
static const struct column *const groups_by[] = {
	&by_coro, &by_created, &by_waiting, &by_state, &by_group, &by_maker, NULL
};

static void subject(const void *row, struct subject *x)
{
	const struct task *t = row;
	*x = (struct subject){ t->name, t->coro, t->body, t->state, t->created, t->persistent, t->serial >= 0,
			       t->cancels_asked > t->ncancels ? t->ncancels : 0 };
}

static const char *colour(const void *row)
{
	return shape_state_colour(((const struct task *)row)->state);
}

static void json(struct json *j, const void *row)
{
	json_task(j, row, false);
}

/* State and place, the kind of the wait but not its object, and whether it is being cancelled. */
static void alike(struct strbuf *b, const struct snapshot *s, const void *row)
{
	static const char *const verbs[] = {
		[TASK_WAITING] = "wait", [TASK_FINISHED] = "have finished", [TASK_FAILED] = "have failed",
		[TASK_CANCELLED] = "were cancelled",
	};
	const struct task *t = row;
	const char *verb = (size_t)t->state < sizeof verbs / sizeof *verbs ? verbs[t->state] : NULL;
	const char *name = task_state_name(t->state), *body = task_body(t);
	if (verb)
		strbuf_str(b, verb);
	else
		strbuf_fmt(b, "are %s", name ? name : "in an unknown state");
	const struct frame *f = shape_last(&t->stack);
	strbuf_str(b, f ? " on the same line (" : " (");
	if (f)
		shape_frame(b, f);
	else
		strbuf_str(b, body ? body : "of an unknown coroutine");
	if (t->wait && wait_kind_name(t->wait->kind))
		strbuf_fmt(b, ", %s", wait_kind_name(t->wait->kind));
	if (t->exception && t->exception->type)
		strbuf_fmt(b, ", %s", t->exception->type);
	if (t->cancelling || t->must_cancel)
		strbuf_str(b, ", asked to cancel");
	strbuf_char(b, ')');
	(void)s;
}

const struct list_kind list_tasks = { "tasks", "tasks", "name", columns, groups_by, subject, colour, json, alike };

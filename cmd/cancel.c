/* cancel: has tasks cancelled in their own loop, and says what became of each. */
#include "attach/act.h"
#include "attach/proc.h"
#include "base/clock.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "cmd/link.h"
#include "show/list_look.h"
#include "query/resolve.h"
#include "query/shape.h"
#include "inject/texts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT 5.0
/* How long a thread may take from our letting it go to its selector, where processors are short. */
#define IDLE_NAP_NS 10000000L
#define IDLE_TRIES 50

struct job {
	const struct task *task;
	bool linked;             /* the loop's link was opened for it */
	char *unreached;         /* nothing could be run in the target: why */
	bool asked;              /* the loop has called cancel() */
	const char *outcome;     /* NULL: none yet */
	char *said;              /* more about it, or NULL */
};

struct jobs { struct job *v; size_t n; };

static err_t add(struct jobs *j, const struct task *t)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].task == t)
			return NULL;
	struct job *v = realloc(j->v, (j->n + 1) * sizeof *v);
	if (!v)
		return ERR_NOMEM;
	j->v = v;
	v[j->n++] = (struct job){ .task = t };
	return NULL;
}

static err_t add_named(const struct call *c, const struct snapshot *s, struct jobs *j)
{
	size_t n = c->nwords;
	const struct task **tasks = calloc(n, sizeof *tasks);
	err_t e = tasks ? resolve_tasks(s, c->words, &n, tasks) : ERR_NOMEM;
	for (size_t i = 0; !e && i < n; i++)
		e = add(j, tasks[i]);
	free(tasks);
	return e;
}

/* The tasks named, or those that the filters leave. */
static err_t choose(struct call *c, const struct snapshot *s, struct jobs *j)
{
	struct selection sel;
	TRY(selection_parse(&sel, &c->args));
	if (!c->nwords == !selection_any(&sel))
		return err_new(E_USAGE, "cancel takes a TASK (an id, #serial or exact name) or a filter, %s",
			       c->nwords ? "not both" : "one of them");
	if (c->nwords)
		return add_named(c, s, j);
	struct list l;
	TRY(list_make(&l, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }));
	list_select(&l, &sel);
	err_t e = l.n ? NULL : err_new(E_NOTFOUND, "the filter chooses no task (of %zu)", l.total);
	for (size_t i = 0; i < l.n && !e; i++)
		e = add(j, l.rows[i]);
	list_free(&l);
	return e;
}

/* A filter may mean more than one thinks. */
static err_t confirm(struct call *c, const struct jobs *j)
{
	char answer[16] = "";
	if (c->nwords || opt_given(&c->args, "yes"))
		return NULL;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return err_new(E_USAGE, "the filter chooses %zu task%s; --yes cancels without asking", j->n,
			       j->n == 1 ? "" : "s");
	fprintf(stderr, "Cancel %zu task%s? [y/N] ", j->n, j->n == 1 ? "" : "s");
	if (!fgets(answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
		return err_new(E_USAGE, "nothing was cancelled");
	return NULL;
}

static struct job *job_of(struct jobs *j, const char *body, const char **rest)
{
	char *end;
	uint64_t id = strtoull(body, &end, 16);
	*rest = *end ? end + 1 : end;
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].task->id == id)
			return &j->v[i];
	return NULL;
}

static void hear(struct jobs *j, const struct link *l)
{
	static const char *const outcomes[] = { "cancelled", "finished", "failed" };
	const char *rest;
	struct job *x = job_of(j, l->body.s ? l->body.s : "", &rest);
	if (!x)
		return;
	if (l->kind == 'r')
		x->asked = true;
	if (l->kind == 'n') {
		x->outcome = "finished";
		free(x->said);
		x->said = strdup("it was done before");
	}
	for (size_t i = 0; l->kind == 'd' && i < 3; i++) {
		size_t n = strlen(outcomes[i]);
		if (strncmp(rest, outcomes[i], n) == 0) {
			x->outcome = outcomes[i];
			free(x->said);
			x->said = rest[n] && rest[n + 1] ? strdup(rest + n + 1) : NULL;
		}
	}
}

static bool open_in(const struct jobs *j, uint64_t loop)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].task->loop == loop && !j->v[i].outcome)
			return true;
	return false;
}

/* The Python line for the tasks of that loop. */
static void request(struct strbuf *b, struct jobs *j, uint64_t loop, const char *message)
{
	strbuf_fmt(b, "reply = cancel(0x%llx, [", (unsigned long long)loop);
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].task->loop == loop) {
			strbuf_fmt(b, "0x%llx,", (unsigned long long)j->v[i].task->id);
			j->v[i].linked = true;
		}
	strbuf_str(b, "], bytes([");
	for (const unsigned char *p = (const unsigned char *)message; p && *p; p++)
		strbuf_fmt(b, "%d,", *p);
	strbuf_str(b, "]).decode('utf-8', 'replace'))");
}

/* A target that did not look in time will not be asked later either: that is an outcome. */
static err_t not_reached(err_t e, struct jobs *j, uint64_t loop)
{
	if (err_code(e) != E_BUSY)
		return e;
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].task->loop == loop)
			j->v[i].unreached = strdup(e->msg);
	err_free(e);
	return NULL;
}

/* All tasks of one loop, until they ended or the time is over. */
static err_t cancel_in(struct call *c, struct jobs *j, uint64_t loop, double patience)
{
	struct strbuf b = { 0 };
	struct link l;
	request(&b, j, loop, opt_value(&c->args, "message"));
	double end = now_seconds() + patience;
	err_t e = b.failed ? ERR_NOMEM : link_open(c, text_cancel, b.s, (unsigned)ceil(patience * 1000), &l);
	strbuf_free(&b);
	if (e)
		return not_reached(e, j, loop);
	enum link_got got = LINK_MESSAGE;
	while (open_in(j, loop)) {
		double left = end - now_seconds();
		got = left > 0 ? link_next(&l, (int)ceil(left * 1000)) : LINK_TIMEOUT;
		if (got == LINK_MESSAGE)
			hear(j, &l);
		else if (got != LINK_INTERRUPTED)
			break;
	}
	link_close(&l);
	if (got == LINK_CLOSED && target_ended(call_target(c)))
		return err_new(E_GONE, "process %d has ended", (int)call_target(c)->pid);
	return NULL;
}

/* Whether a loop's thread waits in its selector. One that was let go of a moment ago may
 * still be on its way back there. */
static bool is_idle(pid_t tid)
{
	for (int n = 0; n < IDLE_TRIES && proc_syscall(tid) < 0; n++)
		nanosleep(&(struct timespec){ 0, IDLE_NAP_NS }, NULL);
	return proc_in_selector(tid);
}

/* Nothing could be run: which thread it is that does not look. From 3.12 on any thread runs
 * what is put in, before only the main one and, where that is possible, one in a loop. */
static void explain_unreached(struct call *c, const struct job *x, struct strbuf *b)
{
	pid_t main_thread = call_target(c)->pid, of_loop = x->task->thread;
	bool idle = of_loop && is_idle(of_loop);
	bool main_only = !c->cap->python->layout.pending_any_thread;
	char *at = of_loop && !idle ? link_busy_with(c, x->task->loop)
		   : main_only && of_loop != main_thread ? link_thread_at(c, main_thread) : NULL;
	if (!at)
		strbuf_fmt(b, "it was not asked: %s", x->unreached);
	else if (of_loop && !idle)
		strbuf_fmt(b, "its loop is blocked in %s; it was not asked", at);
	else
		strbuf_fmt(b, "it was not asked: the main thread is in %s, and Python before 3.12 runs what is put into "
			   "it only there", at);
	free(at);
}

/* Why a task still runs: by a new look. */
static void explain(struct call *c, struct job *x)
{
	struct strbuf b = { 0 };
	if (x->unreached) {
		explain_unreached(c, x, &b);
	} else if (!x->asked) {
		char *busy = link_busy_with(c, x->task->loop);
		strbuf_fmt(&b, "its loop is blocked%s%s; it will be asked when the loop goes on", busy ? " in " : "",
			   busy ? busy : "");
		free(busy);
	} else {
		struct snapshot *s = NULL;
		err_t e = call_snapshot(c, 0, &s);
		const struct task *t = e ? NULL : snapshot_task(s, x->task->id);
		const struct frame *f = t ? shape_last(&t->stack) : NULL;
		strbuf_str(&b, "it was asked, and goes on");
		if (f) {
			strbuf_str(&b, " in ");
			shape_frame(&b, f);
		}
		err_free(e);
		snapshot_free(s);
	}
	x->outcome = "still-running";
	x->said = b.s;
}

static err_t cancel_all(struct call *c, struct jobs *j)
{
	double patience = TIMEOUT;
	if (opt_value(&c->args, "timeout"))
		TRY(duration_parse(opt_value(&c->args, "timeout"), &patience));
	if (!(patience > 0 && patience < 86400))
		return err_new(E_USAGE, "--timeout takes a duration up to a day");
	for (size_t i = 0; i < j->n; i++)
		if (!j->v[i].linked)
			TRY(cancel_in(c, j, j->v[i].task->loop, patience));
	for (size_t i = 0; i < j->n; i++)
		if (!j->v[i].outcome)
			explain(c, &j->v[i]);
	return NULL;
}

static void one_json(struct json *j, const struct job *x)
{
	json_key(j, "task");
	json_id(j, x->task->id);
	json_key(j, "name");
	json_str(j, x->task->name);
	json_key(j, "outcome");
	json_str(j, x->outcome);
	json_key(j, "detail");
	json_str(j, x->said);
}

static void answer(struct call *c, const struct jobs *j)
{
	struct strbuf *b = &c->out->b;
	if (c->as_json) {
		if (j->n == 1)
			one_json(&c->json, &j->v[0]);
		json_key(&c->json, "tasks");
		json_array(&c->json);
		for (size_t i = 0; i < j->n; i++) {
			json_object(&c->json);
			one_json(&c->json, &j->v[i]);
			json_object_end(&c->json);
		}
		json_array_end(&c->json);
		return;
	}
	for (size_t i = 0; i < j->n; i++) {
		const struct job *x = &j->v[i];
		if (x->task->name) {
			strbuf_escaped(b, x->task->name);
			strbuf_str(b, " (");
		}
		strbuf_hex(b, x->task->id);
		strbuf_fmt(b, "%s: %s", x->task->name ? ")" : "",
			   strcmp(x->outcome, "still-running") == 0 ? "still running" : x->outcome);
		if (x->said) {
			strbuf_str(b, ": ");
			strbuf_escaped(b, x->said);
		}
		strbuf_char(b, '\n');
	}
}

static int cancel_run(struct call *c)
{
	struct snapshot *s = NULL;
	struct jobs j = { 0 };
	err_t e = call_snapshot(c, 0, &s);
	if (!e && s->source != SNAPSHOT_OF_PROCESS)
		e = err_new(E_UNSUPPORTED, "a core dump cannot be acted on");
	if (!e)
		e = choose(c, s, &j);
	if (!e)
		e = confirm(c, &j);
	if (!e)
		e = cancel_all(c, &j);
	if (!e) {
		call_answer(c, s);
		answer(c, &j);
	}
	int status = e ? call_fail(c, e) : call_end(c, s);
	for (size_t i = 0; i < j.n; i++) {
		if (!status && j.v[i].outcome && strcmp(j.v[i].outcome, "still-running") == 0)
			status = STATUS_FINDING;
		free(j.v[i].said);
		free(j.v[i].unreached);
	}
	free(j.v);
	snapshot_free(s);
	return status;
}

static const struct option cancel_options[] = {
	{ "timeout", 0, "DURATION", "how long to wait for it to end (5s)" },
	{ "message", 'm', "TEXT", "the message of the CancelledError" },
	{ "yes", 'y', NULL, "do not ask back when a filter chooses" },
	{ "force", 0, NULL, "also where a seccomp filter may kill the process for it" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_cancel = {
	.name = "cancel",
	.aliases = { "ca" },
	.arguments = "TASK...",
	.summary = "cancel tasks, and say what became of them",
	.description = "Calls cancel() on the tasks in their own loop, waits for them, and says of each: "
		       "cancelled, finished, failed with what, or still running and where. Instead of TASKs, "
		       "filters choose; how many that are is asked back. The exit status is 1 where one still "
		       "runs.",
	.options = cancel_options,
	.flags = CMD_TARGET | CMD_WRITES | CMD_SELECT,
	.run = cancel_run,
};

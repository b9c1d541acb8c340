#include "cmd/run_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/proc.h"
#include "attach/refuse.h"
#include "base/clock.h"
#include "base/out.h"
#include "base/strbuf.h"
#include "query/shape.h"

#define LOOK_NS 20000000000ll
#define REPORT_NS 120000000000ll
/* Bytes of a command line. */
#define COMMAND_SHOWN 400

struct report {
	struct lookers *l;
	int fd;
	int64_t end;
	bool agent;
	bool no_looker;
};

static void put(int fd, const struct strbuf *text)
{
	struct out o = { .fd = fd };
	strbuf_add(&o.b, text->s ? text->s : "", text->len);
	out_flush(&o);
	out_free(&o);
}

void run_say(int fd, const char *fmt, ...)
{
	struct strbuf b = { 0 };
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	strbuf_str(&b, "asyncmon: ");
	strbuf_escaped(&b, text);
	strbuf_char(&b, '\n');
	put(fd, &b);
	strbuf_free(&b);
	free(text);
}

err_t run_processes(const struct lookers *l, struct pids *out)
{
	char self[24];
	size_t n = 0;
	snprintf(self, sizeof self, "%d", (int)getpid());
	TRY(pids_tree(self, out));
	for (size_t i = 0; i < out->n; i++) {
		char state = proc_state(out->v[i], out->v[i]);
		if (out->v[i] != getpid() && !lookers_is_one(l, out->v[i]) && state && state != 'X' &&
		    (state != 'Z' || other_threads_live(out->v[i])))
			out->v[n++] = out->v[i];
	}
	out->n = n;
	return NULL;
}

static void heading(const struct report *r, pid_t pid)
{
	char command[COMMAND_SHOWN];
	struct strbuf b = { 0 };
	process_command(pid, command, sizeof command);
	strbuf_fmt(&b, "\n==== Process %d: ", (int)pid);
	strbuf_escaped(&b, *command ? command : "(no command line)");
	strbuf_char(&b, '\n');
	put(r->fd, &b);
	strbuf_free(&b);
}

static void look_heading(const struct report *r, int look)
{
	struct strbuf b = { 0 };
	const char *name = look_commands[look];
	strbuf_fmt(&b, "\n---- %s\n", name);
	put(r->fd, &b);
	strbuf_free(&b);
}

static enum look_outcome ask(struct report *r, pid_t pid, int look, bool *agent)
{
	int64_t until = now_ns() + LOOK_NS;
	enum look_outcome o = lookers_ask(r->l, pid, look, until < r->end ? until : r->end, agent);
	r->no_looker = o == LOOK_NO_LOOKER;
	if (o == LOOK_LATE || o == LOOK_NO_LOOKER)
		run_say(r->fd, "this look at process %d took too long or failed, and was given up", (int)pid);
	return o;
}

/* After the first look at a process that runs no asyncio, only stacks are of use. */
static bool of_use(const struct report *r, int look, bool asyncio, bool agent)
{
	const char *name = look_commands[look];
	if (!asyncio)
		return strncmp(name, "stacktrace", 10) == 0;
	return strncmp(name, "ps-terminated", 13) != 0 || (r->agent && agent);
}

static void process(struct report *r, pid_t pid, bool (*stop)(void *), void *arg)
{
	bool agent = false, asyncio = true;
	heading(r, pid);
	if (ask(r, pid, LOOK_OPEN, &agent) != LOOK_DONE)
		return;
	for (int i = 0; look_commands[i] && !r->no_looker && !stop(arg) && now_ns() < r->end; i++) {
		if (!of_use(r, i, asyncio, agent))
			continue;
		look_heading(r, i);
		asyncio = ask(r, pid, LOOK + i, &agent) != LOOK_UNREADABLE && asyncio;
	}
}

void run_report(struct lookers *l, int fd, bool agent, bool (*stop)(void *), void *arg)
{
	struct report r = { .l = l, .fd = fd, .agent = agent, .end = now_ns() + REPORT_NS };
	struct pids pids = { 0 };
	size_t i = 0;
	err_t e = run_processes(l, &pids);
	if (e)
		run_say(fd, "%s", e->msg);
	while (i < pids.n && !e && !r.no_looker && !stop(arg) && now_ns() < r.end)
		process(&r, pids.v[i++], stop, arg);
	if (i < pids.n && !e)
		run_say(fd, "%zu more process%s: the report %s", pids.n - i, pids.n - i == 1 ? "" : "es",
			r.no_looker ? "ended with the looks that failed" : stop(arg) ? "was cut short by a signal"
			: "may take two minutes, no more");
	err_free(e);
	vec_free(&pids);
}

/* console: an async Python prompt in the target, on its loop. The code that serves it
 * there is target_console.py; here are the terminal, Ctrl-C and patience. */
#include "cmd/capture.h"
#include "cmd/command.h"
#include "cmd/console.h"
#include "inject/texts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a loop may be silent before that is said, in milliseconds. */
#define SOON 1000
/* And how long it may take until it has taken the code. */
#define TAKE 10000

static volatile sig_atomic_t sigint;

static void on_sigint(int signum)
{
	(void)signum;
	sigint = 1;
}

/* The loop to be on: --loop, else the main thread's, else the one that runs. */
static err_t choose_loop(struct call *c, const struct snapshot *s, uint64_t *loop)
{
	const char *wanted = opt_value(&c->args, "loop");
	uint64_t id = wanted ? strtoull(wanted, NULL, 0) : 0;
	const struct loop *best = NULL;
	size_t running = 0;
	for (size_t i = 0; i < s->nloops; i++) {
		const struct loop *l = &s->loops[i];
		running += l->running;
		if (wanted ? l->id == id : l->running && (!best || l->thread == s->pid))
			best = l;
	}
	if (!best)
		return wanted ? err_new(E_NOTFOUND, "there is no loop %s; the process has %zu", wanted, s->nloops)
			      : err_new(E_NOTFOUND, "no loop is running in process %d", (int)s->pid);
	if (!wanted && running > 1)
		call_note(c, "%zu loops are running; this is 0x%llx in thread %d (--loop takes another)", running,
			  (unsigned long long)best->id, (int)best->thread);
	*loop = best->id;
	return NULL;
}

/* What the code printed: line ends and tabs as they are, the rest made fit. */
static void show(struct console *k)
{
	struct strbuf b = { 0 };
	char *p = k->link.body.s, *end = p + k->link.body.len;
	if (!k->c->term.out) {
		strbuf_add(&k->c->out->b, p, (size_t)(end - p));
		out_flush(k->c->out);
		return;
	}
	/* NUL would end the text early. */
	for (char *q = p; q < end; q++)
		*q = *q ? *q : '?';
	while (p < end) {
		size_t n = strcspn(p, "\n\t");
		char sep = p[n];
		p[n] = '\0';
		strbuf_escaped(&b, p);
		if (p + n < end)
			strbuf_char(&b, sep);
		p += n + 1;
	}
	strbuf_add(&k->c->out->b, b.s ? b.s : "", b.len);
	strbuf_free(&b);
	out_flush(k->c->out);
}

static void say_busy(struct console *k)
{
	char *busy = link_busy_with(k->c, k->loop);
	fprintf(stderr, "asyncmon: the loop does not answer%s%s; waiting (Ctrl-C gives up)\n",
		busy ? ", it is in " : "", busy ? busy : "");
	free(busy);
}

/* Ctrl-C while code runs: that it ends, and where it keeps its loop from hearing of it,
 * that it is broken into. False: the user has had enough. */
static bool interrupt(struct console *k, unsigned times, bool acknowledged)
{
	char *reply = NULL;
	if (!acknowledged || times > 2)
		return false;
	if (times == 1)
		return link_send(&k->link, 'i', "", SOON);
	err_t e = link_run(k->c, text_console, "reply = break_in()", 0, &reply);
	if (e)
		fprintf(stderr, "asyncmon: %s\n", e->msg);
	else if (!reply || strcmp(reply, "yes") != 0)
		fprintf(stderr, "asyncmon: the code does not end; Ctrl-C once more leaves the console\n");
	err_free(e);
	free(reply);
	return true;
}

enum answer console_hear(struct console *k)
{
	const char *body = k->link.body.s ? k->link.body.s : "";
	if (k->link.kind == 'o')
		show(k);
	if (k->link.kind != 'd')
		return k->link.kind == 'a' ? ANSWER_BEGUN : ANSWER_NONE;
	return strcmp(body, "done") == 0 ? ANSWER_DONE : strcmp(body, "more") == 0 ? ANSWER_MORE
		: strcmp(body, "exit") == 0 ? ANSWER_EXIT
		: strcmp(body, "interrupted") == 0 ? ANSWER_INTERRUPTED : ANSWER_ERROR;
}

/* The code did not get through: errno says why. */
static enum answer not_taken(void)
{
	if (errno != ETIMEDOUT)
		return errno == EINTR ? ANSWER_GIVEN_UP : ANSWER_CLOSED;
	fprintf(stderr, "asyncmon: the loop did not take the code within %d s\n", TAKE / 1000);
	return ANSWER_ERROR;
}

enum answer console_run(struct console *k, char kind, const char *code)
{
	bool begun = false, said = false;
	unsigned interrupts = 0;
	struct sigaction sa = { .sa_handler = on_sigint }, old;
	enum answer a = ANSWER_NONE;
	sigint = 0;
	sigaction(SIGINT, &sa, &old);
	if (!link_send(&k->link, kind, code, TAKE))
		a = not_taken();
	while (a == ANSWER_NONE || a == ANSWER_BEGUN) {
		bool silent = !said && (!begun || interrupts);
		enum link_got got = sigint ? LINK_INTERRUPTED : link_next(&k->link, silent ? SOON : -1);
		if (got == LINK_MESSAGE) {
			a = console_hear(k);
			begun |= a == ANSWER_BEGUN;
		} else if (got == LINK_CLOSED) {
			a = ANSWER_CLOSED;
		} else if (got == LINK_TIMEOUT) {
			said = true;
			if (!begun)
				say_busy(k);
			else if (!isatty(STDIN_FILENO))
				interrupt(k, ++interrupts, begun); /* nobody is there to press it again */
			else
				fprintf(stderr, "asyncmon: it goes on; Ctrl-C again breaks into it\n");
		} else if (sigint) {
			sigint = 0;
			if (!interrupt(k, ++interrupts, begun))
				a = ANSWER_GIVEN_UP;
		}
	}
	sigaction(SIGINT, &old, NULL);
	return a;
}

static char *read_all(FILE *f)
{
	struct strbuf b = { 0 };
	char buf[4096];
	size_t n;
	strbuf_add(&b, "", 0);
	while ((n = fread(buf, 1, sizeof buf, f)) > 0)
		strbuf_add(&b, buf, n);
	return b.s ? b.s : strdup("");
}

static int status_for(struct call *c, enum answer a)
{
	if (a == ANSWER_CLOSED)
		return call_fail(c, err_new(E_GONE, "the loop has ended"));
	if (a == ANSWER_GIVEN_UP)
		return 128 + SIGINT;
	return a == ANSWER_DONE || a == ANSWER_EXIT ? STATUS_FINE : STATUS_FINDING;
}

static int run_code(struct console *k)
{
	const char *code = opt_value(&k->c->args, "code");
	char *all = code ? NULL : read_all(stdin);
	enum answer a = console_run(k, 'x', code ? code : all ? all : "");
	free(all);
	return status_for(k->c, a);
}

static err_t open_console(struct call *c, struct console *k)
{
	struct snapshot *s = NULL;
	char line[64];
	if (!opt_given(&c->args, "code") && !isatty(STDIN_FILENO) && c->session)
		return err_new(E_USAGE, "in a script, console needs its code: console -c CODE");
	if (c->as_json)
		return err_new(E_USAGE, "console has no JSON");
	err_t e = call_snapshot(c, 0, &s);
	if (!e && s->source != SNAPSHOT_OF_PROCESS)
		e = err_new(E_UNSUPPORTED, "a core dump runs no code");
	if (!e)
		e = choose_loop(c, s, &k->loop);
	snprintf(line, sizeof line, "reply = console(0x%llx)", (unsigned long long)k->loop);
	if (!e)
		e = link_open(c, text_console, line, 0, &k->link);
	snapshot_free(s);
	return e;
}

static int run(struct call *c)
{
	struct console k = { .c = c, .link.fd = -1 };
	int status;
	err_t e = open_console(c, &k);
	if (e)
		status = call_fail(c, e);
	else if (opt_given(&c->args, "code") || !isatty(STDIN_FILENO))
		status = run_code(&k);
	else
		status = status_for(c, console_prompt(&k));
	link_close(&k.link);
	return status;
}

static const struct option console_options[] = {
	{ "code", 'c', "CODE", "run this and end" },
	{ "loop", 0, "ID", "the loop to be on; the main thread's where not given" },
	{ "force", 0, NULL, "also where a seccomp filter may kill the process for it" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_console = {
	.name = "console",
	.arguments = "",
	.summary = "an async Python prompt in the target, on its loop",
	.description = "Runs Python in the target, in a task on its loop, with await at top level. What it prints "
		       "comes here; what the program prints goes where it always went. At hand are loop, "
		       "asyncio, tasks (a list) and task('NAME'). Ctrl-C interrupts what runs, a second one "
		       "breaks into code that does not await, a third one leaves. Leaving, or being killed, "
		       "ends what runs and leaves nothing behind. With -c, or where standard input is no "
		       "terminal, the code is run, and the exit status is 1 where it raised.",
	.options = console_options,
	.flags = CMD_TARGET | CMD_WRITES,
	.run = run,
};

/* signal: sends the target a Unix signal. */
#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/act.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "show/json_types.h"

static err_t unknown(const char *word)
{
	struct nearest near = { .word = word };
	for (int i = 1; i < NSIG; i++)
		if (signal_name(i))
			nearest_try(&near, strncasecmp(word, "SIG", 3) == 0 ? signal_name(i) : signal_name(i) + 3);
	if (near.best)
		return err_new(E_USAGE, "there is no signal %s; did you mean %s?", word, near.best);
	return err_new(E_USAGE, "there is no signal %s", word);
}

/* By descriptor, so that a PID used anew meanwhile is not hit. */
static err_t deliver(const struct target *t, int number)
{
	int fd = target_pidfd(t);
	long r = fd >= 0 ? syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) : kill(t->pid, number);
	if (r == 0)
		return NULL;
	if (errno == ESRCH)
		return err_new(E_GONE, "process %d has ended", (int)t->pid);
	return err_errno(errno == EPERM ? E_PERM : E_IO, errno, "kill");
}

/* A Python is not needed to be signalled, so nothing of it is looked for. */
static err_t run(struct call *c, int *number)
{
	struct target *opened = NULL, *t = call_target(c);
	if (c->nwords != 1)
		return err_new(E_USAGE, "signal needs one signal: a name or a number");
	*number = signal_number(c->words[0]);
	if (!*number)
		return unknown(c->words[0]);
	if (!t && c->cap)
		return err_new(E_UNSUPPORTED, "a saved look cannot be signalled");
	if (!t) {
		const struct target_opts o = { 0 };
		TRY(target_open(c->target, &o, &opened));
		t = opened;
	}
	pid_t pid = t->pid;
	err_t e = t->kind == TARGET_PROCESS ? deliver(t, *number)
		: err_new(E_UNSUPPORTED, "a core dump cannot be signalled");
	if (opened)
		target_close(opened);
	if (!e && !c->as_json)
		strbuf_fmt(&c->out->b, "%s sent to process %d.\n",
			   signal_name(*number) ? signal_name(*number) : c->words[0], (int)pid);
	return e;
}

static int signal_run(struct call *c)
{
	int number = 0;
	err_t e = run(c, &number);
	if (e)
		return call_fail(c, e);
	if (c->as_json) {
		json_answer(&c->json);
		json_key(&c->json, "signal");
		json_str(&c->json, signal_name(number));
		json_key(&c->json, "number");
		json_int(&c->json, number);
		json_object_end(&c->json);
	}
	return STATUS_FINE;
}

const struct command cmd_signal = {
	.name = "signal",
	.arguments = "SIGNAL",
	.summary = "send it a Unix signal",
	.description = "Sends the process a signal, by name (TERM, SIGUSR1, RTMIN+2) or number.",
	.flags = CMD_TARGET | CMD_WRITES | CMD_NO_LOOK,
	.run = signal_run,
};

/* What forms of a page ask for: cancelling a task, sending a signal. */
#include "cmd/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/command.h"
#include "show/html_page.h"

/* How long a task that was cancelled is waited for. */
#define CANCEL_TIMEOUT "3s"
#define ANSWER_MOST 65536

/* What the command prints, run in a child that a hostile target may bring down. */
static err_t run_command(struct capture *cap, int argc, char **argv, struct strbuf *out)
{
	int p[2];
	char bytes[4096];
	if (pipe(p) != 0)
		return err_errno(E_IO, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], STDOUT_FILENO);
		close(p[0]);
		close(p[1]);
		_exit(command_run(NULL, cap, argc, argv));
	}
	close(p[1]);
	for (ssize_t n; pid > 0 && (n = read(p[0], bytes, sizeof bytes)) != 0;) {
		if (n > 0 && out->len < ANSWER_MOST)
			strbuf_add(out, bytes, (size_t)n);
		else if (n < 0 && errno != EINTR)
			break;
	}
	close(p[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0 ? NULL : err_errno(E_IO, errno, "fork");
}

static err_t act(struct watches *ws, const struct asked *a, struct strbuf *out)
{
	const char *key = asked_field(a, "target"), *what = asked_field(a, "do");
	const char *task = asked_field(a, "task"), *number = asked_field(a, "signal");
	struct watched *w = key ? watched_find(ws, key) : NULL;
	if (!ws->o->allow_actions)
		return err_new(E_PERM, "this server was started without --allow-actions");
	if (strcmp(a->path, "/act") != 0 || !what)
		return err_new(E_NOTFOUND, "there is no such action");
	if (!w || !w->cap || !w->pid)
		return err_new(E_NOTFOUND, "that process is not there any more");
	if (strcmp(what, "cancel") == 0 && task && strncmp(task, "0x", 2) == 0) {
		char *argv[] = { "cancel", "--json", "--timeout", CANCEL_TIMEOUT, strdup(task), NULL };
		err_t e = argv[4] ? run_command(w->cap, 5, argv, out) : ERR_NOMEM;
		free(argv[4]);
		return e;
	}
	if (strcmp(what, "signal") == 0 && number && *number != '-') {
		char *argv[] = { "signal", "--json", strdup(number), NULL };
		err_t e = argv[2] ? run_command(w->cap, 3, argv, out) : ERR_NOMEM;
		free(argv[2]);
		return e;
	}
	return err_new(E_USAGE, "there is no such action");
}

/* What the command printed, on a page. */
static void show_result(const struct asked *a, struct reply *r, const struct strbuf *said)
{
	const struct page_view p = { .b = &r->body, .key = asked_field(a, "target"), .command = "" };
	snprintf(r->type, sizeof r->type, "text/html; charset=utf-8");
	html_acted(&p, said->s ? said->s : "");
}

void serve_act(struct watches *ws, const struct asked *a, struct reply *r)
{
	struct strbuf said = { 0 };
	err_t e = act(ws, a, &said);
	int status = e && e->code == E_PERM ? 403 : http_status_of(e);
	if (e)
		reply_error(r, a, e);
	else
		show_result(a, r, &said);
	r->status = status;
	strbuf_free(&said);
}

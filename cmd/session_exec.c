/* One line of the session run: in a child, its data to the terminal, a file or a shell
 * command. */
#include "cmd/session.h"
#include "cmd/input.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"

static int fail(err_t e)
{
	struct strbuf b = { 0 };
	int status = status_of(e);
	strbuf_escaped(&b, e->msg);
	fprintf(stderr, "asyncmon: %s\n", b.s ? b.s : "");
	strbuf_free(&b);
	err_free(e);
	return status;
}

static int wait_child(pid_t pid)
{
	int st = 0;
	while (waitpid(pid, &st, 0) < 0)
		if (errno != EINTR)
			return STATUS_ATTACH;
	if (WIFEXITED(st))
		return WEXITSTATUS(st);
	if (WTERMSIG(st) != SIGINT)
		fprintf(stderr, "asyncmon: the command died: %s; the session goes on\n", strsignal(WTERMSIG(st)));
	else if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	return 128 + WTERMSIG(st);
}

static void shell(const char *command)
{
	signal(SIGPIPE, SIG_DFL);
	descriptors_restore();
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Standard output from now on goes into the shell command; its process. */
static err_t open_pipe(const char *command, pid_t *pid)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) != 0)
		return err_errno(E_IO, errno, "pipe");
	*pid = fork();
	if (*pid == 0) {
		dup2(p[0], STDIN_FILENO);
		shell(command);
	}
	if (*pid > 0)
		dup2(p[1], STDOUT_FILENO);
	close(p[0]);
	close(p[1]);
	return *pid > 0 ? NULL : err_errno(E_IO, errno, "fork");
}

static err_t open_file(const struct line *l)
{
	int fd = open(l->file, O_WRONLY | O_CREAT | O_CLOEXEC | (l->append ? O_APPEND : O_TRUNC), 0666);
	if (fd < 0)
		return err_errno(E_IO, errno, l->file);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	return NULL;
}

static int run(struct session *s, const struct line *l, const char *program)
{
	const struct held h = { .caps = s->caps, .n = s->n, .session = s };
	if (program)
		return program_exec(&h, program, l->words);
	return command_run_held(NULL, &h, l->n, l->words);
}

/* What the child does; the session's own process stays as it is. */
static int in_child(struct session *s, const struct line *l, const char *program)
{
	pid_t pid = 0;
	err_t e = l->file ? open_file(l) : l->pipe ? open_pipe(l->pipe, &pid) : NULL;
	if (e)
		return fail(e);
	int status = run(s, l, program);
	fflush(NULL);
	if (pid > 0) {
		close(STDOUT_FILENO);
		int last = wait_child(pid);
		status = status ? status : last;
	}
	return status;
}

/* fork(), with Ctrl-C for the child alone: one that came before there was a child is
 * passed on to it. */
static pid_t fork_for_line(struct sigaction *old)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t block, mask, pending;
	fflush(NULL);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &mask);
	bool before = input_interrupted();
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGINT, SIG_DFL);
	} else {
		sigpending(&pending);
		if (pid > 0 && (before || sigismember(&pending, SIGINT)))
			kill(pid, SIGINT);
		sigaction(SIGINT, &ignore, old);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return pid;
}

static int after_line(pid_t pid, const struct sigaction *old)
{
	int status = pid < 0 ? fail(err_errno(E_IO, errno, "fork")) : wait_child(pid);
	sigaction(SIGINT, old, NULL);
	return status;
}

static int run_child(struct session *s, const struct line *l, const char *program)
{
	struct sigaction old;
	pid_t pid = fork_for_line(&old);
	if (pid == 0) {
		int status = in_child(s, l, program);
		fflush(NULL);
		_exit(status);
	}
	return after_line(pid, &old);
}

/* Once in a session, before something is changed in a target for the first time. */
static void warn(struct session *s, const struct command *cmd)
{
	if (s->warned || !(cmd->flags & CMD_WRITES) || !capture_is_process(s->caps[0]))
		return;
	s->warned = true;
	fprintf(stderr, "asyncmon: %s changes the target; what was done so far only looked. "
		"(Said once in a session.)\n", cmd->name);
}

static bool asks_help(const struct line *l)
{
	for (int i = 1; i < l->n; i++)
		if (strcmp(l->words[i], "--help") == 0 || strcmp(l->words[i], "-h") == 0)
			return true;
	return false;
}

static int run_line(struct session *s, struct line *l)
{
	const struct command *cmd = NULL;
	err_t e = command_lookup(l->words[0], true, &cmd);
	char *program = e || strcmp(cmd->name, l->words[0]) != 0 ? program_find(l->words[0]) : NULL;
	if (program && (e || !command_find(l->words[0]))) {
		err_free(e);
		int status = run_child(s, l, program);
		free(program);
		return status;
	}
	free(program);
	if (e)
		return fail(e);
	char *name = strdup(cmd->name);
	if (!name)
		return fail(ERR_NOMEM);
	free(l->words[0]);
	l->words[0] = name;
	if (!asks_help(l))
		warn(s, cmd);
	if (cmd->flags & CMD_HERE && !l->pipe && !l->file)
		return run(s, l, NULL);
	return run_child(s, l, NULL);
}

/* "!command": for the shell alone. */
static int run_shell(const char *command)
{
	struct sigaction old;
	pid_t pid = fork_for_line(&old);
	if (pid == 0)
		shell(command);
	return after_line(pid, &old);
}

int session_line(struct session *s, const char *text)
{
	struct line l;
	const char *start = text + strspn(text, " \t");
	if (!*start)
		return STATUS_FINE;
	/* "#17" is a task, never a command: a line that starts so is a comment. */
	if (*start == '#')
		return STATUS_FINE;
	if (*start == '!')
		return run_shell(start + 1);
	char *full = alias_expand(s, start);
	err_t e = full ? line_parse(full, &l) : ERR_NOMEM;
	free(full);
	if (e)
		return fail(e);
	int status = l.n ? run_line(s, &l) : STATUS_FINE;
	line_free(&l);
	return status;
}

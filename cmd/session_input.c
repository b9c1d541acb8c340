/* Lines from a person, by readline: prompt, history, Ctrl-C, and a word when the target
 * ends while nothing is typed. */
#include "cmd/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "attach/act.h"

#define HISTORY_MAX 2000
#define WATCHED 64

/* readline's callbacks get no context. */
static struct {
	struct session *s;
	volatile sig_atomic_t sigint;
	bool dropped;            /* the line was given up by Ctrl-C */
	char *history;           /* the file */
	struct sigaction old;
} in;

char *xdg_path(const char *var, const char *home, const char *name, bool make_folder)
{
	const char *dir = getenv(var), *h = getenv("HOME");
	struct strbuf b = { 0 };
	if (dir && *dir == '/')
		strbuf_str(&b, dir);
	else if (h && *h)
		strbuf_fmt(&b, "%s/%s", h, home);
	else
		return NULL;
	strbuf_str(&b, "/asyncmon");
	/* Each folder on the way; those that are there stay as they are. */
	for (size_t i = 1; make_folder && !b.failed && i <= b.len; i++)
		if (b.s[i] == '/' || !b.s[i]) {
			char c = b.s[i];
			b.s[i] = '\0';
			mkdir(b.s, 0700);
			b.s[i] = c;
		}
	strbuf_fmt(&b, "/%s", name);
	return b.s;
}

static void on_sigint(int signum)
{
	(void)signum;
	in.sigint = 1;
}

static void say_ended(void)
{
	rl_save_prompt();
	rl_crlf();
	session_notice_ends(in.s);
	rl_restore_prompt();
	rl_on_new_line();
	rl_redisplay();
}

/* Waits for a key, Ctrl-C or a target's end. True: a key, or the end of input. */
static bool wait_key(int fd)
{
	struct pollfd p[WATCHED] = { { .fd = fd, .events = POLLIN } };
	nfds_t n = 1;
	for (size_t i = 0; i < in.s->n && n < WATCHED; i++)
		if (!in.s->ended[i] && in.s->caps[i]->target->kind == TARGET_PROCESS)
			p[n++] = (struct pollfd){ .fd = target_pidfd(in.s->caps[i]->target), .events = POLLIN };
	sigset_t block, old;
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &old);
	int r = in.sigint ? 0 : ppoll(p, n, NULL, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r > 0 && p[0].revents)
		return true;
	if (r > 0)
		say_ended();
	return false;
}

/* A key. Ctrl-C empties the line and enters it; what is entered so is not run. */
static int get_key(FILE *f)
{
	for (;;) {
		if (in.sigint) {
			in.sigint = 0;
			in.dropped = true;
			fputs("^C", rl_outstream);
			rl_replace_line("", 0);
			return '\n';
		}
		unsigned char c;
		if (!wait_key(fileno(f)))
			continue;
		ssize_t n = read(fileno(f), &c, 1);
		if (n == 1)
			return c;
		if (n == 0 || errno != EINTR)
			return EOF;
	}
}

void input_start(struct session *s)
{
	struct sigaction sa = { .sa_handler = on_sigint };
	in.s = s;
	rl_readline_name = "asyncmon";
	rl_variable_bind("show-all-if-ambiguous", "on"); /* ~/.inputrc is read later */
	rl_catch_signals = 0;
	rl_change_environment = 0;
	rl_getc_function = get_key;
	sigaction(SIGINT, &sa, &in.old);
	using_history();
	stifle_history(HISTORY_MAX);
	in.history = xdg_path("XDG_STATE_HOME", ".local/state", "history", true);
	if (in.history)
		read_history(in.history);
	complete_start(s);
}

static void prompt(struct session *s, struct strbuf *b)
{
	strbuf_str(b, "asyncmon ");
	if (s->n > 1)
		strbuf_fmt(b, "%s +%zu", s->names[0], s->n - 1);
	else if (s->caps[0]->target->kind == TARGET_PROCESS)
		strbuf_fmt(b, "%d %s", (int)s->caps[0]->target->pid, s->names[0]);
	else
		strbuf_str(b, s->names[0]);
	strbuf_str(b, s->n == 1 && s->ended[0] ? " (ended)> " : "> ");
}

static void remember(const char *line)
{
	const HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
	if (!line[strspn(line, " \t")] || (last && strcmp(last->line, line) == 0))
		return;
	add_history(line);
	/* Appended at once, so that several sessions keep each other's. */
	FILE *f = in.history ? fopen(in.history, "ae") : NULL;
	if (!f)
		return;
	fchmod(fileno(f), 0600);
	fprintf(f, "%s\n", line);
	fclose(f);
}

char *input_line(struct session *s, bool *interrupted)
{
	struct strbuf b = { 0 };
	prompt(s, &b);
	in.dropped = false;
	in.sigint = 0;
	char *line = b.failed ? NULL : readline(b.s);
	strbuf_free(&b);
	*interrupted = in.dropped;
	if (in.dropped) {
		free(line);
		return NULL;
	}
	if (line)
		remember(line);
	else
		fputc('\n', stdout);
	return line;
}

void input_end(struct session *s)
{
	(void)s;
	complete_end();
	sigaction(SIGINT, &in.old, NULL);
	/* The file only ever grows at its end; shorten it now and then. */
	if (in.history)
		history_truncate_file(in.history, HISTORY_MAX);
	clear_history();
	free(in.history);
	in.history = NULL;
}

#include "cmd/input.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "base/strbuf.h"

#define HISTORY_MAX 2000
#define WATCHED 64

/* readline's callbacks get no context. */
static struct {
	struct input i;
	volatile sig_atomic_t sigint;
	bool dropped;            /* the line was given up by Ctrl-C */
	bool over;
	char *history;           /* the file */
	int tty;                 /* the terminal once more, reads from which do not wait; -1 none */
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

/* Prints what there is to say above the line. */
static void let_speak(void)
{
	rl_save_prompt();
	rl_clear_visible_line();
	in.i.woken(in.i.ctx);
	fflush(stdout);
	rl_restore_prompt();
	rl_on_new_line();
	rl_forced_update_display();
}

/* Waits for a key, Ctrl-C or one of the others. True: a key, or the end of input. */
static bool wait_key(int fd)
{
	struct pollfd p[WATCHED] = { { .fd = fd, .events = POLLIN } };
	nfds_t n = 1 + in.i.watch(in.i.ctx, p + 1, WATCHED - 1);
	sigset_t block, old;
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &old);
	int r = in.sigint ? 0 : ppoll(p, n, NULL, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r > 0 && p[0].revents)
		return true;
	if (r > 0)
		let_speak();
	return false;
}

/* A key. Ctrl-C empties the line and enters it; what is entered so is not run. */
static int get_key(FILE *f)
{
	while (!in.over) {
		if (in.sigint) {
			in.sigint = 0;
			in.dropped = true;
			fputs("^C", rl_outstream);
			rl_replace_line("", 0);
			return '\n';
		}
		unsigned char c;
		int fd = in.tty >= 0 ? in.tty : fileno(f);
		if (!wait_key(fd))
			continue;
		/* Ctrl-C throws away what was typed, maybe just now. */
		ssize_t n = read(fd, &c, 1);
		if (n == 1)
			return c;
		if (n == 0 || (errno != EINTR && errno != EAGAIN))
			return EOF;
	}
	rl_replace_line("", 0);
	return '\n';
}

bool input_interrupted(void)
{
	return in.sigint;
}

void input_give_up(void)
{
	in.over = true;
}

void input_start(const struct input *i)
{
	struct sigaction sa = { .sa_handler = on_sigint };
	in.i = *i;
	in.over = false;
	rl_readline_name = "asyncmon";
	rl_variable_bind("show-all-if-ambiguous", "on"); /* ~/.inputrc is read later */
	rl_catch_signals = 0;
	rl_change_environment = 0;
	rl_getc_function = get_key;
	sigaction(SIGINT, &sa, &in.old);
	in.tty = isatty(STDIN_FILENO) ? open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	using_history();
	clear_history();
	stifle_history(HISTORY_MAX);
	in.history = xdg_path("XDG_STATE_HOME", ".local/state", i->history, true);
	if (in.history)
		read_history(in.history);
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

char *input_line(const char *prompt, bool *interrupted)
{
	in.dropped = false;
	in.sigint = 0;
	char *line = readline(prompt);
	*interrupted = in.dropped;
	if (in.dropped || in.over) {
		free(line);
		return NULL;
	}
	if (line)
		remember(line);
	else
		fputc('\n', stdout);
	return line;
}

void input_end(void)
{
	sigaction(SIGINT, &in.old, NULL);
	if (in.tty >= 0)
		close(in.tty);
	/* The file only ever grows at its end; shorten it now and then. */
	if (in.history)
		history_truncate_file(in.history, HISTORY_MAX);
	clear_history();
	free(in.history);
	in.history = NULL;
}

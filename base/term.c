#include "base/term.h"

#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than any terminal has; less than what arithmetic on it could overflow. */
#define SIZE_MOST 100000

/* The size that the environment says, else the kernel; many a serial or container's
 * terminal says 0. */
static unsigned size(const char *variable, unsigned kernel, unsigned usual)
{
	const char *text = getenv(variable);
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;
	n = n ? n : kernel ? kernel : usual;
	return n < SIZE_MOST ? (unsigned)n : SIZE_MOST;
}

static bool dumb(void)
{
	const char *term = getenv("TERM");
	return !term || !*term || strcmp(term, "dumb") == 0;
}

static bool colourful(bool tty)
{
	const char *no = getenv("NO_COLOR");
	return tty && !(no && *no) && !dumb();
}

void term_look(struct term *t, enum term_when colour)
{
	struct winsize ws = { 0 };
	*t = (struct term){ .out = isatty(STDOUT_FILENO), .err = isatty(STDERR_FILENO) };
	t->colour = colour == WHEN_ALWAYS || (colour == WHEN_AUTO && colourful(t->out));
	if (!t->out)
		return;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
	t->width = size("COLUMNS", ws.ws_col, 80);
	t->height = size("LINES", ws.ws_row, 24);
}

void term_sgr(const struct term *t, struct strbuf *b, const char *sgr, const char *text)
{
	if (t->colour && sgr)
		strbuf_fmt(b, "\033[%sm", sgr);
	strbuf_str(b, text);
	if (t->colour && sgr)
		strbuf_str(b, "\033[m");
}

static void pager_exec(const char *pager, int in)
{
	dup2(in, STDIN_FILENO);
	signal(SIGPIPE, SIG_DFL);
	setenv("LESS", "FRX", 0);
	setenv("LESSCHARSET", "utf-8", 0);
	execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
	_exit(127);
}

static bool have_less(void)
{
	const char *path = getenv("PATH");
	struct strbuf b = { 0 };
	bool found = false;
	while (path && *path && !found) {
		size_t n = strcspn(path, ":");
		strbuf_clear(&b);
		strbuf_add(&b, path, n);
		strbuf_str(&b, "/less");
		found = !b.failed && !access(b.s, X_OK);
		path += n + (path[n] == ':');
	}
	strbuf_free(&b);
	return found;
}

int pager_start(const struct term *t, pid_t *pid)
{
	const char *pager = getenv("PAGER");
	int p[2];
	if (!pager)
		pager = have_less() && !dumb() ? "less" : "";
	if (!t->out || !*pager || !strcmp(pager, "cat") || pipe2(p, O_CLOEXEC))
		return -1;
	*pid = fork();
	if (*pid == 0) {
		descriptors_restore();
		pager_exec(pager, p[0]);
	}
	close(p[0]);
	if (*pid < 0) {
		close(p[1]);
		return -1;
	}
	return p[1];
}

void pager_finish(int fd, pid_t pid)
{
	/* ^C is for the pager. */
	void (*old)(int) = signal(SIGINT, SIG_IGN);
	close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	signal(SIGINT, old);
}

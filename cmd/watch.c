/* watch: a command again and again, what changed since the last time marked. */
#include "query/list.h"
#include "cmd/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL 2.0

/* Bytes of the UTF-8 character at p. */
static size_t character(const char *p)
{
	size_t n = 1;
	while (((unsigned char)p[n] & 0xC0) == 0x80)
		n++;
	return n;
}

/* The line, its characters that differ from those of `old` in reverse. */
static void mark(struct strbuf *b, const char *line, size_t len, const char *old, size_t old_len, size_t columns)
{
	bool on = false;
	for (size_t i = 0, k = 0, col = 0; i < len && (!columns || col < columns); col++) {
		size_t n = character(line + i), m = k < old_len ? character(old + k) : 0;
		bool differs = n != m || memcmp(line + i, old + k, n) != 0;
		if (differs != on)
			strbuf_str(b, differs ? "\033[7m" : "\033[m");
		on = differs;
		strbuf_add(b, line + i, n);
		i += n;
		k += m;
	}
	if (on)
		strbuf_str(b, "\033[m");
}

static const char *next_line(const char *p, size_t *len)
{
	*len = strcspn(p, "\n");
	return p + *len + (p[*len] == '\n');
}

/* A screen of text, marked against the one before (NULL: none). */
static void screen(struct strbuf *b, const char *text, const char *old, size_t rows, size_t columns)
{
	for (size_t row = 0; *text && row < rows; row++) {
		size_t n, m = 0;
		const char *line = text, *was = old;
		text = next_line(text, &n);
		if (old)
			old = next_line(old, &m);
		if (was)
			mark(b, line, n, was, m, columns);
		else
			mark(b, line, n, line, n, columns);
		strbuf_str(b, "\033[K\n");
	}
	strbuf_str(b, "\033[J");
}

static void nap(double seconds)
{
	struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
	nanosleep(&ts, NULL);
}

struct watch {
	double interval;
	size_t count;            /* 0: for ever */
	struct held held;
	int argc;
	char **argv;
};

static void show(const struct call *c, const struct watch *w, const char *text, const char *old)
{
	struct winsize ws = { 0 };
	struct strbuf b = { 0 };
	if (!c->term.out || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_row < 4) {
		fputs(text, stdout);
		fflush(stdout);
		return;
	}
	char at[16] = "";
	time_t now = time(NULL);
	struct tm tm;
	if (localtime_r(&now, &tm))
		strftime(at, sizeof at, "%H:%M:%S", &tm);
	strbuf_fmt(&b, "%sEvery %g s:", old ? "\033[H" : "\033[H\033[2J", w->interval);
	for (int i = 0; i < w->argc; i++) {
		strbuf_char(&b, ' ');
		strbuf_escaped(&b, w->argv[i]);
	}
	strbuf_fmt(&b, "   %s\033[K\n", at);
	screen(&b, text, old, ws.ws_row - 2u, ws.ws_col);
	fwrite(b.s, 1, b.len, stdout);
	fflush(stdout);
	strbuf_free(&b);
}

static int repeat(struct call *c, struct watch *w)
{
	char *old = NULL;
	int status = STATUS_FINE;
	for (size_t i = 0; !w->count || i < w->count; i++) {
		struct strbuf text = { 0 };
		if (i)
			nap(w->interval);
		w->held.text = &text;
		/* Parsing keeps pointers to the words, and may move them. */
		char **argv = calloc((size_t)w->argc + 1, sizeof *argv);
		if (!argv) {
			status = call_fail(c, ERR_NOMEM);
			break;
		}
		memcpy(argv, w->argv, (size_t)w->argc * sizeof *argv);
		status = command_run_held(NULL, &w->held, w->argc, argv);
		free(argv);
		if (status == STATUS_USAGE || status == STATUS_ATTACH) {
			strbuf_free(&text);
			break;
		}
		show(c, w, text.s ? text.s : "", old);
		free(old);
		old = strdup(text.s ? text.s : "");
		strbuf_free(&text);
	}
	free(old);
	return status;
}

static err_t parse(struct call *c, struct watch *w)
{
	const struct command *cmd;
	const char *text = opt_value(&c->args, "interval");
	w->interval = INTERVAL;
	if (text)
		TRY(duration_parse(text, &w->interval));
	if (!(w->interval >= 0.1 && w->interval < 86400))
		return err_new(E_USAGE, "--interval takes a duration from 0.1s to a day");
	TRY(count_parse("count", opt_value(&c->args, "count") ? opt_value(&c->args, "count") : "0", &w->count));
	if (!c->nwords)
		return err_new(E_USAGE, "watch needs a command");
	TRY(command_lookup(c->words[0], true, &cmd));
	if (cmd->flags & (CMD_WRITES | CMD_SESSION | CMD_FOLLOWS) || !(cmd->flags & CMD_TARGET))
		return err_new(E_USAGE, "watch takes a command that looks at the target, not %s", cmd->name);
	w->argc = (int)c->nwords;
	w->argv = calloc(c->nwords + 1, sizeof *w->argv);
	if (!w->argv)
		return ERR_NOMEM;
	for (size_t i = 0; i < c->nwords; i++) {
		w->argv[i] = strdup(c->words[i]);
		if (!w->argv[i])
			return ERR_NOMEM;
	}
	return NULL;
}

static int watch_run(struct call *c)
{
	struct watch w = { .held = { .caps = c->session->caps, .n = c->session->n, .session = c->session } };
	err_t e = parse(c, &w);
	int status = e ? call_fail(c, e) : repeat(c, &w);
	for (int i = 0; i < w.argc && w.argv; i++)
		free(w.argv[i]);
	free(w.argv);
	return status;
}

static const struct option watch_options[] = {
	{ "interval", 'n', "SECONDS", "how long to wait in between (2)" },
	{ "count", 0, "N", "how often; for ever where not given" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_watch = {
	.name = "watch",
	.arguments = "COMMAND...",
	.summary = "a command again and again, what changed marked",
	.description = "Repeats a command that looks, until Ctrl-C, and marks what changed since the time "
		       "before.",
	.options = watch_options,
	.flags = CMD_SESSION | CMD_REST,
	.run = watch_run,
};

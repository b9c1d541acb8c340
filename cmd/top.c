/* top: the live view in a terminal. */
#include "cmd/top.h"

#include <curses.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/procs.h"
#include "query/findings.h"

#define INTERVAL_S 1.0
#define STALL_S 0.1

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

static void target_free(struct top_target *x)
{
	watch_free(x->watch);
	snapshot_free(x->now);
	snapshot_free(x->before);
	capture_close(x->cap);
}

static err_t add_target(struct top *t, const char *word)
{
	struct top_target x = { 0 };
	const struct target_opts o = { 0 };
	TRY(capture_open(word, &o, &x.cap));
	err_t e = NULL;
	if (!capture_is_process(x.cap))
		e = err_new(E_USAGE, "top takes a process: a core dump or a saved look does not go on");
	if (!e)
		e = watch_start(x.cap->python, STALL_S, &x.watch);
	if (!e) {
		snprintf(x.word, sizeof x.word, "%d", (int)x.cap->target->pid);
		process_command(x.cap->target->pid, x.command, sizeof x.command);
		if (!vec_push(&t->targets, x))
			e = ERR_NOMEM;
	}
	if (e)
		target_free(&x);
	return e;
}

/* Of a tree, those that cannot be looked at are left out as long as one can. */
static err_t add_tree(struct top *t, const char *root)
{
	struct pids pids = { 0 };
	err_t first = NULL;
	TRY(pids_tree(root, &pids));
	for (size_t i = 0; i < pids.n; i++) {
		char word[16];
		snprintf(word, sizeof word, "%d", (int)pids.v[i]);
		err_t e = add_target(t, word);
		if (first || !e)
			err_free(e);
		else
			first = e;
	}
	free(pids.v);
	if (t->targets.n) {
		err_free(first);
		return NULL;
	}
	return first ? first : err_new(E_NOTPYTHON, "no process of that tree runs Python");
}

static err_t add_targets(struct top *t, struct call *c)
{
	const char *tree = opt_value(&c->args, "tree");
	if (tree)
		TRY(add_tree(t, tree));
	else
		TRY(add_target(t, c->target));
	for (size_t i = 0; i < c->nwords; i++)
		TRY(add_target(t, c->words[i]));
	return NULL;
}

static err_t look(struct top_target *x)
{
	struct snapshot *s;
	TRY(capture_take(x->cap, SNAPSHOT_THREADS | SNAPSHOT_WATCHED, &s));
	snapshot_index(s);
	snapshot_free(x->before);
	x->before = x->now;
	x->now = s;
	return findings_make(s, x->before, &(struct findings_opts){
		.apart = x->before ? s->taken_at - x->before->taken_at : 0 });
}

/* What its loops were held by since it was asked last. */
static err_t drain(struct top_target *x)
{
	struct watch_event e;
	for (bool got = true; got;) {
		TRY(watch_next(x->watch, 0, NULL, &e, &got));
		if (!got)
			break;
		x->held = e.hold;
		x->holds = e.kind != WATCH_END;
		if (x->holds)
			continue;
		x->stalls++;
		x->longest = fmax(x->longest, hold_seconds(&e.hold));
	}
	return NULL;
}

/* A target that has ended is taken out; the last of them ends it all. */
static err_t look_at_all(struct top *t, bool whole)
{
	for (size_t i = 0; i < t->targets.n;) {
		struct top_target *x = &t->targets.v[i];
		err_t e = drain(x);
		if (!e && whole)
			e = look(x);
		if (err_code(e) == E_NOASYNCIO) {
			err_free(e);
			e = NULL;
		}
		if (!e) {
			i++;
			continue;
		}
		bool gone = err_code(e) == E_GONE || err_code(e) == E_NOPROC;
		if (!gone || t->targets.n == 1)
			return e;
		strbuf_clear(&t->said);
		strbuf_str(&t->said, e->msg);
		err_free(e);
		target_free(x);
		memmove(x, x + 1, (t->targets.n - i - 1) * sizeof *x);
		t->targets.n--;
		if (t->shown >= t->targets.n)
			t->shown = 0;
	}
	return NULL;
}

/* What was written to standard error since, as one line, for the last line. */
static void take_errors(struct top *t)
{
	char text[512];
	off_t end = lseek(t->errors, 0, SEEK_CUR);
	ssize_t n = end > 0 ? pread(t->errors, text, sizeof text - 1, 0) : 0;
	if (n <= 0)
		return;
	text[n] = '\0';
	strbuf_clear(&t->said);
	for (const char *p = text; *p; p++)
		strbuf_char(&t->said, *p == '\n' ? ' ' : *p);
	if (ftruncate(t->errors, 0) == 0)
		lseek(t->errors, 0, SEEK_SET);
}

void top_command(struct top *t, const char *name, const char *task, struct strbuf *text)
{
	struct capture *cap = top_target(t)->cap;
	const struct held h = { .caps = &cap, .n = 1, .text = text };
	char *argv[] = { strdup(name), strdup("--color=never"), strdup(task), NULL };
	if (argv[0] && argv[1] && argv[2])
		command_run_held(NULL, &h, 3, argv);
	for (size_t i = 0; i < 3; i++)
		free(argv[i]);
	take_errors(t);
}

static err_t follow(struct top *t)
{
	double next = 0;
	bool pressed = true, held = false;
	while (!t->quit && !interrupted) {
		double now = now_seconds();
		bool due = now >= next && !t->paused && t->asks == ASK_NOTHING;
		TRY(look_at_all(t, due));
		take_errors(t);
		if (due)
			next = now_seconds() + t->interval;
		/* Ten thousand tasks are not sorted again where nothing has changed. */
		if (due || pressed || held || top_target(t)->holds)
			top_draw(t);
		held = top_target(t)->holds;
		double wait = next - now_seconds();
		timeout(t->paused || t->asks || wait > 0.25 ? 250 : wait > 0.02 ? (int)(wait * 1e3) : 20);
		int key = getch();
		pressed = key != ERR;
		if (pressed)
			top_key(t, key);
	}
	return NULL;
}

struct screen { SCREEN *s; int errors; struct sigaction was[3]; };
static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

/* Whatever is written to standard error would stand in the middle of the screen. */
static err_t screen_begin(struct top *t, struct screen *x)
{
	struct sigaction sa = { .sa_handler = on_signal };
	setlocale(LC_ALL, "");
	t->errors = memfd_create("asyncmon-errors", MFD_CLOEXEC);
	x->errors = t->errors < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	x->s = x->errors < 0 ? NULL : newterm(NULL, stdout, stdin);
	if (!x->s) {
		const char *name = getenv("TERM");
		return err_new(E_USAGE, "top cannot draw on a terminal of the kind TERM=%s", name ? name : "");
	}
	dup2(t->errors, STDERR_FILENO);
	interrupted = 0;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		sigaction(ends[i], &sa, &x->was[i]);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	if (t->c->term.colour && has_colors()) {
		start_color();
		use_default_colors();
		for (short i = 1; i < 8; i++)
			init_pair(i, i, -1);
	}
	return NULL;
}

static void screen_end(struct top *t, struct screen *x)
{
	if (x->s) {
		endwin();
		delscreen(x->s);
		for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
			sigaction(ends[i], &x->was[i], NULL);
		dup2(x->errors, STDERR_FILENO);
	}
	if (x->errors >= 0)
		close(x->errors);
	if (t->errors >= 0)
		close(t->errors);
}

static err_t parse(struct top *t, struct call *c)
{
	const char *interval = opt_value(&c->args, "interval"), *filter = opt_value(&c->args, "filter");
	t->interval = INTERVAL_S;
	if (interval)
		TRY(duration_parse(interval, &t->interval));
	if (!(t->interval >= 0.1 && t->interval < 86400))
		return err_new(E_USAGE, "--interval takes a duration from 0.1s to a day");
	if (filter)
		snprintf(t->filter, sizeof t->filter, "%s", filter);
	if (c->as_json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return err_new(E_USAGE, "top draws on a terminal; for a file or a program there are "
			       "\"asyncmon stalls\" and \"asyncmon ps --json\"");
	if (!c->target && !opt_given(&c->args, "tree"))
		return err_new(E_USAGE, "top needs a target: a PID");
	return NULL;
}

static int top_run(struct call *c)
{
	struct top t = { .c = c, .errors = -1 };
	struct screen x = { .errors = -1 };
	err_t e = parse(&t, c);
	if (!e)
		e = add_targets(&t, c);
	if (!e)
		e = screen_begin(&t, &x);
	if (!e)
		e = follow(&t);
	screen_end(&t, &x);
	for (size_t i = 0; i < t.targets.n; i++)
		target_free(&t.targets.v[i]);
	vec_free(&t.targets);
	strbuf_free(&t.page);
	strbuf_free(&t.said);
	return e ? call_fail(c, e) : STATUS_FINE;
}

static const struct option top_options[] = {
	{ "interval", 'n', "DURATION", "time between two looks (1s)" },
	{ "filter", 'f', "TEXT", "only tasks with TEXT in their name or their coroutine's" },
	{ "tree", 0, "PID", "that process and its descendants that run Python; Tab goes from one to the next" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_top = {
	.name = "top",
	.arguments = "[PID...]",
	.summary = "the live view in a terminal",
	.description = "Shows loops, what holds them, findings and tasks, and looks again every second. Keys sort, filter "
		       "and group the tasks, open one, and cancel one once that is confirmed; ? lists them.",
	.options = top_options,
	.alone = "tree",
	.flags = CMD_TARGET | CMD_NO_SESSION,
	.run = top_run,
};

/* The session's life: targets opened, lines read and run, the status that it ends with. */
#include "cmd/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/act.h"
#include "cmd/input.h"

static bool grow(struct session *s)
{
	size_t n = s->n + 1;
	struct capture **caps = realloc(s->caps, n * sizeof *caps);
	s->caps = caps ? caps : s->caps;
	char **names = realloc(s->names, n * sizeof *names);
	s->names = names ? names : s->names;
	bool *ended = realloc(s->ended, n * sizeof *ended);
	s->ended = ended ? ended : s->ended;
	return caps && names && ended;
}

static err_t add(struct session *s, const char *word, const struct target_opts *o)
{
	struct capture *cap;
	if (!grow(s))
		return ERR_NOMEM;
	TRY(capture_open(word, o, &cap));
	s->caps[s->n] = cap;
	s->names[s->n] = session_target_name(cap, word);
	s->ended[s->n] = false;
	if (!capture_is_process(cap))
		setenv("ASYNCMON_TARGET", word, 1);
	return s->names[s->n++] ? NULL : ERR_NOMEM;
}

/* A process of a tree that runs no asyncio, or that has ended meanwhile. */
static bool other(err_t e)
{
	return e->code == E_NOTPYTHON || e->code == E_NOASYNCIO || e->code == E_GONE || e->code == E_NOPROC;
}

/* python_find() takes any Python; whether it has asyncio shows in a first look. */
static err_t look(struct session *s)
{
	struct snapshot *snap = NULL;
	err_t e = capture_take(s->caps[s->n - 1], 0, &snap);
	snapshot_free(snap);
	if (e) {
		s->n--;
		capture_close(s->caps[s->n]);
		free(s->names[s->n]);
	}
	return e;
}

err_t session_open(struct session *s, const struct session_opts *o)
{
	for (size_t i = 0; i < o->ntargets; i++) {
		err_t e = add(s, o->targets[i], &o->target);
		if (!e)
			e = look(s);
		if (e && !(o->skip_others && other(e)))
			return e;
		err_free(e);
	}
	if (!s->n)
		return err_new(E_NOTPYTHON, "none of these processes runs Python with asyncio");
	return NULL;
}

void session_close(struct session *s)
{
	for (size_t i = 0; i < s->n; i++) {
		capture_close(s->caps[i]);
		free(s->names[i]);
	}
	while (s->aliases) {
		struct alias *a = s->aliases;
		s->aliases = a->next;
		free(a->name);
		free(a->text);
		free(a);
	}
	free(s->caps);
	free(s->names);
	free(s->ended);
}

/* Lines of a file, each as if typed. The first failure's status. */
static int run_stream(struct session *s, FILE *f)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int first = STATUS_FINE;
	while (!s->over && (n = getline(&line, &cap, f)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		s->status = session_line(s, line);
		first = first ? first : s->status;
	}
	free(line);
	return first;
}

static int run_rc(struct session *s, const struct session_opts *o)
{
	char *path = o->rc ? strdup(o->rc) : xdg_path("XDG_CONFIG_HOME", ".config", "rc", false);
	FILE *f = path && !o->no_rc ? fopen(path, "re") : NULL;
	int status = STATUS_FINE;
	if (f) {
		status = run_stream(s, f);
		fclose(f);
	} else if (o->rc) {
		fprintf(stderr, "asyncmon: %s: cannot be read\n", o->rc);
		status = STATUS_USAGE;
	}
	free(path);
	return status;
}

static int run_script(struct session *s, const char *const *script)
{
	int first = STATUS_FINE;
	for (; *script && !s->over; script++) {
		s->status = session_line(s, *script);
		first = first ? first : s->status;
	}
	return first;
}

static void prompt(const struct session *s, struct strbuf *b)
{
	strbuf_clear(b);
	strbuf_str(b, "asyncmon ");
	if (s->n > 1)
		strbuf_fmt(b, "%s +%zu", s->names[0], s->n - 1);
	else if (capture_is_process(s->caps[0]))
		strbuf_fmt(b, "%d %s", (int)s->caps[0]->target->pid, s->names[0]);
	else
		strbuf_str(b, s->names[0]);
	strbuf_str(b, s->n == 1 && s->ended[0] ? " (ended)> " : "> ");
}

static size_t watch_targets(void *ctx, struct pollfd *p, size_t room)
{
	const struct session *s = ctx;
	size_t n = 0;
	for (size_t i = 0; i < s->n && n < room; i++)
		if (!s->ended[i] && capture_is_process(s->caps[i]))
			p[n++] = (struct pollfd){ .fd = target_pidfd(s->caps[i]->target), .events = POLLIN };
	return n;
}

static void say_ended(void *ctx)
{
	session_notice_ends(ctx);
}

static void run_person(struct session *s)
{
	struct strbuf b = { 0 };
	char *last = NULL;
	session_banner(s);
	input_start(&(struct input){ "history", watch_targets, say_ended, s });
	complete_start(s);
	while (!s->over) {
		bool interrupted = false;
		session_notice_ends(s);
		prompt(s, &b);
		char *line = b.failed ? NULL : input_line(b.s, &interrupted);
		if (interrupted)
			continue;
		if (!line)
			break;
		if (line[strspn(line, " \t")]) {
			free(last);
			last = line;
		} else {
			free(line);
		}
		if (last)
			s->status = session_line(s, last);
	}
	complete_end();
	input_end();
	strbuf_free(&b);
	free(last);
}

int session_run(struct session *s, const struct session_opts *o)
{
	int status = STATUS_FINE;
	s->interactive = !o->script && isatty(STDIN_FILENO);
	if (s->interactive || o->rc)
		status = run_rc(s, o);
	if (o->script)
		return status ? status : run_script(s, o->script);
	if (!s->interactive)
		return status ? status : run_stream(s, stdin);
	run_person(s);
	return STATUS_FINE;
}

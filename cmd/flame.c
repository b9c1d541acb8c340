/* flame: stacks as a flame graph. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/outfile.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "query/list.h"
#include "show/flame.h"
#include "show/list_look.h"
#include "watch/running.h"

#define FOR_S 10.0
/* Between samples. Not a round number, so as not to keep step with what the program does. */
#define SAMPLE_S 0.0197

struct asked {
	const struct flame_format *format;
	const char *out;                /* NULL: standard output */
	const struct column *group;     /* NULL: none */
	bool running;
	double seconds;                 /* to sample for */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

static err_t parse(const struct args *a, struct asked *k)
{
	const char *format = opt_value(a, "format"), *by = opt_value(a, "group-by");
	struct selection sel;
	*k = (struct asked){ .out = opt_value(a, "out") };
	TRY(selection_parse(&sel, a));
	k->format = flame_format_find(format ? format : "collapsed");
	if (!k->format)
		return err_new(E_USAGE, "--format is collapsed, speedscope or html, not %s", format);
	if (opt_given(a, "json") && (format || k->out))
		return err_new(E_USAGE, "flame takes --json or a --format, not both");
	k->running = opt_given(a, "running");
	k->seconds = FOR_S;
	if (opt_value(a, "for"))
		TRY(duration_parse(opt_value(a, "for"), &k->seconds));
	if (opt_value(a, "for") && !k->running)
		return err_new(E_USAGE, "--for goes with --running: how tasks wait is told of one instant");
	if (k->running && (opt_given(a, "waiting") || by || selection_any(&sel)))
		return err_new(E_USAGE, "--running takes all that the loops run: no --waiting, no --group-by, no filters");
	return by ? list_group_column(&list_tasks, by, &k->group) : NULL;
}

/* Which tasks the options select, and of each what it is grouped by. */
struct chosen { bool *selected; const char **group; size_t unjudged; };

static err_t choose(struct chosen *x, const struct snapshot *s, const struct args *a, const struct column *by)
{
	struct selection sel;
	struct strbuf b = { 0 };
	TRY(selection_parse(&sel, a));
	x->selected = calloc(s->ntasks + 1, sizeof *x->selected);
	x->group = by ? calloc(s->ntasks + 1, sizeof *x->group) : NULL;
	bool fine = x->selected && (!by || x->group);
	for (size_t i = 0; i < s->ntasks && fine; i++) {
		struct subject subject;
		list_tasks.subject(&s->tasks[i], &subject);
		x->selected[i] = selection_matches(&sel, &subject);
		x->unjudged += selection_cannot_judge(&sel, &subject);
		if (!by || !x->selected[i])
			continue;
		strbuf_clear(&b);
		bool known = by->text(&b, s, &s->tasks[i]);
		x->group[i] = arena_str(s->arena, known && b.s ? b.s : "-");
		fine = x->group[i] && !b.failed;
	}
	strbuf_free(&b);
	return fine ? NULL : ERR_NOMEM;
}

static err_t write_file(const struct flame *f, const struct asked *k)
{
	struct outfile file;
	struct out o = { .fd = -1 };
	err_t e = outfile_begin(&file, k->out, 0666, true);
	o.fd = file.fd;
	if (!e)
		e = k->format->write(&o, f);
	if (!e)
		out_flush(&o);
	if (!e && (o.errnum || o.b.failed))
		e = o.errnum ? err_errno(E_IO, o.errnum, k->out) : ERR_NOMEM;
	if (!e)
		e = outfile_keep(&file);
	out_free(&o);
	outfile_end(&file);
	return e;
}

static err_t answer(struct call *c, const struct snapshot *s, const struct flame *f, const struct asked *k)
{
	if (c->as_json) {
		call_answer(c, s);
		return json_flame(&c->json, f);
	}
	if (!k->out)
		return k->format->write(c->out, f);
	TRY(write_file(f, k));
	call_note(c, "%s: %llu %s", k->out, (unsigned long long)f->nodes.v[0].total, f->unit);
	return NULL;
}

static err_t waiting(struct call *c, struct snapshot *s, const struct asked *k)
{
	struct chosen x = { 0 };
	struct flame f = { 0 };
	err_t e = choose(&x, s, &c->args, k->group);
	char *title = arena_fmt(s->arena, "Where the tasks of process %d wait (Python %s)", (int)s->pid, s->python);
	if (!e)
		e = title ? flame_make(&f, title, "tasks") : ERR_NOMEM;
	if (!e)
		e = flame_waiting(&f, s, &(struct flame_choice){ x.selected, x.group });
	if (!e) {
		list_say_unjudged(s, x.unjudged, "tasks");
		if (f.cut)
			snapshot_note(s, "Stacks are shown down to their %d. frame.", FLAME_DEPTH_MAX);
		e = answer(c, s, &f, k);
	}
	flame_free(&f);
	free(x.selected);
	free(x.group);
	return e;
}

/* Samples until the time is over, Ctrl-C, or the end of the process. */
static err_t sample(struct call *c, const struct asked *k, struct running *r)
{
	struct sigaction sa = { .sa_handler = on_signal }, was_int, was_term;
	double until = now_seconds() + k->seconds;
	err_t e = NULL;
	interrupted = 0;
	sigaction(SIGINT, &sa, &was_int);
	sigaction(SIGTERM, &sa, &was_term);
	while (!e && !interrupted && now_seconds() < until) {
		e = running_sample(r);
		if (!e)
			nanosleep(&(struct timespec){ .tv_nsec = (long)(SAMPLE_S * 1e9) }, NULL);
	}
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGTERM, &was_term, NULL);
	if (err_code(e) == E_GONE && r->samples) {
		call_note(c, "%s; this is what was seen of it until then", e->msg);
		err_free(e);
		e = NULL;
	}
	return e;
}

static err_t running(struct call *c, struct snapshot *s, const struct asked *k)
{
	struct flame f = { 0 };
	struct running r = { 0 };
	char *title = arena_fmt(s->arena, "What the loops of process %d spend their time with (Python %s)", (int)s->pid,
				s->python);
	if (!title)
		return ERR_NOMEM;
	TRY(flame_make(&f, title, "samples"));
	/* Of the look that said who it is; what follows is another matter. */
	s->nnotes = 0;
	s->complete = true;
	running_begin(&r, c->cap->python, &f, s->arena);
	err_t e = sample(c, k, &r);
	if (!e) {
		flame_finish(&f);
		if (!r.samples)
			snapshot_lacks(s, "No loop was seen to run.");
		snapshot_note(s, "%zu samples; the process was stopped for %zu of them, for an instant each.", r.samples, r.looks);
		e = answer(c, s, &f, k);
	}
	running_end(&r);
	flame_free(&f);
	return e;
}

static int flame_run(struct call *c)
{
	struct snapshot *s = NULL;
	struct asked k;
	err_t e = parse(&c->args, &k);
	if (!e)
		e = call_snapshot(c, k.running ? SNAPSHOT_NO_PAUSE | SNAPSHOT_RUNNING : 0, &s);
	if (!e && k.running && s->source != SNAPSHOT_OF_PROCESS)
		e = err_new(E_USAGE, "--running takes a process: a core dump does not go on");
	if (!e)
		e = k.running ? running(c, s, &k) : waiting(c, s, &k);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

static const struct option flame_options[] = {
	{ "waiting", 0, NULL, "where tasks wait now (the default)" },
	{ "running", 0, NULL, "where loops spend their time, by samples" },
	{ "for", 0, "DURATION", "with --running: sample so long (10s)" },
	{ "format", 0, "FORMAT", "collapsed (the default, for flamegraph.pl and others), speedscope or html" },
	{ "out", 0, "FILE", "write it there and not to standard output" },
	{ "group-by", 0, "KEY", "the outermost frame: coro, created, waiting, state, group, by, or any column of ps" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_flame = {
	.name = "flame",
	.arguments = "",
	.summary = "where tasks wait, or loops spend their time, as a flame graph",
	.description = "Merges the stacks of all waiting tasks: each counts once, its frames stand on those of "
		       "the task that awaits it or owns its group, and at the end is what it waits for. "
		       "With --running: what the loops run, sampled for a while, with the C frames. "
		       "--format html is a page that can be searched and zoomed and needs nothing else.",
	.options = flame_options,
	.flags = CMD_TARGET | CMD_CORE | CMD_SELECT,
	.run = flame_run,
};

/* diff: what came, went and grew between two looks. */
#include "base/clock.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "query/list.h"
#include "show/diff.h"

#define AFTER_MAX_S (7 * 86400.0)

struct looks { struct snapshot *old, *now; };

static err_t look(struct call *c, const char *word, struct snapshot **out)
{
	const struct target_opts o = {
		.exe = opt_value(&c->args, "exe"),
		.sysroot = opt_value(&c->args, "sysroot"),
		.debug_dir = opt_value(&c->args, "debug-dir"),
	};
	struct capture *cap = NULL;
	err_t e = capture_open(word, &o, &cap);
	if (!e)
		e = capture_take(cap, opt_given(&c->args, "no-pause") ? SNAPSHOT_NO_PAUSE : 0, out);
	capture_close(cap);
	/* A file that is not there is no task that was not found. */
	if (err_code(e) == E_NOTFOUND) {
		err_t io = err_new(E_IO, "%s", e->msg);
		err_free(e);
		return io;
	}
	return e;
}

/* One target twice. */
static err_t look_again(struct call *c, const char *after, struct looks *l)
{
	double s;
	TRY(duration_parse(after, &s));
	if (!(s >= 0 && s <= AFTER_MAX_S))
		return err_new(E_USAGE, "--after takes up to a week, not %s", after);
	if (c->nwords)
		return err_new(E_USAGE, "diff takes two targets, or one and --after");
	TRY(call_snapshot(c, 0, &l->old));
	if (!capture_is_process(c->cap))
		return err_new(E_USAGE, "--after is for a process: a file does not change");
	sleep_seconds(s);
	return call_snapshot(c, 0, &l->now);
}

/* Of a session, what it holds is the new one. */
static err_t look_at_both(struct call *c, struct looks *l)
{
	bool held = c->session;
	if (c->nwords != 1)
		return err_new(E_USAGE, held ? "diff needs the older look, or --after DURATION"
					     : "diff needs two targets, or one and --after DURATION");
	TRY(held ? look(c, c->words[0], &l->old) : call_snapshot(c, 0, &l->old));
	return held ? call_snapshot(c, 0, &l->now) : look(c, c->words[0], &l->now);
}

static err_t answer(struct call *c, const struct looks *l)
{
	struct diff d;
	err_t e = diff_make(&d, l->old, l->now);
	if (!e) {
		for (size_t i = 0; i < l->old->nnotes && !c->as_json; i++)
			call_note(c, "of the older look: %s", l->old->notes[i]);
		if (!d.same_process)
			snapshot_note(l->now, "These are looks at two processes: no task of one is one of the other.");
		if (d.apart < 0)
			snapshot_note(l->now, "The look that was given first is the younger one.");
		call_answer(c, l->now);
		if (c->as_json)
			json_diff(&c->json, &d);
		else
			text_diff(c->out, &c->term, &d);
	}
	diff_free(&d);
	return e;
}

static int diff_run(struct call *c)
{
	struct looks l = { 0 };
	const char *after = opt_value(&c->args, "after");
	err_t e = after ? look_again(c, after, &l) : look_at_both(c, &l);
	if (!e)
		e = answer(c, &l);
	int status = e ? call_fail(c, e) : call_end(c, l.now);
	if (status == STATUS_FINE && !l.old->complete)
		status = STATUS_INCOMPLETE;
	snapshot_free(l.old);
	snapshot_free(l.now);
	return status;
}

static const struct option diff_options[] = {
	{ "after", 0, "DURATION", "look twice at one process, so long apart" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_diff = {
	.name = "diff",
	.arguments = "NEW",
	.summary = "what came, went and grew between two looks",
	.description = "Compares two looks: at processes, cores or saved looks, the older first. Tasks that came and "
		       "went are told by their coroutine and, with the agent, by where they were made; then what "
		       "there is more of than before. In a session the other look is compared with what the "
		       "session is attached to.",
	.options = diff_options,
	.flags = CMD_TARGET | CMD_CORE | CMD_PAGER,
	.run = diff_run,
};

/* What every command does with its call: look, open and close its answer, say what
 * went wrong. */
#include "cmd/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/capture.h"
#include "show/json_types.h"
#include "query/list.h"

void call_note(struct call *c, const char *fmt, ...)
{
	struct strbuf text = { 0 };
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n >= 0) {
		strbuf_escaped(&text, s);
		free(s);
	}
	if (n < 0 || text.failed)
		c->notes->failed = true;
	else
		strbuf_fmt(c->notes, "asyncmon: %s\n", text.s ? text.s : "");
	strbuf_free(&text);
}

void call_notes_flush(struct call *c)
{
	struct out err = { .b = *c->notes, .fd = STDERR_FILENO };
	out_flush(&err);
	*c->notes = err.b;
	strbuf_clear(c->notes);
}

int status_of(err_t e)
{
	switch (err_code(e)) {
	case E_OK:
		return STATUS_FINE;
	case E_NOTFOUND:
		return STATUS_FINDING;
	case E_USAGE:
		return STATUS_USAGE;
	case E_NOTPYTHON:
	case E_VERSION:
	case E_NOASYNCIO:
		return STATUS_UNREADABLE;
	default:
		return STATUS_ATTACH;
	}
}

/* The first of several answers opens the list of them. */
static void next_answer(struct call *c)
{
	struct json *j = &c->json;
	if (c->as_json && c->many && !c->shown) {
		json_answer(j);
		json_key(j, "answers");
		json_array(j);
	}
	c->shown++;
}

static void error_answer(struct call *c, err_t e)
{
	struct json *j = &c->json;
	next_answer(c);
	json_answer(j);
	if (c->many && c->target) {
		json_key(j, "of");
		json_str(j, c->target);
	}
	json_error(j, e);
	json_object_end(j);
}

static bool skipped(struct call *c, err_t e)
{
	if (!c->skippable || (e->code != E_NOTPYTHON && e->code != E_NOASYNCIO &&
			      e->code != E_GONE && e->code != E_NOPROC))
		return false;
	if (opt_given(&c->args, "verbose"))
		call_note(c, "left out: %s", e->msg);
	return true;
}

int call_fail(struct call *c, err_t e)
{
	int status = status_of(e);
	if (skipped(c, e))
		status = STATUS_FINE;
	else if (c->as_json)
		error_answer(c, e);
	else
		call_note(c, "%s", e->msg);
	err_free(e);
	return status;
}

/* A core that is not there is a target that cannot be attached to, not a task that
 * was not found. */
static err_t opened(err_t e)
{
	if (err_code(e) != E_NOTFOUND)
		return e;
	err_t out = err_new(E_IO, "%s", e->msg);
	err_free(e);
	return out;
}

static err_t longest_pause(const struct call *c, int64_t *ns)
{
	const char *text = opt_value(&c->args, "max-pause");
	double s = 1;
	if (text)
		TRY(duration_parse(text, &s));
	if (!(s >= 0.001 && s <= 3600))
		return err_new(E_USAGE, "--max-pause takes a duration from 1ms to an hour, not %s", text);
	*ns = (int64_t)(s * 1e9);
	return NULL;
}

err_t call_wait(struct call *c, const char *word, const struct target_opts *o)
{
	const char *text = opt_value(&c->args, "wait");
	double s = 0;
	if (!text)
		return NULL;
	TRY(duration_parse(text, &s));
	capture_await(word, o, s);
	return NULL;
}

err_t call_open(struct call *c)
{
	const struct target_opts o = {
		.exe = opt_value(&c->args, "exe"),
		.sysroot = opt_value(&c->args, "sysroot"),
		.debug_dir = opt_value(&c->args, "debug-dir"),
	};
	int64_t pause = 0;
	TRY(longest_pause(c, &pause));
	if (!c->cap && !c->skippable)
		TRY(call_wait(c, c->target, &o));
	if (!c->cap)
		TRY(opened(capture_open(c->target, &o, &c->cap)));
	if (c->cap->saved && !(c->cmd->flags & CMD_CORE))
		return err_new(E_UNSUPPORTED, "%s needs a process, and this is a saved look", c->cmd->name);
	if (c->cap->target)
		c->cap->target->pause_ns = pause;
	return NULL;
}

err_t call_snapshot(struct call *c, unsigned what, struct snapshot **out)
{
	TRY(call_open(c));
	if (opt_given(&c->args, "no-pause"))
		what |= SNAPSHOT_NO_PAUSE;
	TRY(opened(capture_take(c->cap, what, out)));
	snapshot_index(*out);
	return NULL;
}

struct target *call_target(struct call *c)
{
	return c->cap ? c->cap->target : NULL;
}

void call_answer(struct call *c, const struct snapshot *s)
{
	next_answer(c);
	if (!c->as_json)
		return;
	json_answer(&c->json);
	json_head(&c->json, s);
}

static void say_stats(struct call *c, const struct snapshot *s)
{
	call_note(c, "open %.2f ms, find python %.2f ms, rehearse %.2f ms, freeze %.2f ms, walk %.2f ms",
		  s->stats.open * 1e3, s->stats.find * 1e3, s->stats.rehearse * 1e3,
		  s->stats.freeze * 1e3, s->stats.walk * 1e3);
	if (s->stats.lines > 0)
		call_note(c, "source lines of C frames %.2f ms of the walk", s->stats.lines * 1e3);
	if (s->paused_us >= 0)
		call_note(c, "paused %.3f ms, %u threads, %u attempts", (double)s->paused_us / 1e3,
			  s->stats.threads, s->stats.attempts);
	else
		call_note(c, "not paused, %u attempts", s->stats.attempts);
	call_note(c, "%llu bytes read, %llu copied", (unsigned long long)s->stats.bytes,
		  (unsigned long long)s->stats.copied);
}

int call_end(struct call *c, const struct snapshot *s)
{
	if (c->as_json)
		json_object_end(&c->json);
	else
		for (size_t i = 0; i < s->nnotes; i++)
			call_note(c, "%s", s->notes[i]);
	if (!s->complete && !c->as_json && !s->nnotes)
		call_note(c, "The answer is incomplete.");
	if (opt_given(&c->args, "stats"))
		say_stats(c, s);
	if (opt_given(&c->args, "verbose"))
		call_note(c, "%s: python %s%s, layout from %s", s->exe ? s->exe : "?", s->python,
			  s->free_threaded ? " (free-threaded)" : "", s->layout);
	if (opt_given(&c->args, "verbose") && s->folders.asyncio)
		call_note(c, "code in %s is asyncio's, in %s the standard library's, in folders named site-packages "
			     "or dist-packages that of libraries; all other is the user's", s->folders.asyncio,
			  s->folders.stdlib ? s->folders.stdlib : "?");
	return s->complete ? STATUS_FINE : STATUS_INCOMPLETE;
}

#include "cmd/capture.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "cmd/saved_file.h"

/* Between two looks of capture_await(). */
#define WAIT_FIRST_S 0.05
#define WAIT_LAST_S 1.0
#define WAIT_GROWS 1.25

/* What could not be had of the target is often why; the first of it. */
static err_t with_notes(err_t e, const struct target *t)
{
	struct strbuf b = { 0 };
	if (e == ERR_NOMEM || t->nnotes == 0)
		return e;
	strbuf_str(&b, e->msg);
	for (size_t i = 0; i < t->nnotes && i < 2; i++) {
		strbuf_str(&b, i ? " " : ". ");
		strbuf_str(&b, t->notes[i]);
	}
	if (b.len && b.s[b.len - 1] == '.')
		b.s[b.len - 1] = '\0';
	err_t out = b.failed ? ERR_NOMEM : err_at(e->code, e->addr, "%s", b.s);
	err_free(e);
	strbuf_free(&b);
	return out;
}

static bool is_pid(const char *word)
{
	return !word[strspn(word, "0123456789")];
}

static err_t open_parts(struct capture *c, const char *word, const struct target_opts *o)
{
	double start = now_seconds();
	if (!is_pid(word))
		TRY(saved_file_open(word, &c->saved));
	if (c->saved) {
		c->open_s = now_seconds() - start;
		return NULL;
	}
	TRY(target_open(word, o, &c->target));
	double opened = now_seconds();
	c->open_s = opened - start;
	err_t e = python_find(c->target, &c->python);
	if (e)
		return with_notes(e, c->target);
	c->find_s = now_seconds() - opened;
	return NULL;
}

err_t capture_open(const char *word, const struct target_opts *o, struct capture **out)
{
	struct capture *c = calloc(1, sizeof *c);
	if (!c)
		return ERR_NOMEM;
	err_t e = open_parts(c, word, o);
	if (e) {
		capture_close(c);
		return e;
	}
	*out = c;
	return NULL;
}

/* A program that is about to start may be a shell yet, or a Python whose structures are
 * being set up. */
static bool may_become(err_t e)
{
	enum err_code c = err_code(e);
	return c == E_NOTPYTHON || c == E_NOASYNCIO || c == E_TORN || c == E_BADDATA || c == E_UNKNOWN;
}

/* True: there is nothing (more) to wait for. */
static bool has_loop(const char *word, const struct target_opts *o)
{
	struct capture *cap = NULL;
	struct snapshot *s = NULL;
	err_t e = capture_open(word, o, &cap);
	if (!e)
		e = capture_take(cap, SNAPSHOT_NO_PAUSE, &s);
	bool done = e ? !may_become(e) : s->nloops > 0;
	err_free(e);
	snapshot_free(s);
	capture_close(cap);
	return done;
}

void capture_await(const char *word, const struct target_opts *o, double seconds)
{
	double end = now_seconds() + seconds, pause = WAIT_FIRST_S;
	/* A file does not change. */
	if (!is_pid(word))
		return;
	while (now_seconds() < end && !has_loop(word, o)) {
		double left = end - now_seconds(), s = left < pause ? left : pause;
		if (s > 0)
			poll(NULL, 0, (int)(s * 1e3) + 1);
		pause = pause < WAIT_LAST_S ? pause * WAIT_GROWS : WAIT_LAST_S;
	}
}

err_t capture_take(struct capture *cap, unsigned what, struct snapshot **out)
{
	if (cap->take)
		return cap->take(cap, what, out);
	if (cap->saved)
		TRY(saved_file_look(cap->saved, what, out));
	else
		TRY(snapshot_take(cap->python, what, out));
	(*out)->stats.open = cap->open_s;
	(*out)->stats.find = cap->find_s;
	return NULL;
}

void capture_close(struct capture *cap)
{
	if (!cap)
		return;
	if (cap->python)
		python_free(cap->python);
	if (cap->target)
		target_close(cap->target);
	saved_file_close(cap->saved);
	free(cap);
}

bool capture_is_process(const struct capture *cap)
{
	return cap->target && cap->target->kind == TARGET_PROCESS;
}

pid_t capture_pid(const struct capture *cap)
{
	return cap->target ? cap->target->pid : cap->saved ? cap->saved->pid : 0;
}

const char *capture_kind(const struct capture *cap)
{
	return capture_is_process(cap) ? "process" : cap->saved ? "saved look" : "core";
}

/* The targets of `serve`, and the looks at them. */
#include "cmd/serve.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/act.h"
#include "base/clock.h"

/* Between two searches for processes. */
#define FIND_S 2.0
/* Before a process without asyncio is tried again: it may import it later. */
#define RETRY_S 5.0
/* How long one that ended is still told of, where nobody named it. */
#define REMEMBER_S 300.0
/* How long an older look is kept that somebody pages through. */
#define KEEP_S 120.0
#define WATCHED_MAX 256

static const unsigned what_of[LOOK_KINDS] = {
	[LOOK_LIVE] = SNAPSHOT_THREADS | SNAPSHOT_ENDED,
	[LOOK_DONE] = SNAPSHOT_THREADS | SNAPSHOT_DONE | SNAPSHOT_WATCHED,
	[LOOK_NATIVE] = SNAPSHOT_THREADS | SNAPSHOT_NATIVE,
	[LOOK_WHOLE] = SNAPSHOT_DONE_IF_CAN | SNAPSHOT_NATIVE,
};

static void look_free(const struct watched *w, struct look *l)
{
	if (l->s)
		pages_forget(w, l->number);
	snapshot_free(l->s);
	*l = (struct look){ 0 };
}

static void watched_free(struct watched *w)
{
	for (int kind = 0; kind < LOOK_KINDS; kind++)
		for (int i = 0; i < LOOKS_KEPT; i++)
			look_free(w, &w->looks[kind][i]);
	capture_close(w->cap);
	free(w->word);
	free(w->command);
	free(w->trouble);
	free(w);
}

static err_t add(struct watches *ws, const char *word, const char *command, bool named)
{
	if (ws->v.n >= WATCHED_MAX)
		return named ? err_new(E_USAGE, "serve watches %d targets at most", WATCHED_MAX) : NULL;
	struct watched *w = calloc(1, sizeof *w);
	if (!w || !(w->word = strdup(word)) || !(w->command = strdup(command)) || !vec_push(&ws->v, w)) {
		if (w)
			watched_free(w);
		return ERR_NOMEM;
	}
	w->named = named;
	w->pid = word[strspn(word, "0123456789")] ? 0 : (pid_t)atol(word);
	if (w->pid)
		snprintf(w->key, sizeof w->key, "%d", (int)w->pid);
	else
		snprintf(w->key, sizeof w->key, "file%zu", ws->v.n);
	return NULL;
}

err_t watches_start(struct watches *ws, const struct serve_opts *o)
{
	char command[256];
	*ws = (struct watches){ .o = o, .found_at = -FIND_S };
	for (size_t i = 0; i < o->nwords; i++) {
		const char *word = o->words[i];
		bool file = word[strspn(word, "0123456789")];
		if (!file)
			process_command((pid_t)atol(word), command, sizeof command);
		TRY(add(ws, word, file ? word : command, true));
	}
	return NULL;
}

void watches_end(struct watches *ws)
{
	for (size_t i = 0; i < ws->v.n; i++)
		watched_free(ws->v.v[i]);
	vec_free(&ws->v);
}

static struct watched *of_pid(const struct watches *ws, pid_t pid)
{
	for (size_t i = 0; i < ws->v.n; i++)
		if (ws->v.v[i]->pid == pid && !ws->v.v[i]->ended)
			return ws->v.v[i];
	return NULL;
}

static void found(struct watches *ws, pid_t pid, const char *command)
{
	char word[24];
	snprintf(word, sizeof word, "%d", (int)pid);
	if (!of_pid(ws, pid))
		err_free(add(ws, word, command, false));
}

static void find_tree(struct watches *ws)
{
	struct pids tree = { 0 };
	char command[256];
	err_free(pids_tree(ws->o->tree, &tree));
	for (size_t i = 0; i < tree.n; i++) {
		process_command(tree.v[i], command, sizeof command);
		found(ws, tree.v[i], command);
	}
	vec_free(&tree);
}

static void find_python(struct watches *ws)
{
	struct processes p = { 0 };
	err_free(processes_of_python(&p));
	for (size_t i = 0; i < p.n; i++)
		if (ws->o->all || fnmatch(ws->o->match, p.v[i].command, 0) == 0)
			found(ws, p.v[i].pid, p.v[i].command);
	processes_free(&p);
}

static void end(struct watched *w)
{
	if (w->ended)
		return;
	w->ended = true;
	w->ended_at = now_seconds();
	capture_close(w->cap);
	w->cap = NULL;
}

static bool has_gone(const struct watched *w)
{
	char path[32];
	if (w->cap)
		return capture_is_process(w->cap) && target_ended(w->cap->target);
	snprintf(path, sizeof path, "/proc/%d", (int)w->pid);
	return access(path, F_OK) != 0;
}

static void notice_ends(struct watches *ws)
{
	double now = now_seconds();
	size_t kept = 0;
	for (size_t i = 0; i < ws->v.n; i++) {
		struct watched *w = ws->v.v[i];
		if (w->pid && has_gone(w))
			end(w);
		bool over = w->ended && (!w->looks[LOOK_LIVE][0].s || now - w->ended_at > REMEMBER_S);
		if (over && !w->named)
			watched_free(w);
		else
			ws->v.v[kept++] = w;
	}
	ws->v.n = kept;
}

static err_t opened(struct watches *ws, struct watched *w)
{
	double now = now_seconds();
	if (w->cap)
		return NULL;
	if (w->ended)
		return err_new(E_GONE, "process %d has ended", (int)w->pid);
	if (w->trouble && now < w->retry_at)
		return err_new(E_NOASYNCIO, "%s", w->trouble);
	free(w->trouble);
	w->trouble = NULL;
	err_t e = capture_open(w->word, &ws->o->target, &w->cap);
	if (e) {
		w->trouble = strdup(e->msg);
		w->retry_at = now + RETRY_S;
	} else if (w->cap->target) {
		w->cap->target->pause_ns = ws->o->pause_ns;
	}
	return e;
}

void watches_refresh(struct watches *ws)
{
	double now = now_seconds();
	if (now - ws->found_at < FIND_S)
		return;
	ws->found_at = now;
	notice_ends(ws);
	if (ws->o->tree)
		find_tree(ws);
	if (ws->o->all || ws->o->match)
		find_python(ws);
	for (size_t i = 0; i < ws->v.n; i++)
		err_free(opened(ws, ws->v.v[i]));
}

bool watched_shown(const struct watched *w)
{
	return w->named || w->cap || w->looks[LOOK_LIVE][0].s;
}

struct watched *watched_find(const struct watches *ws, const char *key)
{
	struct watched *out = NULL;
	/* Of a PID that was used anew the later. */
	for (size_t i = 0; i < ws->v.n; i++)
		if (strcmp(ws->v.v[i]->key, key) == 0 && watched_shown(ws->v.v[i]))
			out = ws->v.v[i];
	return out;
}

/* Room for a look before the others of its kind. One that somebody pages through stays, where
 * another can go. */
static struct look *make_room(const struct watched *w, struct look *v)
{
	double now = now_seconds();
	size_t drop = LOOKS_KEPT - 1;
	for (size_t i = LOOKS_KEPT - 1; i >= 2 && v[drop].s && now - v[drop].used < KEEP_S; i--)
		if (v[i].used < v[drop].used)
			drop = i;
	look_free(w, &v[drop]);
	memmove(v + 1, v, drop * sizeof *v);
	v[0] = (struct look){ 0 };
	return v;
}

static err_t take(struct watches *ws, struct watched *w, enum look_kind kind)
{
	struct snapshot *s = NULL;
	double start = now_seconds();
	err_t e = opened(ws, w);
	if (!e)
		e = capture_take(w->cap, what_of[kind] | ws->o->no_pause, &s);
	if (err_code(e) == E_GONE)
		end(w);
	if (e)
		return e;
	snapshot_index(s);
	struct look *l = make_room(w, w->looks[kind]);
	double now = now_seconds();
	*l = (struct look){ .number = ++w->nlooks, .s = s, .at = now, .used = now };
	w->look_seconds += now - start;
	w->pause_seconds += s->paused_us > 0 ? (double)s->paused_us / 1e6 : 0;
	return NULL;
}

err_t watched_look(struct watches *ws, struct watched *w, enum look_kind kind, uint64_t number, const struct look **out)
{
	struct look *v = w->looks[kind];
	double now = now_seconds();
	*out = NULL;
	for (size_t i = 0; number && i < LOOKS_KEPT; i++)
		if (v[i].s && v[i].number == number) {
			v[i].used = now;
			*out = &v[i];
			return NULL;
		}
	bool fresh = v[0].s && (!w->pid || now - v[0].at < ws->o->interval);
	err_t e = fresh ? NULL : take(ws, w, kind);
	/* Of one that ended, the last look is what there is. */
	if (e && w->ended && v[0].s) {
		err_free(e);
		e = NULL;
	}
	if (e)
		return e;
	v[0].used = now;
	*out = &v[0];
	return NULL;
}

const struct look *watched_before(const struct watched *w, enum look_kind kind, const struct look *l)
{
	const struct look *v = w->looks[kind], *before = l + 1;
	return l >= v && before < v + LOOKS_KEPT && before->s ? before : NULL;
}

/* The commands' JSON over HTTP, and the metrics. */
#include "cmd/serve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/command.h"
#include "query/findings.h"
#include "query/resolve.h"
#include "show/answers.h"
#include "show/ended.h"
#include "show/json_types.h"
#include "show/list_look.h"
#include "show/metrics.h"
#include "show/tree.h"
#include "show/why.h"

#define NAME_MAX_LEN 32

/* What one request is about. */
struct api {
	struct watches *ws;
	struct watched *w;
	const struct look *look;
	struct snapshot view;
	struct args args;
	struct json *j;
};

static const struct option as_json = { "json", 0, NULL, NULL };

static bool listed(const char *name, const char *const *v)
{
	for (; v && *v; v++)
		if (strcmp(*v, name) == 0)
			return true;
	return false;
}

static const struct option *option_of(const struct args *a, const char *name)
{
	for (size_t i = 0; a->sets[i]; i++)
		for (const struct option *o = a->sets[i]; o->name; o++)
			if (strcmp(o->name, name) == 0)
				return o;
	return NULL;
}

static bool switched_on(const char *value)
{
	return !*value || strcmp(value, "1") == 0 || strcmp(value, "true") == 0 || strcmp(value, "yes") == 0;
}

static err_t give_field(struct args *a, const char *command, const struct field *f)
{
	const struct option *o = option_of(a, f->name);
	if (!o)
		return err_new(E_USAGE, "%s takes no field %s", command, f->name);
	/* A form sends those too that nobody filled in. */
	if (o->value)
		return *f->value ? args_give(a, o, f->value) : NULL;
	return switched_on(f->value) ? args_give(a, o, NULL) : NULL;
}

err_t args_of_fields(struct args *a, const char *command, const struct asked *q, const char *const *but)
{
	const struct command *cmd = command_find(command);
	size_t n = 0;
	command_sets(cmd, a);
	/* The common ones are of the program: the last of the sets. */
	while (a->sets[n])
		n++;
	a->sets[n - 1] = NULL;
	a->words = calloc(q->n + 1, sizeof *a->words);
	if (!a->words)
		return ERR_NOMEM;
	for (size_t i = 0; i < q->n; i++) {
		if (listed(q->v[i].name, but))
			continue;
		if (strcmp(q->v[i].name, "task") == 0 || strcmp(q->v[i].name, "id") == 0)
			a->words[a->nwords++] = q->v[i].value;
		else
			TRY(give_field(a, command, &q->v[i]));
	}
	return NULL;
}

/* ---- answers ---- */

static void head(struct api *x)
{
	json_answer(x->j);
	json_head(x->j, &x->view);
}

static err_t list(struct api *x, const struct list_kind *kind, struct rows rows, bool loops)
{
	struct list l = { 0 };
	struct tallies t = { 0 };
	bool grouped = opt_given(&x->args, "group-by");
	err_t e = list_check(kind, &x->args);
	if (!e)
		e = list_make(&l, kind, &x->view, rows);
	if (!e)
		e = list_query(&l, &x->args, &t);
	if (!e) {
		list_say_unjudged(&x->view, l.unjudged, kind->noun);
		if (!grouped)
			list_say_cut(&x->view, &l);
		head(x);
		if (loops) {
			json_key(x->j, "loops");
			json_loops(x->j, &x->view);
		}
		json_rows(x->j, &l, grouped ? &t : NULL, opt_value(&x->args, "group-by"));
	}
	tallies_free(&t);
	list_free(&l);
	return e;
}

static err_t ps(struct api *x)
{
	const struct snapshot *s = &x->view;
	return list(x, &list_tasks, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }, true);
}

static err_t ps_terminated(struct api *x)
{
	const struct snapshot *s = &x->view;
	TRY(ended_check(s));
	return list(x, &list_ended, (struct rows){ s->ended, s->nended, sizeof *s->ended }, false);
}

static err_t where_terminated(struct api *x)
{
	const struct ended *t = NULL;
	if (x->args.nwords != 1)
		return err_new(E_USAGE, "where-terminated takes one field id");
	TRY(ended_check(&x->view));
	TRY(resolve_ended(&x->view, x->args.words[0], &t));
	list_say_cut(&x->view, &(struct list){ .kind = &list_ended, .rows = (const void **)&t, .n = 1 });
	head(x);
	json_key(x->j, "terminated");
	json_array(x->j);
	json_ended_whole(x->j, t);
	json_array_end(x->j);
	return NULL;
}

static err_t tree(struct api *x)
{
	struct tree g = { 0 };
	struct selection sel;
	err_t e = selection_parse(&sel, &x->args);
	if (!e)
		e = tree_make(&g, &x->view, &x->args, false);
	if (!e) {
		list_say_unjudged(&x->view, g.unjudged, "tasks");
		head(x);
		e = json_tree(x->j, &g);
	}
	tree_free(&g);
	return e;
}

/* The tasks of the words; the caller frees *out. */
static err_t tasks_of(const struct api *x, const struct task ***out, size_t *n)
{
	*n = x->args.nwords;
	*out = calloc(*n + 1, sizeof **out);
	return *out ? resolve_tasks(&x->view, x->args.words, n, *out) : ERR_NOMEM;
}

static err_t where(struct api *x)
{
	struct coalesced each = { 0 };
	const struct task **tasks = NULL;
	size_t n = 0;
	if (!x->args.nwords)
		return err_new(E_USAGE, "where takes fields task: an id, #serial or exact name");
	err_t e = tasks_of(x, &tasks, &n);
	if (!e) {
		const struct list l = { .kind = &list_tasks, .snap = &x->view, .rows = (const void **)tasks, .n = n,
					.total = x->view.ntasks };
		list_say_cut(&x->view, &l);
		head(x);
		json_where(x->j, &l, &each);
	}
	free(tasks);
	return e;
}

static err_t why_of(struct api *x, const struct why *y)
{
	const struct task **tasks = NULL;
	size_t n = 0;
	uint32_t *v = calloc(x->args.nwords + 1, sizeof *v);
	err_t e = v ? tasks_of(x, &tasks, &n) : ERR_NOMEM;
	for (size_t i = 0; !e && i < n; i++)
		v[i] = (uint32_t)(tasks[i] - x->view.tasks);
	if (!e) {
		head(x);
		if (n)
			json_why_chains(x->j, y, v, n);
		else
			json_why_roots(x->j, y);
	}
	free(v);
	free(tasks);
	return e;
}

static err_t why(struct api *x)
{
	struct why y;
	struct keeps k = { 0 };
	err_t e;
	if (!opt_given(&x->args, "exit")) {
		e = why_make(&y, &x->view);
		if (!e)
			e = why_of(x, &y);
		why_free(&y);
		return e;
	}
	e = keeps_make(&k, x->view.arena, &x->view);
	if (!e) {
		head(x);
		json_keeps(x->j, &k);
	}
	vec_free(&k);
	return e;
}

static err_t stacktrace(struct api *x)
{
	if (opt_given(&x->args, "coalesce"))
		return err_new(E_USAGE, "stacktrace has no coalesce over HTTP");
	head(x);
	json_threads(x->j, &x->view, NULL);
	return NULL;
}

err_t findings_of(const struct watched *w, const struct look *l, struct snapshot *view)
{
	const struct look *before = watched_before(w, LOOK_DONE, l);
	const struct snapshot *was = before ? before->s : NULL;
	if (!was && w->pid)
		snapshot_note(view, "There is no look before this one: what only time tells is not judged.");
	return findings_make(view, was, &(struct findings_opts){ .apart = was ? view->taken_at - was->taken_at : 0 });
}

static err_t check(struct api *x)
{
	TRY(findings_of(x->w, x->look, &x->view));
	head(x);
	json_findings(x->j, &x->view);
	return NULL;
}

static enum look_kind live(const struct args *a) { (void)a; return LOOK_LIVE; }
static enum look_kind done(const struct args *a) { (void)a; return LOOK_DONE; }
static enum look_kind whole(const struct args *a) { (void)a; return LOOK_WHOLE; }
static enum look_kind native(const struct args *a) { return opt_given(a, "native") ? LOOK_NATIVE : LOOK_LIVE; }

static enum look_kind all(const struct args *a)
{
	const unsigned states = 1u << TASK_FINISHED | 1u << TASK_FAILED | 1u << TASK_CANCELLED;
	struct selection sel = { 0 };
	err_free(selection_parse(&sel, a));
	return opt_given(a, "all") || sel.states & states ? LOOK_DONE : LOOK_LIVE;
}

static const struct { const char *name; enum look_kind (*kind)(const struct args *a); err_t (*answer)(struct api *x); } apis[] = {
	{ "ps", all, ps },
	{ "tree", live, tree },
	{ "where", whole, where },
	{ "ps-terminated", live, ps_terminated },
	{ "where-terminated", live, where_terminated },
	{ "stacktrace", native, stacktrace },
	{ "check", done, check },
	{ "why", live, why },
};
#define APIS (sizeof apis / sizeof *apis)

/* ---- requests ---- */

/* One target's answer, or nothing where it fails. */
static err_t answer_one(struct watches *ws, struct watched *w, size_t api, const struct asked *a, struct json *j)
{
	struct api x = { .ws = ws, .w = w, .j = j };
	struct json before = *j;
	size_t len = j->out->b.len;
	err_t e = args_of_fields(&x.args, apis[api].name, a, NULL);
	if (!e)
		e = args_give(&x.args, &as_json, NULL);
	if (!e)
		e = watched_look(ws, w, apis[api].kind(&x.args), 0, &x.look);
	if (!e)
		e = snapshot_view(x.look->s, &x.view);
	if (!e)
		e = apis[api].answer(&x);
	if (!e) {
		json_object_end(j);
	} else if (j->out->b.s) {
		j->out->b.s[j->out->b.len = len] = '\0';
		*j = before;
	}
	snapshot_view_end(&x.view);
	args_free(&x.args);
	return e;
}

static err_t answer_all(struct watches *ws, size_t api, const struct asked *a, struct json *j)
{
	json_answer(j);
	json_key(j, "answers");
	json_array(j);
	for (size_t i = 0; i < ws->v.n; i++) {
		struct watched *w = ws->v.v[i];
		err_t e = watched_shown(w) ? answer_one(ws, w, api, a, j) : NULL;
		if (err_code(e) == E_USAGE)
			return e;
		if (!e)
			continue;
		json_answer(j);
		json_key(j, "of");
		json_str(j, w->word);
		json_error(j, e);
		json_object_end(j);
		err_free(e);
	}
	json_array_end(j);
	json_object_end(j);
	return NULL;
}

/* What is watched. */
static void targets(struct watches *ws, struct json *j)
{
	json_answer(j);
	json_key(j, "targets");
	json_array(j);
	for (size_t i = 0; i < ws->v.n; i++) {
		const struct watched *w = ws->v.v[i];
		if (!watched_shown(w))
			continue;
		json_object(j);
		json_key(j, "key");
		json_str(j, w->key);
		json_key(j, "kind");
		json_str(j, w->pid ? "process" : "file");
		json_key(j, "command");
		json_str(j, w->command);
		json_key(j, "ended");
		json_bool(j, w->ended);
		json_key(j, "trouble");
		json_str(j, w->trouble);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static size_t api_find(const char *name)
{
	size_t i = 0;
	while (i < APIS && strcmp(apis[i].name, name) != 0)
		i++;
	return i;
}

static err_t dispatch(struct watches *ws, const struct asked *a, struct json *j)
{
	static const char version[] = "/api/1/";
	char key[NAME_MAX_LEN];
	if (strncmp(a->path, version, sizeof version - 1) != 0)
		return err_new(E_NOTFOUND, "the addresses of answers begin with %s", version);
	const char *rest = a->path + sizeof version - 1, *slash = strchr(rest, '/');
	if (strcmp(rest, "targets") == 0) {
		targets(ws, j);
		return NULL;
	}
	if (!slash)
		return api_find(rest) < APIS ? answer_all(ws, api_find(rest), a, j) : err_new(E_NOTFOUND, "there is no %s", rest);
	snprintf(key, sizeof key, "%.*s", (int)(slash - rest < NAME_MAX_LEN ? slash - rest : NAME_MAX_LEN - 1), rest);
	struct watched *w = watched_find(ws, key);
	if (!w)
		return err_new(E_NOTFOUND, "%s is no target that is watched", key);
	size_t api = api_find(slash + 1);
	return api < APIS ? answer_one(ws, w, api, a, j) : err_new(E_NOTFOUND, "there is no %s", slash + 1);
}

void serve_api(struct watches *ws, const struct asked *a, struct reply *r)
{
	struct out out = { .fd = -1 };
	struct json j = { .out = &out };
	err_t e = dispatch(ws, a, &j);
	json_end(&j);
	r->body = out.b;
	snprintf(r->type, sizeof r->type, "application/json");
	if (e)
		reply_error(r, a, e);
}

/* ---- metrics ---- */

static bool measure(struct watches *ws, struct watched *w, struct measured *m)
{
	const struct look *l = NULL;
	*m = (struct measured){ .key = w->key };
	err_t e = w->ended ? err_new(E_GONE, "ended") : watched_look(ws, w, LOOK_DONE, 0, &l);
	if (!e)
		e = snapshot_view(l->s, &m->s);
	if (!e)
		e = findings_of(w, l, &m->s);
	if (!e)
		e = why_make(&m->why, &m->s);
	m->looks = w->nlooks;
	m->look_seconds = w->look_seconds;
	m->pause_seconds = w->pause_seconds;
	bool fine = !e;
	err_free(e);
	return fine;
}

void serve_metrics(struct watches *ws, const struct asked *a, struct reply *r)
{
	struct out out = { .fd = -1 };
	struct measured *v = calloc(ws->v.n + 1, sizeof *v);
	size_t n = 0;
	for (size_t i = 0; v && i < ws->v.n; i++) {
		struct watched *w = ws->v.v[i];
		if (!watched_shown(w))
			continue;
		if (measure(ws, w, &v[n]))
			n++;
		else
			measured_end(&v[n]);
	}
	if (v)
		metrics_write(&out, v, n, a->openmetrics);
	for (size_t i = 0; i < n; i++)
		measured_end(&v[i]);
	free(v);
	r->body = out.b;
	snprintf(r->type, sizeof r->type, "%s", a->openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						       : "text/plain; version=0.0.4; charset=utf-8");
	if (!v)
		reply_error(r, a, ERR_NOMEM);
}

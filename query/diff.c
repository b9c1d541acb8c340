#include "query/diff.h"

#include <stdlib.h>
#include <string.h>

static bool alive(const struct task *t)
{
	return t->state == TASK_RUNNING || t->state == TASK_RUNNABLE || t->state == TASK_WAITING;
}

/* ---- which tasks are the same ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* "Task-17": the name that asyncio gives, of numbers that only rise. */
static bool numbered(const char *name)
{
	return name && strncmp(name, "Task-", 5) == 0 && name[5] && !name[5 + strspn(name + 5, "0123456789")];
}

static bool same_task(const struct task *a, const struct task *b)
{
	if (a->serial >= 0 && b->serial >= 0)
		return a->serial == b->serial;
	return a->id == b->id && a->coro_id == b->coro_id && same_text(a->coro, b->coro) &&
	       !(numbered(a->name) && numbered(b->name) && strcmp(a->name, b->name) != 0);
}

/* Serials of one agent count on; another one, in another process, begins anew. */
static bool same_process(const struct snapshot *old, const struct snapshot *now)
{
	return old->pid == now->pid && same_text(old->exe, now->exe) && strcmp(old->python, now->python) == 0;
}

err_t diff_match(const struct snapshot *old, const struct snapshot *now, uint32_t *before, bool *gone)
{
	struct map by_id = { 0 }, by_serial = { 0 };
	bool same = same_process(old, now), fine = true;
	for (size_t i = 0; i < old->ntasks && fine; i++) {
		const struct task *t = &old->tasks[i];
		gone[i] = alive(t);
		if (!alive(t) || !same)
			continue;
		fine = !t->id || map_set(&by_id, t->id, i + 1);
		if (t->serial >= 0)
			fine = map_set(&by_serial, (uint64_t)t->serial + 1, i + 1) && fine;
	}
	for (size_t i = 0; i < now->ntasks && fine; i++) {
		const struct task *t = &now->tasks[i];
		uint64_t at = 0;
		before[i] = 0;
		if (!alive(t))
			continue;
		if ((t->serial < 0 || !map_get(&by_serial, (uint64_t)t->serial + 1, &at)) && !map_get(&by_id, t->id, &at))
			continue;
		if (same_task(&old->tasks[at - 1], t) && gone[at - 1]) {
			before[i] = (uint32_t)at;
			gone[at - 1] = false;
		}
	}
	map_free(&by_id);
	map_free(&by_serial);
	return fine ? NULL : ERR_NOMEM;
}

/* ---- what grew ---- */

struct trait { const char *key, *value; bool now; };
struct traits VEC(struct trait);

static const char *const keys[] = { "coro", "created", "waiting", "holding" };

static bool add_trait(struct traits *v, int key, const char *value, bool now)
{
	return !value || vec_push(v, (struct trait){ keys[key], value, now });
}

/* "/srv/disk.py:88"; NULL: not known. */
static const char *place_of(struct arena *a, const struct task *t)
{
	const struct frame *f = created_at(t->created);
	return f && f->file ? arena_fmt(a, "%s:%d", f->file, f->line) : NULL;
}

/* A task inside of two of one class counts once. */
static bool add_held(struct traits *v, const struct task *t, bool now)
{
	bool fine = true;
	for (size_t i = 0; i < t->stack.ncontexts && fine; i++) {
		const struct context *c = &t->stack.contexts[i];
		bool counted = c->entering;
		for (size_t k = 0; k < i && !counted; k++)
			counted = !t->stack.contexts[k].entering && same_text(t->stack.contexts[k].type, c->type);
		fine = counted || add_trait(v, 3, c->type, now);
	}
	return fine;
}

static bool add_traits(struct traits *v, struct arena *a, const struct snapshot *s, bool now)
{
	bool fine = true;
	for (size_t i = 0; i < s->ntasks && fine; i++) {
		const struct task *t = &s->tasks[i];
		if (alive(t))
			fine = add_trait(v, 0, task_body(t), now) && add_trait(v, 1, place_of(a, t), now) &&
			       add_trait(v, 2, t->wait ? wait_kind_name(t->wait->kind) : NULL, now) && add_held(v, t, now);
	}
	return fine;
}

static int by_trait(const void *a, const void *b)
{
	const struct trait *x = a, *y = b;
	int key = strcmp(x->key, y->key);
	return key ? key : strcmp(x->value, y->value);
}

static int by_growth(const void *a, const void *b)
{
	const struct grown *x = a, *y = b;
	size_t gx = x->now - x->old, gy = y->now - y->old;
	int key = strcmp(x->key, y->key);
	return gx != gy ? (gx < gy ? 1 : -1) : key ? key : strcmp(x->value, y->value);
}

static bool find_grown(struct diff *d)
{
	struct traits v = { 0 };
	bool fine = add_traits(&v, d->arena, d->old, false) && add_traits(&v, d->arena, d->now, true);
	if (fine && v.n)
		qsort(v.v, v.n, sizeof *v.v, by_trait);
	for (size_t i = 0, end; i < v.n && fine; i = end) {
		struct grown g = { .key = v.v[i].key, .value = v.v[i].value };
		for (end = i; end < v.n && by_trait(&v.v[i], &v.v[end]) == 0; end++)
			++*(v.v[end].now ? &g.now : &g.old);
		if (g.now > g.old)
			fine = vec_push(&d->grew, g);
	}
	if (fine && d->grew.n)
		qsort(d->grew.v, d->grew.n, sizeof *d->grew.v, by_growth);
	vec_free(&v);
	return fine;
}

/* ---- what moved ---- */

static int by_maker(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;
	int coro = strcmp(x->coro, y->coro);
	return coro ? coro : strcmp(x->place ? x->place : "", y->place ? y->place : "");
}

static int by_movement(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;
	size_t mx = x->came + x->went, my = y->came + y->went;
	return mx != my ? (mx < my ? 1 : -1) : by_maker(a, b);
}

static struct moved one(struct diff *d, const struct task *t)
{
	return (struct moved){ .coro = task_body(t) ? task_body(t) : "?", .place = place_of(d->arena, t) };
}

static bool find_moved(struct diff *d, const uint32_t *before, const bool *gone)
{
	bool fine = true;
	size_t n = 0;
	for (size_t i = 0; i < d->old->ntasks && fine; i++) {
		struct moved m = one(d, &d->old->tasks[i]);
		m.old = 1;
		m.went = gone[i];
		fine = !alive(&d->old->tasks[i]) || vec_push(&d->moved, m);
		if (gone[i])
			fine = vec_push(&d->went, (uint32_t)i) && fine;
	}
	for (size_t i = 0; i < d->now->ntasks && fine; i++) {
		struct moved m = one(d, &d->now->tasks[i]);
		if (!alive(&d->now->tasks[i]))
			continue;
		m.now = 1;
		m.came = !before[i];
		fine = vec_push(&d->moved, m) && (before[i] || vec_push(&d->came, (uint32_t)i));
	}
	if (!fine || !d->moved.n)
		return fine;
	struct moved *v = d->moved.v;
	qsort(v, d->moved.n, sizeof *v, by_maker);
	for (size_t i = 0, end; i < d->moved.n; i = end) {
		struct moved m = v[i];
		for (end = i + 1; end < d->moved.n && by_maker(&v[i], &v[end]) == 0; end++) {
			m.old += v[end].old;
			m.now += v[end].now;
			m.came += v[end].came;
			m.went += v[end].went;
		}
		if (m.came || m.went)
			v[n++] = m;
	}
	d->moved.n = n;
	if (n)
		qsort(v, n, sizeof *v, by_movement);
	return true;
}

err_t diff_make(struct diff *d, const struct snapshot *old, const struct snapshot *now)
{
	*d = (struct diff){ .old = old, .now = now, .apart = now->taken_at - old->taken_at, .arena = arena_new(),
			    .same_process = same_process(old, now) };
	uint32_t *before = calloc(now->ntasks + 1, sizeof *before);
	bool *gone = calloc(old->ntasks + 1, sizeof *gone);
	err_t e = before && gone && d->arena ? diff_match(old, now, before, gone) : ERR_NOMEM;
	if (!e && !(find_moved(d, before, gone) && find_grown(d) && !arena_failed(d->arena)))
		e = ERR_NOMEM;
	free(before);
	free(gone);
	return e;
}

void diff_free(struct diff *d)
{
	vec_free(&d->came);
	vec_free(&d->went);
	vec_free(&d->grew);
	vec_free(&d->moved);
	arena_free(d->arena);
}

/* Waits for several futures at once (gather, wait) or for one behind another (shield):
 * how many there are, how many are not done, and which tasks are to end before they are.
 * A child may be any future, a gather or a shield of others among them. */
#include "tasks/waits.h"

#include <stdlib.h>
#include <string.h>

#define CHILDREN_MAX (1 << 20)
#define CALLBACKS_MAX 16

/* The members of a set, dict (its keys), list or tuple. */
static void members(struct walk *w, uint64_t container, struct addrs *out)
{
	struct set_iter set;
	struct dict_iter dict;
	uint64_t key, value;
	int64_t n = seq_len(&w->r, container);
	size_t first = out->n;
	for (int64_t i = 0; i < n && i < CHILDREN_MAX; i++)
		if (!addrs_add(out, seq_item(&w->r, container, i)))
			w->nomem = true;
	if (n < 0 && set_begin(&w->r, container, &set))
		while (out->n - first < CHILDREN_MAX && set_next(&w->r, &set, &key))
			w->nomem |= !addrs_add(out, key);
	else if (n < 0 && dict_begin(&w->r, container, &dict))
		while (out->n - first < CHILDREN_MAX && dict_next(&w->r, &dict, &key, &value))
			w->nomem |= !addrs_add(out, key);
	w->cut_lists += n > CHILDREN_MAX || out->n - first == CHILDREN_MAX;
}

uint64_t gather_children(struct walk *w, uint64_t f)
{
	const struct type_info *t = object_type(&w->r, f);
	if (!t || strcmp(type_short_name(&w->r, t), "_GatheringFuture") != 0)
		return 0;
	return attr_get(&w->r, f, "_children");
}

uint64_t shield_inner(struct walk *w, uint64_t f)
{
	struct callback_iter it;
	uint64_t cb;
	callbacks_begin(w, f, &it);
	for (int n = 0; n < CALLBACKS_MAX && callbacks_next(w, &it, &cb); n++)
		if (object_kind(&w->r, cb) == KIND_FUNCTION &&
		    str_is(&w->r, field_at(&w->r, cb, w->r.l->function_name), "_outer_done_callback") &&
		    str_is(&w->r, field_at(&w->r, cb, w->r.l->function_module), "asyncio.tasks"))
			return closure_get(w, cb, "inner");
	return 0;
}

/* What is behind a set of futures: tasks, and threads that run calls. */
struct behind { struct addrs tasks; struct VEC(pid_t) threads; };

static void thread_behind(struct walk *w, uint64_t future, struct behind *out)
{
	const struct job *job = walk_job(w, future_source(w, future));
	if (job && job->thread && !vec_push(&out->threads, job->thread))
		w->nomem = true;
}

/* The pending ones: `todo` grows while it is gone through. */
static void look_behind(struct walk *w, struct addrs *todo, struct map *seen, struct behind *out)
{
	for (size_t i = 0; i < todo->n && todo->n < CHILDREN_MAX; i++) {
		uint64_t f = todo->v[i];
		enum type_kind kind = object_kind(&w->r, f);
		if (!is_future(kind) || !map_add(seen, f, 1) || future_state(w, f) != FUTURE_PENDING)
			continue;
		if (is_task(kind)) {
			w->nomem |= !addrs_add(&out->tasks, f);
			continue;
		}
		uint64_t inside = gather_children(w, f);
		if (inside)
			members(w, inside, todo);
		else if ((inside = shield_inner(w, f)))
			w->nomem |= !addrs_add(todo, inside);
		else
			thread_behind(w, f, out);
	}
}

/* Looks behind the futures in `todo`, which it frees. */
static void set_behind(struct waiting *x, struct addrs *todo)
{
	struct behind found = { 0 };
	struct map seen = { 0 };
	struct wait *wait = x->wait;
	look_behind(x->w, todo, &seen, &found);
	wait->ntasks = found.tasks.n;
	wait->tasks = walk_keep(x->w, found.tasks.v, &wait->ntasks, sizeof *found.tasks.v);
	wait->nthreads = found.threads.n;
	wait->threads = walk_keep(x->w, found.threads.v, &wait->nthreads, sizeof *found.threads.v);
	map_free(&seen);
	vec_free(&found.threads);
	free(found.tasks.v);
	free(todo->v);
}

void tasks_among(struct waiting *x, uint64_t container)
{
	struct addrs todo = { 0 };
	members(x->w, container, &todo);
	set_behind(x, &todo);
}

/* gather() names a future as often as it was given it, and waits for it once. */
static void count(struct waiting *x, const struct addrs *children)
{
	struct map seen = { 0 };
	int64_t total = 0, left = 0;
	bool unknown = false;
	for (size_t i = 0; i < children->n; i++) {
		if (!map_add(&seen, children->v[i], 1))
			continue;
		enum future_state state = future_state(x->w, children->v[i]);
		total++;
		left += state == FUTURE_PENDING;
		unknown |= state == FUTURE_UNKNOWN;
	}
	x->wait->total = total;
	x->wait->left = unknown ? -1 : left;
	map_free(&seen);
}

bool children_of(struct waiting *x, uint64_t container)
{
	struct addrs children = { 0 };
	if (items_in(&x->w->r, container) < 0)
		return false;
	members(x->w, container, &children);
	count(x, &children);
	free(children.v);
	tasks_among(x, container);
	if (x->wait->left >= 0)
		x->wait->detail = arena_fmt(x->w->arena, "%lld of %lld left", (long long)x->wait->left,
					    (long long)x->wait->total);
	else
		x->wait->detail = arena_fmt(x->w->arena, "%lld futures", (long long)x->wait->total);
	return true;
}

/* Lib/asyncio/tasks.py: _wait(fs, …) counts those that are not done in `counter`. */
bool describe_wait(struct waiting *x)
{
	x->wait->id = x->t->fut_waiter;
	children_of(x, x->thing);
	return true;
}

/* Until the inner future is done, whatever becomes of the task that waits here. */
bool by_shield(struct waiting *x, uint64_t f)
{
	uint64_t inner = shield_inner(x->w, f);
	struct addrs todo = { 0 };
	if (!inner)
		return false;
	x->wait->kind = WAIT_SHIELD;
	x->wait->id = f;
	if (!addrs_add(&todo, inner))
		x->w->nomem = true;
	set_behind(x, &todo);
	return true;
}

bool by_gather(struct waiting *x, uint64_t f)
{
	uint64_t children = gather_children(x->w, f);
	if (!children)
		return false;
	x->wait->kind = WAIT_GATHER;
	x->wait->id = f;
	return children_of(x, children);
}

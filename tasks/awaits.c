/* Who awaits whom: a task awaits what its fut_waiter is, and what that future's completion
 * comes from: the done-callbacks that asyncio's own gather, wait, wait_for, shield and task
 * groups leave on their children name the future or task they report to.
 *
 * 3.14 and later also keep it (Future._asyncio_awaited_by), which knows of awaits that
 * leave no callback. But gather() and shield() enter the task that calls them there, and
 * leave it there when another one awaits what they return, or none does: for their
 * children the callbacks alone are asked. */
#include "tasks/walk.h"

#include <stdlib.h>
#include <string.h>

/* Futures passed on the way from tasks to those that await them, all in all: a few a
 * task, but a shared one may have as many as there are tasks. */
#define CLIMB_MAX (1u << 24)
#define CELLS_MAX 64

struct climb {
	struct addrs todo;       /* futures still to be looked at */
	struct map seen;
	struct addrs tasks;      /* the tasks found */
	size_t steps;            /* of CLIMB_MAX, over all tasks */
};

/* False when it is enough, which is said then. */
static bool climb_step(struct walk *w, struct climb *c)
{
	if (c->steps < CLIMB_MAX)
		c->steps++;
	else
		w->cut_awaits = true;
	return !w->cut_awaits;
}

static void reach(struct walk *w, struct climb *c, uint64_t f)
{
	if (!f || !climb_step(w, c) || !map_add(&c->seen, f, 1))
		return;
	bool task = map_get(&w->task_index, f, NULL) || is_task(object_kind(&w->r, f));
	if (!addrs_add(task ? &c->tasks : &c->todo, f))
		w->nomem = true;
}

/* Inner functions of gather() and shield(), in Lib/asyncio/tasks.py. */
static bool of_gather_or_shield(struct walk *w, uint64_t cb)
{
	static const char *const names[] = { "_done_callback", "_inner_done_callback" };
	if (object_kind(&w->r, cb) != KIND_FUNCTION ||
	    !str_is(&w->r, field_at(&w->r, cb, w->r.l->function_module), "asyncio.tasks"))
		return false;
	uint64_t name = field_at(&w->r, cb, w->r.l->function_name);
	return str_is(&w->r, name, names[0]) || str_is(&w->r, name, names[1]);
}

/* 3.14+: one awaiter, or a set of them. */
static void reach_awaited_by(struct walk *w, struct climb *c, uint64_t f)
{
	const struct py_layout *l = w->r.l;
	if (l->future_awaited_by < 0)
		return;
	uint64_t by = future_field(w, f, l->future_awaited_by, "_Future__asyncio_awaited_by");
	if (!by)
		return;
	struct set_iter it;
	uint64_t key;
	if (object_kind(&w->r, by) != KIND_SET) {
		reach(w, c, by);
		return;
	}
	if (!set_begin(&w->r, by, &it)) {
		walk_torn(w, "a set of awaiters could not be read");
		return;
	}
	while (set_next(&w->r, &it, &key))
		reach(w, c, key);
	if (it.broken)
		walk_torn(w, "a set of awaiters is being changed");
}

/* fut_waiter turned round; several tasks may wait for one future. */
struct waiter { uint64_t task; size_t next; };
struct waiters { struct waiter *v; size_t n, cap; struct map head; };

static bool waiters_build(struct walk *w, struct waiters *ws)
{
	ws->v = calloc(w->s->ntasks + 1, sizeof *ws->v);
	if (!ws->v)
		return false;
	for (size_t i = 0; i < w->s->ntasks; i++) {
		uint64_t f = w->s->tasks[i].fut_waiter, head = 0;
		if (!f)
			continue;
		map_get(&ws->head, f, &head);
		ws->v[++ws->n] = (struct waiter){ w->s->tasks[i].id, (size_t)head };
		if (!map_set(&ws->head, f, ws->n))
			return false;
	}
	return true;
}

static bool reports_to_cells(struct walk *w, uint64_t function)
{
	/* Inner functions of Lib/asyncio/tasks.py that complete what their caller waits for. */
	static const char *const names[] = { "_done_callback", "_on_completion", "_inner_done_callback" };
	if (!str_is(&w->r, field_at(&w->r, function, w->r.l->function_module), "asyncio.tasks"))
		return false;
	uint64_t name = field_at(&w->r, function, w->r.l->function_name);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_is(&w->r, name, names[i]))
			return true;
	return false;
}

uint64_t closure_get(struct walk *w, uint64_t function, const char *name)
{
	const struct py_layout *l = w->r.l;
	uint64_t code = field_at(&w->r, function, l->function_code);
	uint64_t closure = field_at(&w->r, function, l->function_closure);
	bool plus = l->code_localsplusnames >= 0;
	uint64_t names = field_at(&w->r, code, plus ? l->code_localsplusnames : l->code_freevars);
	int64_t n = seq_len(&w->r, names), free_n = seq_len(&w->r, closure);
	/* Free variables come last among the names of all slots. */
	for (int64_t i = 0; i < free_n && i < n; i++)
		if (str_is(&w->r, seq_item(&w->r, names, n - free_n + i), name))
			return field_at(&w->r, seq_item(&w->r, closure, i), l->cell_ref);
	return 0;
}

/* as_completed() hands results on through a queue: to those who wait for an item. */
static void reach_getters(struct walk *w, struct climb *c, uint64_t queue)
{
	struct deque_iter it;
	uint64_t f;
	if (!deque_begin(&w->r, attr_get(&w->r, queue, "_getters"), &it))
		return;
	while (climb_step(w, c) && deque_next(&w->r, &it, &f))
		if (is_future(object_kind(&w->r, f)))
			reach(w, c, f);
}

static void reach_waiters(struct walk *w, struct climb *c, const struct waiters *ws, uint64_t f)
{
	uint64_t head = 0;
	map_get(&ws->head, f, &head);
	for (size_t i = head, n = 0; i && n <= ws->n; i = ws->v[i].next, n++)
		reach(w, c, ws->v[i].task);
}

static void reach_callback(struct walk *w, struct climb *c, uint64_t cb)
{
	const struct py_layout *l = w->r.l;
	switch (object_kind(&w->r, cb)) {
	case KIND_FUNCTION: {
		if (!reports_to_cells(w, cb)) {
			reach(w, c, group_owner(w, group_of_callback(w, cb)));
			return;
		}
		uint64_t closure = field_at(&w->r, cb, l->function_closure);
		int64_t n = seq_len(&w->r, closure);
		for (int64_t i = 0; i < n && i < CELLS_MAX; i++) {
			uint64_t v = field_at(&w->r, seq_item(&w->r, closure, i), l->cell_ref);
			enum type_kind k = object_kind(&w->r, v);
			if (is_future(k) && !is_task(k))
				reach(w, c, v);
			else if (k == KIND_OTHER)
				reach_getters(w, c, v);
		}
		return;
	}
	case KIND_PARTIAL: { /* functools.partial: fn, args after the header */
		uint64_t fn = field_at(&w->r, cb, l->object_size);
		uint64_t args = field_at(&w->r, cb, l->object_size + 8);
		if (str_is(&w->r, field_at(&w->r, fn, l->function_name), "_release_waiter") &&
		    str_is(&w->r, field_at(&w->r, fn, l->function_module), "asyncio.tasks"))
			reach(w, c, seq_item(&w->r, args, 0));
		return;
	}
	case KIND_METHOD: { /* TaskGroup and its like */
		uint64_t fn = field_at(&w->r, cb, l->method_function);
		uint64_t name = field_at(&w->r, fn, l->function_name), self = field_at(&w->r, cb, l->method_self);
		if (str_is(&w->r, name, "_on_task_done"))
			reach(w, c, attr_get(&w->r, self, "_parent_task"));
		else if (str_is(&w->r, name, "_handle_completion")) /* as_completed(), 3.13 */
			reach_getters(w, c, attr_get(&w->r, self, "_done"));
		return;
	}
	default:
		return;
	}
}

static void expand(struct walk *w, struct climb *c, const struct waiters *ws, uint64_t f)
{
	struct callback_iter it;
	uint64_t cb;
	bool kept = true;
	reach_waiters(w, c, ws, f);
	callbacks_begin(w, f, &it);
	while (climb_step(w, c) && callbacks_next(w, &it, &cb)) {
		reach_callback(w, c, cb);
		kept = kept && !of_gather_or_shield(w, cb);
	}
	if (kept)
		reach_awaited_by(w, c, f);
}

static int by_address(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

void walk_awaits(struct walk *w)
{
	struct waiters ws = { 0 };
	if (!waiters_build(w, &ws))
		w->nomem = true;
	struct climb c = { 0 };
	for (size_t i = 0; i < w->s->ntasks && !walk_stop(w); i++) {
		struct task *t = &w->s->tasks[i];
		c.todo.n = c.tasks.n = 0;
		if (c.seen.n > 64)
			map_free(&c.seen);
		else if (c.seen.slots)
			memset(c.seen.slots, 0, (c.seen.mask + 1) * 2 * sizeof *c.seen.slots), c.seen.n = 0;
		expand(w, &c, &ws, t->id);
		for (size_t k = 0; k < c.todo.n; k++)
			expand(w, &c, &ws, c.todo.v[k]);
		if (!c.tasks.n)
			continue;
		/* In order of address: the same answer from every look. */
		qsort(c.tasks.v, c.tasks.n, sizeof *c.tasks.v, by_address);
		t->nawaited_by = c.tasks.n;
		t->awaited_by = walk_keep(w, c.tasks.v, &t->nawaited_by, sizeof *c.tasks.v);
	}
	free(ws.v);
	map_free(&ws.head);
	map_free(&c.seen);
	free(c.todo.v);
	free(c.tasks.v);
}

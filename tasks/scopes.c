/* Cancel scopes: libraries that cancel a part of what a task does by asking the task to
 * cancel and catching that. Their requests may stay counted in the task for ever (anyio 3 on
 * Python 3.11 and later), so that its count alone does not say that somebody wants it to end. */
#include "tasks/walk.h"

#define TASKS_MAX (1 << 20)

/* Modules that ask tasks to cancel for a part of them only. */
static const char *const libraries[] = { "anyio", "async_timeout", "aiohttp", "aiotools", "quattro" };

/* anyio._backends._asyncio._task_states: a WeakKeyDictionary of the tasks that have entered
 * a scope, or were started in a task group. */
static void anyio_tasks(struct walk *w, size_t interp)
{
	uint64_t module = walk_module_dict(w, interp, "anyio._backends._asyncio"), key, value, i;
	struct dict_iter it;
	if (!module || !dict_begin(&w->r, attr_get(&w->r, dict_get(&w->r, module, "_task_states"), "data"), &it))
		return;
	for (int n = 0; n < TASKS_MAX && dict_next(&w->r, &it, &key, &value); n++)
		if (map_get(&w->task_index, weakref_get(&w->r, key), &i))
			w->s->tasks[i - 1].scoped = true;
}

void walk_scopes(struct walk *w)
{
	for (size_t i = 0; i < w->interps.n && !walk_stop(w); i++) {
		for (size_t k = 0; k < sizeof libraries / sizeof *libraries && !w->s->scopes; k++)
			if (walk_module(w, i, libraries[k]))
				w->s->scopes = libraries[k];
		anyio_tasks(w, i);
	}
}

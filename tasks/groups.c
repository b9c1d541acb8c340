/* Task groups, by the callback that a group leaves on its children: a bound method
 * named _on_task_done whose self is the group (asyncio.TaskGroup and aiotools'
 * TaskContext, TaskScope, Supervisor and PersistentTaskGroup), or anyio's function
 * task_done, made in TaskGroup._spawn(), with the group in its closure. */
#include "tasks/walk.h"

#include <stdlib.h>
#include <string.h>

uint64_t group_of_callback(struct walk *w, uint64_t cb)
{
	const struct py_layout *l = w->r.l;
	enum type_kind kind = object_kind(&w->r, cb);
	if (kind == KIND_METHOD) {
		uint64_t fn = field_at(&w->r, cb, l->method_function);
		return str_is(&w->r, field_at(&w->r, fn, l->function_name), "_on_task_done")
			? field_at(&w->r, cb, l->method_self) : 0;
	}
	if (kind != KIND_FUNCTION || !str_is(&w->r, field_at(&w->r, cb, l->function_name), "task_done") ||
	    !str_is(&w->r, field_at(&w->r, cb, l->function_module), "anyio._backends._asyncio"))
		return 0;
	uint64_t group = closure_get(w, cb, "self");
	return attr_get(&w->r, group, "cancel_scope") ? group : 0;
}

/* aiotools' TaskScope calls it its host, anyio's groups leave it to their scope. */
uint64_t group_owner(struct walk *w, uint64_t group)
{
	uint64_t owner = attr_get(&w->r, group, "_parent_task");
	if (is_none(&w->r, owner))
		owner = attr_get(&w->r, group, "_host_task");
	if (is_none(&w->r, owner))
		owner = attr_get(&w->r, attr_get(&w->r, group, "cancel_scope"), "_host_task");
	return is_none(&w->r, owner) ? 0 : owner;
}

static uint64_t group_of(struct walk *w, uint64_t task)
{
	struct callback_iter it;
	uint64_t cb, group = 0;
	callbacks_begin(w, task, &it);
	while (!group && callbacks_next(w, &it, &cb))
		group = group_of_callback(w, cb);
	return group;
}

static void group_add(struct walk *w, uint64_t id)
{
	uint64_t known;
	if (map_get(&w->group_index, id, &known))
		return;
	struct snapshot *s = w->s;
	struct group *g = vec_add(&w->groups);
	if (!g) {
		w->nomem = true;
		return;
	}
	s->groups = w->groups.v;
	s->ngroups = w->groups.n;
	const struct type_info *t = object_type(&w->r, id);
	int64_t aborting = 0;
	*g = (struct group){ .id = id, .kind = t ? type_short_name(&w->r, t) : "?" };
	g->owner = group_owner(w, id);
	g->name = str_at(&w->r, attr_get(&w->r, id, "_name"));
	uint64_t flag = attr_get(&w->r, id, "_aborting"), errors = attr_get(&w->r, id, "_errors");
	if (!flag)
		flag = attr_get(&w->r, attr_get(&w->r, id, "cancel_scope"), "_cancel_called");
	if (!errors)
		errors = attr_get(&w->r, id, "_exceptions");
	g->aborting = int_at(&w->r, flag, &aborting) && aborting;
	if (seq_len(&w->r, errors) > 0)
		g->error = walk_exception(w, seq_item(&w->r, errors, 0));
	map_set(&w->group_index, id, s->ngroups);
}

void walk_group(struct walk *w, struct task *t)
{
	t->group = group_of(w, t->id);
	if (t->group)
		group_add(w, t->group);
}

/* Once all tasks are known: the members of each group. */
void walk_groups_finish(struct walk *w)
{
	struct snapshot *s = w->s;
	uint64_t i;
	for (size_t k = 0; k < s->ntasks; k++)
		if (s->tasks[k].group && map_get(&w->group_index, s->tasks[k].group, &i))
			s->groups[i - 1].ntasks++;
	for (size_t g = 0; g < s->ngroups; g++) {
		s->groups[g].tasks = arena_array(w->arena, s->groups[g].ntasks, sizeof(uint64_t));
		if (!s->groups[g].tasks)
			w->nomem = true;
		s->groups[g].ntasks = 0;
	}
	for (size_t k = 0; k < s->ntasks && !w->nomem; k++) {
		if (!s->tasks[k].group || !map_get(&w->group_index, s->tasks[k].group, &i))
			continue;
		struct group *g = &s->groups[i - 1];
		((uint64_t *)(uintptr_t)g->tasks)[g->ntasks++] = s->tasks[k].id;
	}
}

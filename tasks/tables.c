/* Where asyncio lists its tasks. 3.8 to 3.13: weak sets in asyncio.tasks (shared with
 * _asyncio); 3.14 and later: a linked list a thread and one of the interpreter, and
 * sets in _asyncio's module state for tasks that are not of the C class. Sources:
 * Lib/asyncio/tasks.py, Modules/_asynciomodule.c. */
#include "tasks/walk.h"

#include <stdlib.h>

#define LIST_MAX (1ull << 26)

bool addrs_add(struct addrs *a, uint64_t addr)
{
	return vec_push(a, addr);
}

static void found(struct walk *w, struct addrs *tasks, struct map *seen, uint64_t addr)
{
	if (addr && map_add(seen, addr, 1) && !addrs_add(tasks, addr))
		w->nomem = true;
	/* A rehearsal of so many is not worth its time: everything will be copied. */
	if (w->limit.tasks && tasks->n > w->limit.tasks)
		w->over_limit = true;
}

static void walk_set(struct walk *w, uint64_t holder, struct addrs *tasks, struct map *seen)
{
	if (!holder)
		return;
	uint64_t set = weakset_data(&w->r, holder), key;
	struct set_iter it;
	if (!set || !set_begin(&w->r, set, &it)) {
		w->lost_tables++;
		walk_torn(w, "a set of tasks could not be read");
		return;
	}
	while (!walk_stop(w) && set_next(&w->r, &it, &key)) {
		const struct type_info *t = object_type(&w->r, key);
		if (!t)
			walk_torn(w, "a set of tasks holds what is no object");
		else
			found(w, tasks, seen, t->kind == KIND_WEAKREF ? weakref_get(&w->r, key) : key);
	}
	if (it.broken)
		walk_torn(w, "a set of tasks is being changed");
}

static void walk_current(struct walk *w, uint64_t dict, struct addrs *tasks, struct map *seen)
{
	struct dict_iter it;
	uint64_t loop, task;
	if (!dict_begin(&w->r, dict, &it))
		return;
	while (dict_next(&w->r, &it, &loop, &task)) {
		if (is_none(&w->r, task))
			continue;
		struct loop *l = walk_loop(w, loop);
		size_t i = w->threads.n;
		for (size_t k = 0; l && k < w->threads.n; k++)
			if (w->threads.v[k].thread && w->threads.v[k].thread->tid == l->thread)
				i = k;
		map_set(&w->current, task, i + 1);
		if (w->what & SNAPSHOT_RUNNING)
			found(w, tasks, seen, task);
	}
	if (it.broken)
		walk_torn(w, "the table of current tasks is being changed");
}

/* struct llist_node { next, prev }: each link is checked both ways, which no list in
 * the middle of an insertion or removal passes, and no circle that misses the head. */
static void walk_list(struct walk *w, uint64_t head, struct addrs *tasks, struct map *seen)
{
	uint64_t links[2], prev = head, node;
	if (!image_u64(w->r.img, head, &node)) {
		w->lost_tables++;
		return;
	}
	if (node == 0) /* never initialised: a thread state that is being made */
		return;
	for (uint64_t n = 0; node != head; n++) {
		if (!image_read(w->r.img, node, links, sizeof links) || links[1] != prev || n > LIST_MAX) {
			walk_torn(w, "a list of tasks is being changed");
			return;
		}
		if (walk_stop(w))
			return;
		found(w, tasks, seen, node - (uint64_t)w->r.l->task_node);
		prev = node;
		node = links[0];
	}
	if (!image_read(w->r.img, head, links, sizeof links) || links[1] != prev)
		walk_torn(w, "a list of tasks is being changed");
}

static void walk_lists(struct walk *w, struct addrs *tasks, struct map *seen)
{
	const struct py_layout *l = w->r.l;
	for (size_t i = 0; i < w->threads.n; i++) {
		if (l->tstate_asyncio_tasks_head >= 0 && !(w->what & SNAPSHOT_RUNNING))
			walk_list(w, w->threads.v[i].tstate + (uint64_t)l->tstate_asyncio_tasks_head, tasks, seen);
		if (w->threads.v[i].running_task && !is_none(&w->r, w->threads.v[i].running_task)) {
			map_set(&w->current, w->threads.v[i].running_task, i + 1);
			found(w, tasks, seen, w->threads.v[i].running_task);
		}
	}
	if (w->what & SNAPSHOT_RUNNING)
		return;
	for (size_t i = 0; i < w->interps.n && l->interp_asyncio_tasks_head >= 0; i++)
		walk_list(w, w->interps.v[i].addr + (uint64_t)l->interp_asyncio_tasks_head, tasks, seen);
}

struct listing { struct addrs *tasks; struct map *seen; };

static void found_in_heap(struct walk *w, void *arg, uint64_t addr)
{
	struct listing *list = arg;
	found(w, list->tasks, list->seen, addr);
}

void walk_tables(struct walk *w, struct addrs *tasks)
{
	const struct py_layout *l = w->r.l;
	struct map seen = { 0 };
	bool lists = l->task_node >= 0;
	for (size_t i = 0; i < w->interps.n && !walk_stop(w); i++) {
		uint64_t dict = walk_module_dict(w, i, "asyncio.tasks");
		uint64_t c = lists ? walk_module(w, i, "_asyncio") : 0;
		if (!dict && !c)
			continue;
		w->asyncio = true;
		if (dict)
			walk_current(w, dict_get(&w->r, dict, "_current_tasks"), tasks, &seen);
		if (w->what & SNAPSHOT_RUNNING)
			continue;
		if (c) {
			uint64_t state = field_at(&w->r, c, l->module_state);
			walk_set(w, field_at(&w->r, state, l->asyncio_state_non_asyncio_tasks), tasks, &seen);
			walk_set(w, field_at(&w->r, state, l->asyncio_state_eager_tasks), tasks, &seen);
		}
		if (!dict)
			continue;
		walk_set(w, dict_get(&w->r, dict, "_all_tasks"), tasks, &seen);
		walk_set(w, dict_get(&w->r, dict, "_scheduled_tasks"), tasks, &seen);
		walk_set(w, dict_get(&w->r, dict, "_eager_tasks"), tasks, &seen);
	}
	if (lists && w->asyncio)
		walk_lists(w, tasks, &seen);
	if (lists && w->asyncio && w->what & (SNAPSHOT_DONE | SNAPSHOT_DONE_IF_CAN) &&
	    !(w->what & (WALK_REHEARSAL | WALK_NO_HEAP)))
		walk_heap(w, found_in_heap, &(struct listing){ tasks, &seen });
	map_free(&seen);
}

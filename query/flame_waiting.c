/* Where tasks wait, as a flame graph. Every task's stack begins where that of the task which
 * waits for it ends. Iterative: chains of tasks come from the target and may be long. */
#include "query/flame.h"

#include <stdlib.h>

#define NOBODY UINT32_MAX

struct waiting {
	struct flame *f;
	const struct snapshot *s;
	const struct flame_choice *c;
	uint32_t *end;       /* of task i: the node that its stack ends in, 0 not yet known */
	bool *on_the_way;    /* its stack waits for that of another to be known */
	struct VEC(uint32_t) chain;
};

static uint32_t index_of(const struct waiting *w, uint64_t id, uint32_t self)
{
	const struct task *t = id ? snapshot_task(w->s, id) : NULL;
	uint32_t i = t ? (uint32_t)(t - w->s->tasks) : NOBODY;
	return i == self ? NOBODY : i;
}

/* Whose wait a task's own is a part of. */
static uint32_t waiter_of(const struct waiting *w, uint32_t task)
{
	const struct task *t = &w->s->tasks[task];
	uint32_t by = NOBODY;
	for (size_t i = 0; i < t->nawaited_by && by == NOBODY; i++)
		by = index_of(w, t->awaited_by[i], task);
	const struct group *g = by == NOBODY && t->group ? snapshot_group(w->s, t->group) : NULL;
	return g ? index_of(w, g->owner, task) : by;
}

static err_t own_frames(struct waiting *w, uint32_t task, uint32_t node)
{
	const struct task *t = &w->s->tasks[task];
	uint32_t from = node;
	if (!node && w->c->group && w->c->group[task])
		TRY(flame_step(w->f, &node, (struct flame_frame){ w->c->group[task], NULL, 0 }));
	for (size_t i = 0; i < t->stack.n; i++) {
		const struct frame *f = t->stack.frames[i];
		TRY(flame_step(w->f, &node, (struct flame_frame){ f->function, f->file, f->line }));
	}
	if (node == from)
		TRY(flame_step(w->f, &node, (struct flame_frame){ task_body(t) ? task_body(t) : "?", NULL, 0 }));
	w->end[task] = node;
	return NULL;
}

/* Up to one whose stack is known or whom nobody awaits, and back down. In a ring the one that
 * was met first counts as the outermost. */
static err_t place(struct waiting *w, uint32_t task)
{
	w->chain.n = 0;
	while (task != NOBODY && !w->end[task] && !w->on_the_way[task]) {
		w->on_the_way[task] = true;
		if (!vec_push(&w->chain, task))
			return ERR_NOMEM;
		task = waiter_of(w, task);
	}
	uint32_t node = task == NOBODY ? 0 : w->end[task];
	while (w->chain.n) {
		task = w->chain.v[--w->chain.n];
		TRY(own_frames(w, task, node));
		node = w->end[task];
	}
	return NULL;
}

static err_t weigh(struct waiting *w, uint32_t task)
{
	const struct task *t = &w->s->tasks[task];
	uint32_t node;
	if (t->state != TASK_WAITING || (w->c->selected && !w->c->selected[task]))
		return NULL;
	TRY(place(w, task));
	node = w->end[task];
	/* What tasks wait for that wait for tasks is told by those. */
	if (t->wait && !t->wait->ntasks)
		TRY(flame_step(w->f, &node, (struct flame_frame){ wait_kind_name(t->wait->kind), NULL, 0 }));
	flame_weigh(w->f, node, 1);
	return NULL;
}

err_t flame_waiting(struct flame *f, const struct snapshot *s, const struct flame_choice *c)
{
	struct waiting w = { .f = f, .s = s, .c = c };
	w.end = calloc(s->ntasks + 1, sizeof *w.end);
	w.on_the_way = calloc(s->ntasks + 1, sizeof *w.on_the_way);
	err_t e = w.end && w.on_the_way ? NULL : ERR_NOMEM;
	for (size_t i = 0; !e && i < s->ntasks; i++)
		e = weigh(&w, (uint32_t)i);
	free(w.end);
	free(w.on_the_way);
	vec_free(&w.chain);
	if (!e)
		flame_finish(f);
	return e;
}

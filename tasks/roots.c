/* What the frames of tasks have: the context managers that they are inside of, their variables,
 * and the async generators that they go through. */
#include "tasks/pools.h"

#include <string.h>

#include "objects/contexts.h"
#include "objects/locals.h"

#define ROOTS_MAX 100000
#define STACK_SCAN 32            /* values of a frame's stack that are looked at */

static void root(struct walk *w, struct roots *out, uint64_t obj, const struct reach_root *like,
		 enum reach_kind kind, int since)
{
	struct reach_root r = *like;
	r.obj = obj;
	r.kind = kind;
	r.since = since;
	out->cut |= out->n == ROOTS_MAX;
	if (out->n < ROOTS_MAX && !vec_push(out, r))
		w->nomem = true;
}

static bool may_lead(struct walk *w, uint64_t obj)
{
	switch (object_kind(&w->r, obj)) {
	case KIND_OTHER:
	case KIND_LIST:
	case KIND_TUPLE:
	case KIND_SET:
	case KIND_DICT:
	case KIND_DEQUE:
	case KIND_METHOD:
		return true;
	default:
		return false;
	}
}

void roots_of_frame(struct walk *w, struct roots *out, const struct pyframe *f, struct reach_root *like)
{
	struct frame_context found[FRAME_CONTEXTS_MAX];
	struct locals_iter it;
	const char *name;
	uint64_t v;
	like->self = local_get(&w->r, f, "self");
	for (size_t i = 0, n = frame_contexts(&w->r, f, true, found); i < n; i++)
		if (!found[i].entering)
			root(w, out, found[i].manager, like, REACH_CONTEXT, found[i].line);
	/* What an `async for` goes through lies on the stack. */
	size_t depth = frame_stack_depth(&w->r, f);
	for (size_t i = 0; i < depth && i < STACK_SCAN; i++) {
		v = frame_stack_slot(&w->r, f, i);
		if (v && object_kind(&w->r, v) == KIND_ASYNCGEN)
			root(w, out, v, like, REACH_LOCAL, 0);
	}
	if (!locals_begin(&w->r, f, &it))
		return;
	while (locals_next(&w->r, &it, &name, &v)) {
		bool self = strcmp(name, "self") == 0;
		if (!may_lead(w, v))
			continue;
		root(w, out, v, like, self ? REACH_SELF : REACH_LOCAL, 0);
		if (self && !map_set(&out->selves, v, 1))
			w->nomem = true;
	}
}

/* The loop keeps nothing of a task that is done. */
void roots_find(struct walk *w, struct pools *p, struct roots *out)
{
	struct pyframes f = { 0 };
	uint64_t at;
	for (size_t i = 0; i < w->s->ntasks && !walk_stop(w); i++) {
		const struct task *t = &w->s->tasks[i];
		if (t->state > TASK_WAITING || t->copied)
			continue;
		pool_frames(w, t, &f);
		size_t n = f.n;
		if (p && map_get(&p->waiting, i + 1, &at))
			n = pool_wait_begins(w, &p->all.v[at], &f);
		for (size_t k = 0; k < n; k++) {
			struct reach_root like = { .task = (uint32_t)i, .depth = (uint32_t)k };
			if (!f.v[k].code || !f.v[k].addr)
				continue;
			like.place = walk_frame(w, f.v[k].code, f.v[k].lasti);
			roots_of_frame(w, out, &f.v[k], &like);
		}
	}
	vec_free(&f);
}

void roots_free(struct roots *r)
{
	vec_free(r);
	map_free(&r->selves);
}

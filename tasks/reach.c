#include "tasks/reach.h"

#include <string.h>

#include "objects/contexts.h"
#include "objects/locals.h"

#define HOPS_MAX 5               /* attributes between a frame and what it has */
#define MEMBERS_MAX 256          /* of one container */
#define NODES_MAX 20000          /* of one search */

/* ---- containers ---- */

bool reach_members(struct walk *w, uint64_t obj, size_t max, bool (*each)(void *ctx, uint64_t member), void *ctx)
{
	struct reader *r = &w->r;
	struct set_iter set;
	struct dict_iter dict;
	struct deque_iter deque;
	uint64_t key, v;
	switch (object_kind(r, obj)) {
	case KIND_LIST:
	case KIND_TUPLE:
		for (int64_t i = 0, n = seq_len(r, obj); i < n && (size_t)i < max; i++)
			if (!each(ctx, seq_item(r, obj, i)))
				return true;
		return true;
	case KIND_SET:
		for (size_t n = set_begin(r, obj, &set) ? 0 : max; n < max && set_next(r, &set, &v); n++)
			if (!each(ctx, v))
				return true;
		return true;
	case KIND_DICT:
		for (size_t n = dict_begin(r, obj, &dict) ? 0 : max; n < max && dict_next(r, &dict, &key, &v); n++)
			if (!each(ctx, v))
				return true;
		return true;
	case KIND_DEQUE:
		for (size_t n = deque_begin(r, obj, &deque) ? 0 : max; n < max && deque_next(r, &deque, &v); n++)
			if (!each(ctx, v))
				return true;
		return true;
	default:
		return false;
	}
}

/* ---- the search ---- */

static bool is_through(const struct reach *x, uint64_t obj)
{
	const struct type_info *t = x->through ? object_type(&x->w->r, obj) : NULL;
	return t && map_get(x->through, t->addr, NULL);
}

static void meet(struct reach *x, uint64_t obj, uint32_t parent, uint32_t root, uint8_t hops, bool listed)
{
	uint64_t at;
	if (!obj || obj % 8 || obj == x->goal || is_none(&x->w->r, obj))
		return;
	bool through = is_through(x, obj) ||
		       (parent == REACH_NONE ? is_through(x, x->roots[root].self) : x->nodes.v[parent].through);
	if (map_get(&x->index, obj, &at)) {
		struct reach_node *n = &x->nodes.v[at - 1];
		const struct reach_root *known = &x->roots[n->root], *other = &x->roots[root];
		n->through |= through;
		if (known->task != other->task)
			n->shared = true;
		else if (other->kind < known->kind) /* being inside of it says more than a variable */
			n->root = root;
		return;
	}
	if (x->nodes.n >= NODES_MAX) {
		x->cut = true;
		return;
	}
	if (!vec_push(&x->nodes, (struct reach_node){
			.obj = obj, .parent = parent, .root = root, .hops = hops, .listed = listed, .through = through }) ||
	    !map_set(&x->index, obj, x->nodes.n))
		x->w->nomem = true;
}

static bool met_member(void *ctx, uint64_t member)
{
	struct reach *x = ctx;
	const struct reach_node *n = &x->nodes.v[x->at];
	meet(x, member, x->at, n->root, n->hops, true);
	return true;
}

static void find(struct reach *x, uint32_t at)
{
	if (!vec_push(&x->found, at))
		x->w->nomem = true;
}

static bool met_attribute(void *ctx, uint64_t name, uint64_t value)
{
	struct reach *x = ctx;
	const struct reach_node *n = &x->nodes.v[x->at];
	bool known = x->found.n && x->found.v[x->found.n - 1] == x->at;
	(void)name;
	if (!walk_visit(x->w)) {
		x->cut = true;
		return false;
	}
	if (value == x->goal && n->through && !known)
		find(x, x->at);
	meet(x, value, x->at, n->root, (uint8_t)(n->hops + 1), false);
	return true;
}

/* What is of the standard library leads everywhere: a loop to all its transports. */
static bool leads_everywhere(struct reach *x, const struct type_info *t)
{
	static const char *const modules[] = {
		"asyncio.", "logging.", "threading.", "selectors.", "ssl.", "socket.", "concurrent.", "email.",
		"weakref.", "_frozen_importlib",
	};
	const char *name = type_full_name(&x->w->r, t);
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		if (strncmp(name, modules[i], strlen(modules[i])) == 0)
			return true;
	return x->avoid && map_get(x->avoid, t->addr, NULL);
}

/* The variables of a suspended generator, and what it is inside of. */
static void expand_generator(struct reach *x, const struct reach_node *n)
{
	struct walk *w = x->w;
	struct pyframe f;
	struct locals_iter it;
	struct frame_context found[FRAME_CONTEXTS_MAX];
	const char *name;
	uint64_t v;
	uint32_t root = n->root;
	uint8_t hops = n->hops;
	if (!walk_suspended(w, n->obj, &f))
		return;
	for (size_t i = 0, k = frame_contexts(&w->r, &f, false, found); i < k; i++)
		meet(x, found[i].manager, x->at, root, hops, false);
	if (locals_begin(&w->r, &f, &it))
		while (locals_next(&w->r, &it, &name, &v))
			meet(x, v, x->at, root, hops, false);
}

static void expand(struct reach *x)
{
	struct reader *r = &x->w->r;
	struct reach_node n = x->nodes.v[x->at];
	const struct type_info *t = object_type(r, n.obj);
	if (!t || map_get(&x->w->loop_index, n.obj, NULL))
		return;
	switch (t->kind) {
	case KIND_LIST:
	case KIND_TUPLE:
	case KIND_SET:
	case KIND_DICT:
	case KIND_DEQUE:
		reach_members(x->w, n.obj, MEMBERS_MAX, met_member, x);
		return;
	case KIND_GEN:
	case KIND_ASYNCGEN:
		expand_generator(x, &n);
		return;
	case KIND_METHOD: /* an exit stack has the methods of what it leaves */
		if (n.listed)
			meet(x, field_at(r, n.obj, r->l->method_self), x->at, n.root, n.hops, false);
		return;
	case KIND_OTHER:
		if (n.hops < HOPS_MAX && !leads_everywhere(x, t))
			attr_each(r, n.obj, met_attribute, x);
		return;
	default:
		return;
	}
}

void reach_run(struct reach *x, const struct reach_root *roots, size_t n,
	       bool (*use)(const struct reach_root *root, const void *ctx), const void *ctx)
{
	x->roots = roots;
	for (int kind = 0; kind < REACH_KINDS; kind++)
		for (size_t i = 0; i < n; i++)
			if ((int)roots[i].kind == kind && (!use || use(&roots[i], ctx)))
				meet(x, roots[i].obj, REACH_NONE, (uint32_t)i, 0, false);
	for (x->at = 0; x->at < x->nodes.n && !walk_stop(x->w); x->at++) {
		if (x->items && map_get(x->items, x->nodes.v[x->at].obj, NULL)) {
			find(x, x->at);
			if (x->want && x->found.n >= x->want)
				return;
			continue;
		}
		expand(x);
	}
}

void reach_free(struct reach *x)
{
	vec_free(&x->nodes);
	vec_free(&x->found);
	map_free(&x->index);
}

/* Who has what a pool gave out. Told in one of three ways, the surest first:
 *
 * - The pool knows what it has given out (pool_items.c): whose frames lead to one of that.
 * - A waiter is about to enter a context manager; others are inside of one of the same class
 *   that belongs to the same pool, or of one made by the same generator function.
 * - What a library gives out refers to its pool: whose frames lead to such an object, through
 *   an object of a class in whose methods the waiters wait, and of no class through which the
 *   waiters know the pool themselves.
 *
 * Where none of them finds anyone, it is not known who has it. */
#include "tasks/pools.h"

#include <string.h>

#include "objects/locals.h"

#define HOLDERS_MAX 1024
#define AVOID_FOUND_MAX 64
#define NAMES_MAX 1024           /* of one function */

struct searching {
	struct walk *w;
	struct pools pools;
	struct roots roots;
	bool rooted;             /* they are found: all stacks are read once more for them */
};

static void need_roots(struct searching *s)
{
	if (!s->rooted)
		roots_find(s->w, &s->pools, &s->roots);
	s->rooted = true;
}

/* ---- who it is ---- */

struct having VEC(struct holder);

static void add_holder(struct walk *w, struct having *h, const struct holder *x)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].task == x->task && h->v[i].thread == x->thread && h->v[i].generator == x->generator &&
		    h->v[i].object == x->object)
			return;
	if (h->n < HOLDERS_MAX && !vec_push(h, *x))
		w->nomem = true;
}

static const char *type_name(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	return t ? type_short_name(&w->r, t) : NULL;
}

/* What led to an item: an object that several tasks share keeps it, not one of them. False:
 * it is the item's own machinery, such as the task that reads for a connection. */
static bool holder_of(struct searching *s, const struct reach *x, uint32_t found, struct holder *out)
{
	struct walk *w = s->w;
	uint32_t keeper = REACH_NONE, at = found, first = found;
	bool listed = false;
	for (; at != REACH_NONE; at = x->nodes.v[at].parent) {
		if (x->nodes.v[at].shared)
			keeper = at;
		listed |= x->nodes.v[at].listed;
		first = at;
	}
	const struct reach_root *r = &s->roots.v[x->nodes.v[found].root];
	if (r->kind == REACH_SELF && (first == found || (!r->depth && pool_refers(w, x->nodes.v[found].obj, r->obj, 2))))
		return false;
	/* Between the tasks that are handed one and the same thing, the first is as good. */
	if (keeper == first && r->kind != REACH_SELF && !map_get(&s->roots.selves, r->obj, NULL))
		keeper = REACH_NONE;
	if (keeper == REACH_NONE && r->kind == REACH_SELF && listed)
		keeper = first;
	*out = (struct holder){ .task = w->s->tasks[r->task].id, .place = r->place, .since = r->since };
	if (keeper != REACH_NONE && keeper != found)
		*out = (struct holder){ .object = x->nodes.v[keeper].obj,
					.object_type = type_name(w, x->nodes.v[keeper].obj) };
	return true;
}

static bool is_self(const struct reach_root *r, const void *ctx)
{
	const uint64_t *owner = ctx;
	return r->obj != *owner;
}

static void take(struct searching *s, const struct reach *x, struct having *h)
{
	for (size_t i = 0; i < x->found.n; i++) {
		struct holder one;
		if (holder_of(s, x, x->found.v[i], &one))
			add_holder(s->w, h, &one);
	}
}

static void by_items(struct searching *s, uint64_t owner, const struct map *items, size_t n, struct having *h)
{
	need_roots(s);
	struct reach x = { .w = s->w, .goal = owner, .items = items, .want = n };
	reach_run(&x, s->roots.v, s->roots.n, is_self, &owner);
	take(s, &x, h);
	reach_free(&x);
}

/* ---- by the same context manager ---- */

static bool variable_is(struct walk *w, const struct pyframe *f, uint64_t a, uint64_t b)
{
	struct locals_iter it;
	const char *name;
	uint64_t v;
	if (!locals_begin(&w->r, f, &it))
		return false;
	while (locals_next(&w->r, &it, &name, &v))
		if (v == a || v == b)
			return true;
	return false;
}

static bool same_entry(struct walk *w, const struct pool *p, uint64_t owner, uint64_t manager)
{
	const struct type_info *a = object_type(&w->r, manager), *b = object_type(&w->r, p->entering);
	uint64_t what = p->primitive ? p->primitive : owner;
	struct pyframe f;
	if (!a || a != b)
		return false;
	if (!p->entering_code)
		return manager == owner || pool_refers(w, manager, owner, 1) || pool_refers(w, manager, what, 1);
	uint64_t gen = walk_manager_generator(w, manager);
	return gen && walk_suspended(w, gen, &f) && f.code_addr == p->entering_code && variable_is(w, &f, owner, what);
}

/* Who takes an item out of a queue may keep it. It is lent where the manager's generator puts
 * something back. */
static bool gives_back(struct walk *w, const struct pool *p)
{
	if (p->kind != WAIT_QUEUE_GET || !p->entering_code)
		return true;
	uint64_t names = code_names(&w->r, p->entering_code);
	for (int64_t k = 0, n = seq_len(&w->r, names); k < n && k < NAMES_MAX; k++) {
		const char *name = str_at(&w->r, seq_item(&w->r, names, k));
		if (name && (strncmp(name, "put", 3) == 0 || strcasestr(name, "release") || strcasestr(name, "return")))
			return true;
	}
	return false;
}

static void by_entries(struct searching *s, const struct pool *p, uint64_t owner, struct having *h)
{
	struct walk *w = s->w;
	if (!gives_back(w, p))
		return;
	for (size_t i = 0; p->entering && i < w->holds.n && h->n < HOLDERS_MAX; i++)
		if (same_entry(w, p, owner, w->holds.v[i].object))
			add_holder(w, h, &w->holds.v[i].by);
}

/* ---- by references to the pool ---- */

static void add_type(struct walk *w, struct map *types, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	if (t && t->kind == KIND_OTHER && !map_set(types, t->addr, 1))
		w->nomem = true;
}

static void by_references(struct searching *s, const struct pool *p, uint64_t owner, struct having *h)
{
	struct walk *w = s->w;
	struct map through = { 0 }, avoid = { 0 };
	struct VEC(struct reach_root) own = { 0 };
	for (size_t i = 0; i < p->receivers.n; i++) {
		if (p->receivers.v[i] == owner)
			continue;
		add_type(w, &through, p->receivers.v[i]);
		w->nomem |= !vec_push(&own, (struct reach_root){ .obj = p->receivers.v[i], .task = p->waiters.v[0] });
	}
	struct reach known = { .w = w, .goal = owner, .through = &through };
	reach_run(&known, own.v, own.n, NULL, NULL);
	for (size_t i = 0; i < known.found.n; i++)
		add_type(w, &avoid, known.nodes.v[known.found.v[i]].obj);
	struct reach x = { .w = w, .goal = owner, .through = &through, .avoid = &avoid };
	if (own.n && !known.cut) {
		need_roots(s);
		reach_run(&x, s->roots.v, s->roots.n, is_self, &owner);
		take(s, &x, h);
	}
	reach_free(&known);
	reach_free(&x);
	vec_free(&own);
	map_free(&through);
	map_free(&avoid);
}

/* ---- what is said ---- */

static void tell(struct searching *s, const struct pool *p, uint64_t owner, const struct having *h, size_t n)
{
	struct walk *w = s->w;
	const char *class = type_name(w, owner);
	const char *text = n ? arena_fmt(w->arena, "a free one of %s (%zu of %zu in use)", class ? class : "a pool", n, n)
			     : arena_fmt(w->arena, "a free one of %s", class ? class : "a pool");
	struct holder *v = h->n && reader_spend(&w->r, h->n * sizeof *v) ? arena_dup(w->arena, h->v, h->n * sizeof *v) : NULL;
	for (size_t i = 0; v && i < p->waiters.n; i++) {
		struct task *t = &w->s->tasks[p->waiters.v[i]];
		struct wait *wait = arena_dup(w->arena, t->wait, sizeof *wait);
		if (!wait)
			break;
		wait->holders = v;
		wait->nholders = h->n;
		wait->inferred = true;
		if (!p->named && p->kind != WAIT_SEMAPHORE) {
			wait->kind = WAIT_POOL;
			wait->id = owner;
			wait->detail = text;
			wait->total = n ? (int64_t)n : -1;
			wait->left = n ? 0 : -1;
		}
		t->wait = wait;
	}
}

static void search(struct searching *s, const struct pool *p)
{
	struct having h = { 0 };
	struct map items = { 0 };
	for (size_t i = 0; i < p->nowners && !h.n; i++) {
		size_t n = pool_items(s->w, p, p->owners[i], &items);
		if (n)
			by_items(s, p->owners[i], &items, n, &h);
		if (!h.n)
			by_entries(s, p, p->owners[i], &h);
		if (!h.n && !n && p->library)
			by_references(s, p, p->owners[i], &h);
		if (h.n)
			tell(s, p, p->owners[i], &h, n);
	}
	vec_free(&h);
	map_free(&items);
}

void walk_pools(struct walk *w)
{
	struct searching s = { .w = w };
	pools_find(w, &s.pools);
	pools_learn(w, &s.pools);
	for (size_t i = 0; i < s.pools.all.n; i++) {
		if (!walk_stop(w))
			search(&s, &s.pools.all.v[i]);
		vec_free(&s.pools.all.v[i].waiters);
		vec_free(&s.pools.all.v[i].receivers);
		vec_free(&s.pools.all.v[i].codes);
	}
	vec_free(&s.pools.all);
	roots_free(&s.roots);
	map_free(&s.pools.by_primitive);
	map_free(&s.pools.misses);
	map_free(&s.pools.waiting);
}

/* Which waits are for something that an object keeps for others: a queue, a condition or a
 * semaphore that is its attribute, or a future in a container of it. The object is found
 * among the receivers of the methods that the task waits in. */
#include "tasks/pools.h"

#include <string.h>

#include "objects/contexts.h"
#include "objects/locals.h"

#define REACH_FRAMES 16          /* from the innermost on, in which receivers are looked for */
#define WAITERS_SCAN 4096        /* members of a container that a future may be among */
#define POOLS_MAX 64
#define MISSES_MAX 8
#define LEARN_MAX 16             /* waiters of one pool that are learnt from */
#define AWAITERS_MAX 3           /* tasks around one that only waits */

void pool_frames(struct walk *w, const struct task *t, struct pyframes *out)
{
	struct stack_end end;
	struct pyframe inside[GREENLET_FRAMES_MAX];
	unsigned what = w->what;
	size_t broken = w->broken_stacks;
	out->n = 0;
	w->holds.off = true;
	w->what &= ~(unsigned)SNAPSHOT_LOCALS;
	walk_coroutine(w, t->coro_id, &end);
	w->what = what;
	w->broken_stacks = broken;
	w->holds.off = false;
	for (size_t i = 0; i < w->chain.n; i++) {
		size_t n = w->chain.v[i].addr ? walk_greenlet(w, &w->chain.v[i], inside) : 0;
		w->nomem |= !vec_push(out, w->chain.v[i]);
		for (size_t k = 0; k < n; k++)
			w->nomem |= !vec_push(out, inside[k]);
	}
}

/* ---- whose it is ---- */

struct owning { struct walk *w; uint64_t target; bool direct, found, tuple; int hops; uint64_t by; };

static bool member_is(void *ctx, uint64_t member)
{
	struct owning *o = ctx;
	o->found |= member == o->target;
	/* A queue of priorities has pairs. */
	if (!o->found && !o->tuple && object_kind(&o->w->r, member) == KIND_TUPLE) {
		o->tuple = true;
		reach_members(o->w, member, 4, member_is, o);
		o->tuple = false;
	}
	return !o->found;
}

static bool owns(struct walk *w, uint64_t obj, uint64_t target, bool direct, int hops, uint64_t *by);

static bool attribute_is(void *ctx, uint64_t name, uint64_t value)
{
	struct owning *o = ctx;
	(void)name;
	if (!walk_visit(o->w))
		return false;
	if (value == o->target)
		o->found = o->direct;
	else if (!reach_members(o->w, value, WAITERS_SCAN, member_is, o) && o->hops > 1 &&
		 object_kind(&o->w->r, value) == KIND_OTHER)
		o->found = owns(o->w, value, o->target, o->direct, o->hops - 1, &o->by);
	return !o->found;
}

/* Of what belongs to libraries that tasks wait with, each is its own. */
static bool is_primitive(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	const char *name = t ? type_full_name(&w->r, t) : "";
	return !t || map_get(&w->loop_index, obj, NULL) || strncmp(name, "asyncio.", 8) == 0 ||
	       strncmp(name, "anyio.", 6) == 0 || strncmp(name, "logging.", 8) == 0;
}

/* *by: the object that has it itself. */
static bool owns(struct walk *w, uint64_t obj, uint64_t target, bool direct, int hops, uint64_t *by)
{
	struct owning o = { .w = w, .target = target, .direct = direct, .hops = hops, .by = 0 };
	if (obj == target || is_primitive(w, obj))
		return false;
	attr_each(&w->r, obj, attribute_is, &o);
	*by = o.by ? o.by : obj;
	return o.found;
}

static void add_owner(struct pool *p, uint64_t owner)
{
	for (size_t i = 0; i < p->nowners; i++)
		if (p->owners[i] == owner)
			return;
	if (p->nowners < OWNERS_MAX)
		p->owners[p->nowners++] = owner;
}

/* An event is each waiter's own only where it is in a container. */
static void find_owners(struct walk *w, struct pool *p, const struct pyframes *f, uint64_t target)
{
	bool direct = p->kind != WAIT_EVENT && p->kind != WAIT_FUTURE;
	for (size_t i = f->n, n = 0; i-- > 0 && n < REACH_FRAMES; n++) {
		uint64_t by, self = f->v[i].code ? local_get(&w->r, &f->v[i], "self") : 0;
		if (!self || !owns(w, self, target, direct, 2, &by))
			continue;
		add_owner(p, by);
		add_owner(p, self);
		p->library |= code_owner(&w->s->folders, f->v[i].code->file) == CODE_LIBRARY;
	}
}

/* ---- which tasks wait ---- */

static bool may_be(const struct wait *wait)
{
	switch (wait->kind) {
	case WAIT_POOL:
	case WAIT_CONDITION:
	case WAIT_QUEUE_GET:
	case WAIT_FUTURE:
	case WAIT_EVENT:
		return wait->id != 0;
	case WAIT_SEMAPHORE:
		return wait->id && !wait->holders;
	default:
		return false;
	}
}

static const struct frame *place_of(const struct task *t)
{
	return t->stack.n ? t->stack.frames[t->stack.n - 1] : NULL;
}

/* After some waits at one place that were for no pool, the others there are not looked at. */
static bool missed(struct walk *w, struct pools *p, const struct task *t, bool once_more)
{
	uint64_t n = 0, place = (uint64_t)(uintptr_t)place_of(t);
	if (!place)
		return true;
	map_get(&p->misses, place, &n);
	if (once_more && !map_set(&p->misses, place, n + 1))
		w->nomem = true;
	return n >= MISSES_MAX;
}

static bool own_future(const struct wait *wait)
{
	return wait->kind == WAIT_FUTURE || wait->kind == WAIT_EVENT;
}

/* The only task that awaits one: up to 3.11 wait_for() has a task of its own wait. */
static const struct task *awaiter(struct walk *w, const struct task *t)
{
	uint64_t at;
	bool known = t->nawaited_by == 1 && map_get(&w->task_index, t->awaited_by[0], &at);
	return known ? &w->s->tasks[at - 1] : NULL;
}

/* The pool that a task waits at, made where it is met first; POOL_NONE. */
static uint64_t look_at(struct walk *w, struct pools *p, const struct task *t, struct pyframes *f)
{
	const struct wait *wait = t->wait;
	struct pool new = { .kind = wait->kind, .named = wait->kind == WAIT_POOL };
	uint64_t at, key = wait->id;
	if (!own_future(wait) && map_get(&p->by_primitive, key, &at))
		return at;
	if (own_future(wait) && missed(w, p, t, false))
		return POOL_NONE;
	if (new.named) {
		add_owner(&new, wait->id);
		new.library = true;
	} else {
		const struct task *by = t;
		for (int i = 0; by && !new.nowners && i < AWAITERS_MAX; i++, by = awaiter(w, by)) {
			pool_frames(w, by, f);
			find_owners(w, &new, f, wait->id);
		}
	}
	if (own_future(wait)) {
		key = new.nowners ? new.owners[0] : 0;
		if (!key) {
			missed(w, p, t, true);
			return POOL_NONE;
		}
		if (map_get(&p->by_primitive, key, &at))
			return at;
	} else if (!new.named) {
		new.primitive = key;
	}
	bool is = new.nowners && p->all.n < POOLS_MAX;
	at = is ? p->all.n : POOL_NONE;
	if ((is && !vec_push(&p->all, new)) || !map_set(&p->by_primitive, key, at))
		w->nomem = true;
	return at;
}

void pools_find(struct walk *w, struct pools *p)
{
	struct pyframes f = { 0 };
	for (size_t i = 0; i < w->s->ntasks && !walk_stop(w); i++) {
		const struct task *t = &w->s->tasks[i];
		uint64_t at = t->state == TASK_WAITING && t->wait && may_be(t->wait) ? look_at(w, p, t, &f) : POOL_NONE;
		if (at == POOL_NONE || w->nomem)
			continue;
		w->nomem |= !vec_push(&p->all.v[at].waiters, (uint32_t)i);
		for (int k = 0; t && k <= AWAITERS_MAX; k++, t = awaiter(w, t))
			w->nomem |= !map_set(&p->waiting, (uint64_t)(t - w->s->tasks) + 1, at);
	}
	vec_free(&f);
}

/* ---- what of a waiter's stack is the wait ---- */

static bool is_owner(const struct pool *p, uint64_t obj)
{
	for (size_t i = 0; i < p->nowners; i++)
		if (obj && p->owners[i] == obj)
			return true;
	return false;
}

/* The innermost frame that is about to enter a context, + 1; n: none is. */
static size_t entering(struct walk *w, const struct pyframes *f, uint64_t *manager)
{
	struct frame_context found[FRAME_CONTEXTS_MAX];
	for (size_t i = f->n; i-- > 0;) {
		size_t n = f->v[i].code && f->v[i].addr ? frame_contexts(&w->r, &f->v[i], true, found) : 0;
		if (n && found[n - 1].entering) {
			*manager = found[n - 1].manager;
			return i + 1;
		}
	}
	return f->n;
}

/* The condition's predicate, too, says what is waited for. */
static void learn_codes(struct walk *w, struct pool *p, const struct pyframe *f, uint64_t self)
{
	const struct py_layout *l = w->r.l;
	struct locals_iter it;
	const char *name;
	uint64_t v;
	if (is_owner(p, self) && !addrs_add(&p->codes, f->code_addr))
		w->nomem = true;
	if (!locals_begin(&w->r, f, &it))
		return;
	while (locals_next(&w->r, &it, &name, &v)) {
		if (object_kind(&w->r, v) == KIND_METHOD && is_owner(p, field_at(&w->r, v, l->method_self)))
			v = field_at(&w->r, v, l->method_function);
		if (object_kind(&w->r, v) == KIND_FUNCTION && !addrs_add(&p->codes, field_at(&w->r, v, l->function_code)))
			w->nomem = true;
	}
}

static void learn(struct walk *w, struct pool *p, const struct pyframes *f, size_t from, uint64_t manager)
{
	struct pyframe inside;
	uint64_t gen = manager && !p->entering ? walk_manager_generator(w, manager) : 0;
	p->known++;
	p->entering = p->entering ? p->entering : manager;
	if (gen && walk_suspended(w, gen, &inside))
		p->entering_code = inside.code_addr;
	if (manager && !addrs_add(&p->receivers, manager))
		w->nomem = true;
	for (size_t i = from; i < f->n; i++) {
		uint64_t self = f->v[i].code ? local_get(&w->r, &f->v[i], "self") : 0;
		if (self && !addrs_add(&p->receivers, self))
			w->nomem = true;
		if (f->v[i].code && f->v[i].addr)
			learn_codes(w, p, &f->v[i], self);
	}
}

size_t pool_wait_begins(struct walk *w, struct pool *p, const struct pyframes *f)
{
	uint64_t manager = 0;
	size_t user = 0, start = entering(w, f, &manager);
	for (size_t i = 0; i < f->n; i++) {
		const struct code *c = f->v[i].code;
		if (c && i < start && is_owner(p, local_get(&w->r, &f->v[i], "self")))
			start = i;
		if (c && code_owner(&w->s->folders, c->file) == CODE_USER)
			user = i + 1;
	}
	if (p->library && user && user < start)
		start = user;
	if (p->known < LEARN_MAX && start < f->n)
		learn(w, p, f, start, manager);
	return start;
}

void pools_learn(struct walk *w, struct pools *p)
{
	struct pyframes f = { 0 };
	for (size_t i = 0; i < p->all.n; i++) {
		struct pool *pool = &p->all.v[i];
		for (size_t k = 0; k < pool->waiters.n && k < LEARN_MAX && !walk_stop(w); k++) {
			const struct task *t = &w->s->tasks[pool->waiters.v[k]];
			for (int out = 0; t && out <= AWAITERS_MAX; out++, t = awaiter(w, t)) {
				pool_frames(w, t, &f);
				pool_wait_begins(w, pool, &f);
			}
		}
		pool->known = LEARN_MAX;
	}
	vec_free(&f);
}

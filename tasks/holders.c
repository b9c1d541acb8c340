/* Who has what tasks wait for: locks and semaphores, by who is inside of them.
 *
 * What was taken by a bare acquire() leaves no trace on a stack; then it is said that
 * the holder is not known, never that there is none. */
#include "objects/contexts.h"
#include "objects/locals.h"
#include "tasks/waits.h"

#include <stdlib.h>

#define HOLDERS_MAX 1024         /* of one object that are named */
#define STACK_SCAN 32            /* values of a frame's stack that are looked at */
#define GENERATORS_MAX (1 << 16)

/* Async generators that stand at a `yield`: whoever iterates them is elsewhere now. A loop
 * keeps a weak set of those that it has seen (BaseEventLoop._asyncgens). */
static void generator_holds(struct walk *w, uint64_t gen)
{
	struct pyframe f;
	uint64_t seen;
	if (map_get(&w->holds.generators, gen, &seen) || !walk_suspended(w, gen, &f))
		return;
	if (!map_set(&w->holds.generators, gen, 1))
		w->nomem = true;
	w->holds.who = (struct holder){ .generator = gen };
	walk_contexts(w, &f, false, 0, walk_frame(w, f.code, f.lasti));
	w->contexts.n = 0;
}

static void loops_generators(struct walk *w, uint64_t loop)
{
	struct set_iter it;
	uint64_t ref;
	if (!set_begin(&w->r, weakset_data(&w->r, attr_get(&w->r, loop, "_asyncgens")), &it))
		return;
	for (int n = 0; n < GENERATORS_MAX && !walk_stop(w) && set_next(&w->r, &it, &ref); n++) {
		uint64_t gen = weakref_get(&w->r, ref);
		if (gen && object_kind(&w->r, gen) == KIND_ASYNCGEN)
			generator_holds(w, gen);
	}
}

/* The tasks in whose `async for` generators are, which lie on their frames' value stacks:
 * generator → task. All stacks are read once more, for the few cases that need it. */
static void find_consumers(struct walk *w, struct map *consumers)
{
	w->holds.off = true;
	for (size_t i = 0; i < w->s->ntasks && !walk_stop(w); i++) {
		struct stack_end end;
		const struct task *t = &w->s->tasks[i];
		if (t->state != TASK_WAITING && t->state != TASK_RUNNABLE)
			continue;
		walk_coroutine(w, t->coro_id, &end);
		for (size_t k = 0; k < w->chain.n; k++) {
			size_t depth = frame_stack_depth(&w->r, &w->chain.v[k]);
			for (size_t n = 0; n < depth && n < STACK_SCAN; n++) {
				uint64_t v = frame_stack_slot(&w->r, &w->chain.v[k], n);
				if (map_get(&w->holds.generators, v, NULL))
					map_add(consumers, v, t->id);
			}
		}
	}
	w->holds.off = false;
}

/* Of a primitive of asyncio or anyio: nobody has it. Unknown classes are not free. */
static bool is_free(struct walk *w, uint64_t obj)
{
	struct reader *r = &w->r;
	int64_t v;
	uint64_t owner = attr_get(r, obj, "_owner_task");
	if (int_at(r, attr_get(r, obj, "_locked"), &v))
		return v == 0;
	if (owner)
		return is_none(r, owner);
	return false;
}

static bool has_permits(struct walk *w, uint64_t obj)
{
	int64_t v;
	return int_at(&w->r, attr_get(&w->r, obj, "_value"), &v) && v > 0;
}

/* Whether what a task waits for is there already: it is about to be woken, or was forgotten. */
static bool is_there(struct walk *w, const struct wait *wait)
{
	struct reader *r = &w->r;
	int64_t n;
	switch (wait->kind) {
	case WAIT_LOCK:
		return is_free(w, wait->id);
	case WAIT_SEMAPHORE:
		return has_permits(w, wait->id);
	case WAIT_EVENT:
		return int_at(r, attr_get(r, wait->id, "_value"), &n) && n;
	case WAIT_QUEUE_GET:
		return items_in(r, attr_get(r, wait->id, "_queue")) > 0;
	default:
		return false;
	}
}

/* What is known of one object, found once for all that wait for it. */
struct found { const struct holder *v; size_t n; bool there; };

struct finding_holders {
	struct map known;        /* object → index + 1 in all */
	struct VEC(struct found) all;
	struct map consumers;    /* async generator → task that iterates it, once looked for */
	bool looked;
};

/* Of a CapacityLimiter of anyio's: the tasks that have borrowed of it. */
static bool borrowers(struct walk *w, uint64_t obj, struct found *out)
{
	struct set_iter it;
	uint64_t borrower, set = attr_get(&w->r, obj, "_borrowers");
	if (!set || !set_begin(&w->r, set, &it))
		return false;
	size_t n = it.used < HOLDERS_MAX ? (size_t)it.used : HOLDERS_MAX;
	struct holder *v = reader_spend(&w->r, n * sizeof *v) ? arena_array(w->arena, n + 1, sizeof *v) : NULL;
	while (v && out->n < n && set_next(&w->r, &it, &borrower))
		if (is_task(object_kind(&w->r, borrower)))
			v[out->n++].task = borrower;
	out->v = out->n || !it.used ? v : NULL;
	return true;
}

/* Who is inside of an object. v NULL: it is held, and nobody is seen to hold it. */
static struct found holders_of(struct walk *w, struct finding_holders *finding, uint64_t obj)
{
	static const struct holder nobody;
	struct found none = { .v = &nobody }, out = { 0 };
	uint64_t first = 0;
	size_t n = 0;
	if (is_free(w, obj))
		return none;
	if (borrowers(w, obj, &out))
		return out;
	map_get(&w->holds.first, obj, &first);
	for (size_t i = first; i && n < HOLDERS_MAX; i = w->holds.v[i - 1].next)
		n++;
	if (!n)
		return has_permits(w, obj) ? none : out;
	if (!reader_spend(&w->r, n * sizeof(struct holder)))
		return out;
	struct holder *v = arena_array(w->arena, n, sizeof *v);
	if (!v) {
		w->nomem = true;
		return out;
	}
	/* The list begins with the last that was met. */
	for (size_t i = first, k = n; k; i = w->holds.v[i - 1].next)
		v[--k] = w->holds.v[i - 1].by;
	for (size_t i = 0; i < n; i++) {
		if (v[i].task || v[i].thread || !v[i].generator)
			continue;
		if (!finding->looked)
			find_consumers(w, &finding->consumers);
		finding->looked = true;
		map_get(&finding->consumers, v[i].generator, &v[i].task);
	}
	return (struct found){ .v = v, .n = n };
}

static bool can_be_held(const struct wait *wait)
{
	return wait->id && (wait->kind == WAIT_LOCK || wait->kind == WAIT_SEMAPHORE);
}

static const struct found *found_for(struct walk *w, struct finding_holders *finding, const struct wait *wait)
{
	uint64_t at;
	if (map_get(&finding->known, wait->id, &at))
		return &finding->all.v[at - 1];
	struct found f = { 0 };
	if (can_be_held(wait))
		f = holders_of(w, finding, wait->id);
	f.there = is_there(w, wait);
	if (!vec_push(&finding->all, f) || !map_set(&finding->known, wait->id, finding->all.n)) {
		w->nomem = true;
		return NULL;
	}
	return &finding->all.v[finding->all.n - 1];
}

const struct holder *walk_lock_holders(struct walk *w, uint64_t lock, size_t *n)
{
	struct finding_holders finding = { .looked = true };
	struct found f = holders_of(w, &finding, lock);
	*n = f.n;
	return f.n ? f.v : NULL;
}

static bool can_be_there(const struct wait *wait)
{
	return wait->id && (can_be_held(wait) || wait->kind == WAIT_EVENT || wait->kind == WAIT_QUEUE_GET);
}

void walk_holders(struct walk *w)
{
	struct snapshot *s = w->s;
	struct finding_holders finding = { 0 };
	bool waited = false;
	for (size_t i = 0; i < s->ntasks && !waited; i++)
		waited = s->tasks[i].wait && can_be_held(s->tasks[i].wait);
	for (size_t i = 0; waited && i < s->nloops; i++)
		loops_generators(w, s->loops[i].id);
	for (size_t i = 0; i < s->ntasks && !walk_stop(w); i++) {
		struct wait *wait = (struct wait *)(uintptr_t)s->tasks[i].wait;
		const struct found *f = wait && can_be_there(wait) ? found_for(w, &finding, wait) : NULL;
		if (!f)
			continue;
		wait->available = f->there;
		if (can_be_held(wait)) {
			wait->holders = f->v;
			wait->nholders = f->n;
		}
	}
	map_free(&finding.known);
	map_free(&finding.consumers);
	vec_free(&finding.all);
}

/* Context managers along a stack, and what is held by being inside of them.
 *
 * A manager holds more than itself: a Condition its lock; one made by
 * contextlib.asynccontextmanager what its generator is inside of; an exit stack all that
 * was entered through it (Lib/contextlib.py, Lib/asyncio/locks.py). */
#include "objects/contexts.h"
#include "tasks/walk.h"

#include <stdlib.h>
#include <string.h>

#define NEST_MAX 8               /* generators inside of generators */
#define EXITS_MAX 4096           /* entries of an exit stack that are looked at */
#define BASES_MAX 16

/* Whose frame is inside, and where it became so. */
struct inside { const struct frame *place; uint64_t generator; int since; };

static bool hold_add(struct walk *w, uint64_t object, const struct inside *in)
{
	struct holds *h = &w->holds;
	uint64_t first = 0;
	map_get(&h->first, object, &first);
	if (!vec_push(h, (struct hold){
			.object = object, .next = (size_t)first,
			.by = { .task = h->who.task, .thread = h->who.thread, .place = in->place, .since = in->since,
				.generator = in->generator ? in->generator : h->who.generator } }) ||
	    !map_set(&h->first, object, h->n))
		w->nomem = true;
	return !w->nomem;
}

static void hold_manager(struct walk *w, uint64_t manager, const struct inside *in, int depth);

/* What a generator that runs a context manager is inside of at its `yield`. */
static void hold_generator(struct walk *w, uint64_t gen, int depth)
{
	struct pyframe f;
	struct frame_context found[FRAME_CONTEXTS_MAX];
	if (!walk_suspended(w, gen, &f))
		return;
	size_t n = frame_contexts(&w->r, &f, false, found);
	if (!map_set(&w->holds.generators, gen, 1))
		w->nomem = true;
	const struct frame *place = n ? walk_frame(w, f.code, f.lasti) : NULL;
	for (size_t i = 0; i < n; i++)
		hold_manager(w, found[i].manager, &(struct inside){ place, gen, found[i].line }, depth + 1);
}

/* contextlib's exit stacks: a deque of (is_sync, exit method). */
static void hold_exits(struct walk *w, uint64_t exits, const struct inside *in, int depth)
{
	struct deque_iter it;
	uint64_t item;
	if (!deque_begin(&w->r, exits, &it))
		return;
	for (int i = 0; i < EXITS_MAX && deque_next(&w->r, &it, &item); i++) {
		uint64_t method = seq_item(&w->r, item, 1);
		if (object_kind(&w->r, method) == KIND_METHOD)
			hold_manager(w, field_at(&w->r, method, w->r.l->method_self), in, depth + 1);
	}
}

/* What a class of managers keeps what it holds in. */
enum keeps { KEEPS_ITSELF = 1, KEEPS_LOCK, KEEPS_GENERATOR, KEEPS_EXITS };

static enum keeps keeps(struct walk *w, uint64_t manager)
{
	static const struct { const char *class; enum keeps keeps; } classes[] = {
		{ "Condition", KEEPS_LOCK },
		{ "_GeneratorContextManagerBase", KEEPS_GENERATOR },
		{ "_BaseExitStack", KEEPS_EXITS },
	};
	const struct type_info *t = object_type(&w->r, manager);
	enum keeps found = KEEPS_ITSELF;
	uint64_t known;
	if (!t)
		return found;
	if (map_get(&w->keeps, t->addr, &known))
		return (enum keeps)known;
	const struct type_info *b = t;
	for (int depth = 0; b && depth < BASES_MAX && found == KEEPS_ITSELF; depth++) {
		const char *name = type_short_name(&w->r, b);
		for (size_t i = 0; name && i < sizeof classes / sizeof *classes; i++)
			if (strcmp(name, classes[i].class) == 0)
				found = classes[i].keeps;
		b = b->base ? type_at(&w->r, b->base) : NULL;
	}
	if (!map_set(&w->keeps, t->addr, found))
		w->nomem = true;
	return found;
}

uint64_t walk_manager_generator(struct walk *w, uint64_t manager)
{
	return keeps(w, manager) == KEEPS_GENERATOR ? attr_get(&w->r, manager, "gen") : 0;
}

static void hold_manager(struct walk *w, uint64_t manager, const struct inside *in, int depth)
{
	struct reader *r = &w->r;
	if (depth > NEST_MAX || walk_stop(w) || !hold_add(w, manager, in))
		return;
	switch (keeps(w, manager)) {
	case KEEPS_LOCK: {
		uint64_t lock = attr_get(r, manager, "_lock");
		if (!is_none(r, lock))
			hold_add(w, lock, in);
		return;
	}
	case KEEPS_GENERATOR:
		hold_generator(w, attr_get(r, manager, "gen"), depth);
		return;
	case KEEPS_EXITS:
		hold_exits(w, attr_get(r, manager, "_exit_callbacks"), in, depth);
		return;
	case KEEPS_ITSELF:
		return;
	}
}

static bool context_add(struct walk *w, const struct frame_context *c, size_t index)
{
	const struct type_info *t = object_type(&w->r, c->manager);
	if (!vec_push(&w->contexts, (struct context){ .frame = index, .id = c->manager,
			.type = t ? type_full_name(&w->r, t) : NULL, .entering = c->entering,
			.sync = c->sync, .line = c->line }))
		w->nomem = true;
	return !w->nomem;
}

void walk_contexts(struct walk *w, const struct pyframe *f, bool suspended, size_t index, const struct frame *place)
{
	if (w->holds.off)
		return;
	struct frame_context found[FRAME_CONTEXTS_MAX];
	size_t n = frame_contexts(&w->r, f, suspended, found);
	for (size_t i = 0; i < n && context_add(w, &found[i], index); i++)
		if (!found[i].entering)
			hold_manager(w, found[i].manager, &(struct inside){ place, 0, found[i].line }, 0);
}

void walk_contexts_keep(struct walk *w, struct stack *s)
{
	static const struct context none;
	size_t n = w->contexts.n;
	s->contexts = n ? arena_dup(w->arena, w->contexts.v, n * sizeof *w->contexts.v) : &none;
	s->ncontexts = s->contexts ? n : 0;
	if (!s->contexts)
		w->nomem = true;
	w->contexts.n = 0;
}

/* What a pool has given out. Many keep it in a container of theirs, beside a number that says
 * how much there may be: aiohttp's connector, httpcore's, redis's and asyncpg's pools do. A
 * container counts only where as many are in it as such a number says: then all of it is
 * given out, for somebody waits.
 *
 * A server with as many clients as it may have, in which somebody waits for a message, looks
 * the same. So the code that waits has to speak of the container or of the number; or what is
 * waited at is a stack that has that number of places, for nobody sends messages through one. */
#include "tasks/pools.h"

#include <string.h>

#define NUMBERS_MAX 16
#define CONTAINERS_MAX 32
#define ITEMS_LIMIT 4096
#define BASES_MAX 16
#define NAMES_MAX 1024           /* of one function */

struct owned {
	struct walk *w;
	const struct pool *p;
	struct { int64_t n; bool spoken_of; } limits[NUMBERS_MAX];
	size_t nlimits;
	struct { uint64_t obj; bool spoken_of; } containers[CONTAINERS_MAX];
	size_t ncontainers;
	bool spoken_of;          /* the attribute that is being looked at */
};

/* Whether the code that waits has the name of an attribute. */
static bool spoken_of(struct walk *w, const struct pool *p, uint64_t attribute)
{
	const char *name = str_at(&w->r, attribute);
	for (size_t i = 0; name && i < p->codes.n; i++) {
		uint64_t names = code_names(&w->r, p->codes.v[i]);
		for (int64_t k = 0, n = seq_len(&w->r, names); k < n && k < NAMES_MAX; k++) {
			uint64_t at = seq_item(&w->r, names, k);
			if (at == attribute || str_is(&w->r, at, name))
				return true;
		}
	}
	return p->named;
}

static bool names_limit(const char *name)
{
	static const char *const parts[] = { "max", "limit", "size", "capacity" };
	for (size_t i = 0; name && i < sizeof parts / sizeof *parts; i++)
		if (strcasestr(name, parts[i]))
			return true;
	return false;
}

static void add_container(struct owned *o, uint64_t obj)
{
	if (!obj || o->ncontainers == CONTAINERS_MAX)
		return;
	o->containers[o->ncontainers].obj = obj;
	o->containers[o->ncontainers++].spoken_of = o->spoken_of;
}

static bool add_inner(void *ctx, uint64_t member)
{
	struct owned *o = ctx;
	if (reach_members(o->w, member, 0, NULL, NULL))
		add_container(o, member);
	return o->ncontainers < CONTAINERS_MAX;
}

/* Dicts have containers by some key, too, as a connector those of each host. */
static bool met(void *ctx, uint64_t name, uint64_t value)
{
	struct owned *o = ctx;
	struct reader *r = &o->w->r;
	enum type_kind kind = object_kind(r, value);
	int64_t v;
	o->spoken_of = spoken_of(o->w, o->p, name);
	if (kind == KIND_INT) {
		if (o->nlimits == NUMBERS_MAX || !int_at(r, value, &v) || v <= 0 || !names_limit(str_at(r, name)))
			return true;
		o->limits[o->nlimits].n = v;
		o->limits[o->nlimits++].spoken_of = o->spoken_of;
	} else if (kind == KIND_OTHER) {
		add_container(o, weakset_data(r, value));
	} else if (reach_members(o->w, value, 0, NULL, NULL)) {
		add_container(o, value);
		if (kind == KIND_DICT)
			reach_members(o->w, value, CONTAINERS_MAX, add_inner, o);
	}
	return true;
}

struct filling { struct walk *w; struct map *items; size_t n; bool odd; };

static bool fill(void *ctx, uint64_t member)
{
	struct filling *x = ctx;
	uint64_t v = object_kind(&x->w->r, member) == KIND_WEAKREF ? weakref_get(&x->w->r, member) : member;
	enum type_kind kind = object_kind(&x->w->r, v);
	/* Plain values are nobody's, and futures are those of who waits. */
	if (kind != KIND_OTHER || x->n >= ITEMS_LIMIT) {
		x->odd = true;
		return false;
	}
	if (map_add(x->items, v, ++x->n))
		return true;
	x->odd = true;
	return false;
}

/* How many places a stack of what is free has; 0: it is none. */
static int64_t places(struct walk *w, const struct pool *p)
{
	const struct type_info *t = p->primitive ? object_type(&w->r, p->primitive) : NULL;
	int64_t v;
	for (int depth = 0; t && depth < BASES_MAX; depth++, t = type_at(&w->r, t->base))
		if (strcmp(type_full_name(&w->r, t), "asyncio.queues.LifoQueue") == 0)
			return int_at(&w->r, attr_get(&w->r, p->primitive, "_maxsize"), &v) ? v : 0;
	return 0;
}

size_t pool_items(struct walk *w, const struct pool *p, uint64_t owner, struct map *items)
{
	struct owned o = { .w = w, .p = p };
	attr_each(&w->r, owner, met, &o);
	/* A queue or a semaphore has nothing to do with how many there are in a container. */
	if (p->kind == WAIT_QUEUE_GET || p->kind == WAIT_SEMAPHORE) {
		o.limits[0].n = places(w, p);
		o.limits[0].spoken_of = true;
		o.nlimits = o.limits[0].n > 0;
	}
	for (size_t i = 0; i < o.ncontainers && o.nlimits; i++) {
		struct filling x = { .w = w, .items = items };
		map_free(items);
		reach_members(w, o.containers[i].obj, ITEMS_LIMIT + 1, fill, &x);
		for (size_t k = 0; !x.odd && x.n && k < o.nlimits; k++)
			if ((int64_t)x.n == o.limits[k].n && (o.containers[i].spoken_of || o.limits[k].spoken_of))
				return x.n;
	}
	map_free(items);
	return 0;
}

struct referring { struct walk *w; uint64_t to; int hops; bool found; };

static bool refers(void *ctx, uint64_t name, uint64_t value)
{
	struct referring *x = ctx;
	(void)name;
	if (!walk_visit(x->w))
		return false;
	x->found |= value == x->to || (x->hops > 1 && object_kind(&x->w->r, value) == KIND_OTHER &&
				       !map_get(&x->w->loop_index, value, NULL) &&
				       pool_refers(x->w, value, x->to, x->hops - 1));
	return !x->found;
}

bool pool_refers(struct walk *w, uint64_t obj, uint64_t to, int hops)
{
	struct referring x = { w, to, hops, false };
	attr_each(&w->r, obj, refers, &x);
	return x.found;
}

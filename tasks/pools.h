/* Pools: objects that others wait at until what they gave out is given back. What the files
 * that find them and their holders share. */
#ifndef ASYNCMON_TASKS_POOLS_H
#define ASYNCMON_TASKS_POOLS_H

#include "tasks/reach.h"

#define OWNERS_MAX 6

struct pyframes VEC(struct pyframe);
struct indexes VEC(uint32_t);

/* Several tasks that wait for the same, which belongs to one of a few objects. */
struct pool {
	uint64_t owners[OWNERS_MAX]; /* the nearest first */
	size_t nowners;
	uint64_t primitive;      /* the queue, condition or semaphore; 0: a future of each one's own */
	enum wait_kind kind;
	bool named;              /* a rule for that library says that it is a pool */
	bool library;            /* its code lies among libraries */
	struct indexes waiters;  /* in the snapshot's tasks */
	/* Of its first waiters: what they are about to enter, and whose methods they are in. */
	size_t known;
	uint64_t entering, entering_code;
	struct addrs receivers;
	struct addrs codes;      /* of its owners' methods that are waited in, or called to decide */
};

struct pools {
	struct VEC(struct pool) all;
	struct map by_primitive; /* primitive, or an owner of futures → index + 1; POOL_NONE: it is none */
	struct map misses;       /* place of a frame → how often futures there were of no pool */
	struct map waiting;      /* index of a task + 1 → index of its pool */
};
#define POOL_NONE UINT64_MAX

/* What frames have, those of each task together. */
struct roots {
	struct reach_root *v;    /* grows as a VEC */
	size_t n, cap;
	struct map selves;       /* receivers of methods on tasks' stacks */
	bool cut;                /* there were more */
};

/* roots.c */
/* Of all tasks that live; of those that wait at one of the pools (NULL: none) without the
 * frames that belong to the wait. */
void roots_find(struct walk *w, struct pools *p, struct roots *out);
/* Of one frame more. `like` says whose it is, and gets the receiver of its method. */
void roots_of_frame(struct walk *w, struct roots *out, const struct pyframe *f, struct reach_root *like);
void roots_free(struct roots *r);

/* pool_waits.c */
/* The frames of a task, those of a greenlet among them, outermost first. */
void pool_frames(struct walk *w, const struct task *t, struct pyframes *out);
/* Which tasks wait at what may be a pool. */
void pools_find(struct walk *w, struct pools *p);
/* Learns from the first waiters of each pool what its `known` part says. */
void pools_learn(struct walk *w, struct pools *p);
/* The first of a waiter's frames that belongs to the wait, not to what the task does else. */
size_t pool_wait_begins(struct walk *w, struct pool *p, const struct pyframes *f);

/* pool_items.c */
/* The members of the container in which an owner keeps what it has given out, where all of it
 * is given out: as many as a limit of its own allows. How many; 0: there is no such one. */
size_t pool_items(struct walk *w, const struct pool *p, uint64_t owner, struct map *items);
/* Whether an object has an attribute with that value; `hops` attributes away. */
bool pool_refers(struct walk *w, uint64_t obj, uint64_t to, int hops);

#endif

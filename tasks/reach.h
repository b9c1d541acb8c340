/* What the frames of tasks lead to: a search from context managers and local variables
 * through attributes, containers and suspended generators, the nearest first.
 *
 * Looks for given objects, and for objects that refer to one. It is bounded in depth and in
 * how many objects it looks at, and ends once it has found what was wanted. */
#ifndef ASYNCMON_TASKS_REACH_H
#define ASYNCMON_TASKS_REACH_H

#include "tasks/walk.h"

enum reach_kind { REACH_CONTEXT, REACH_LOCAL, REACH_SELF, REACH_KINDS };

/* An object that a frame has. */
struct reach_root {
	uint64_t obj;
	uint64_t self;           /* the receiver of the frame's method, 0 none */
	uint32_t task;           /* index in the snapshot's tasks */
	uint32_t depth;          /* of the frame, from the outermost on */
	enum reach_kind kind;
	const struct frame *place;
	int since;               /* of a context manager: the line of its `with` */
};

#define REACH_NONE UINT32_MAX

struct reach_node {
	uint64_t obj;
	uint32_t parent;         /* index of the node that led to it; NONE: it is a root */
	uint32_t root;           /* index of the root that it was met from first */
	uint8_t hops;
	bool listed;             /* it is a member of a container */
	bool through;            /* it is of one of the types wanted, or such a one leads to it */
	bool shared;             /* another task's frames lead to it, too */
};

struct reach {
	struct walk *w;
	uint64_t goal;           /* is not entered */
	const struct map *items; /* looked for: object → anything */
	/* Types: where `through` is given, also looked for are objects that refer to the goal, on
	 * a way through an object of one of these types, and none of `avoid`. */
	const struct map *through, *avoid;
	size_t want;             /* it ends once so many were found; 0: when all was looked at */
	const struct reach_root *roots;
	struct VEC(struct reach_node) nodes;
	struct VEC(uint32_t) found; /* indexes of nodes */
	struct map index;        /* object → index + 1 in nodes */
	uint32_t at;             /* the node that is being looked at */
	bool cut;                /* there was more than is looked at */
};

/* Searches from the roots of which `use` (NULL: all) holds. What it found is in `found`. */
void reach_run(struct reach *x, const struct reach_root *roots, size_t n,
	       bool (*use)(const struct reach_root *root, const void *ctx), const void *ctx);
void reach_free(struct reach *x);

/* Calls `each` with the members of a list, tuple, set, deque or weak set, and with the values
 * of a dict, at most `max` of them, until that gives false. False: it is none of these. */
bool reach_members(struct walk *w, uint64_t obj, size_t max, bool (*each)(void *ctx, uint64_t member), void *ctx);

#endif

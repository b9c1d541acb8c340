/* The waits-for graph: which task waits for which, and what they all wait for in the end.
 * Pure; works on one snapshot, which it does not change and which outlives it.
 *
 * A task that waits for tasks (by await, gather, a group, a shield) or for the holders of
 * a lock waits for other tasks; one that waits for a timer, a socket, a thread, or for
 * what nobody is known to bring about, is a root. Iterative throughout, for the graph
 * comes from the target. */
#ifndef ASYNCMON_QUERY_WAITS_FOR_H
#define ASYNCMON_QUERY_WAITS_FOR_H

#include "base/err.h"
#include "snapshot/snapshot.h"

#define WAITS_FOR_NONE UINT32_MAX

struct waits_for {
	const struct snapshot *s;
	uint32_t n;              /* tasks; nodes are indexes in s->tasks */
	uint32_t *starts, *next; /* whom node i waits for: next[starts[i]] … */
	bool *any;               /* one of those is enough; else all are needed */
	/* It can never go on: it has no timer, and what it needs cannot go on either. */
	bool *stuck;
	uint32_t *toward;        /* the one of them to follow, WAITS_FOR_NONE: a root */
	uint32_t *root;          /* where that leads; of a ring, its first member */
	bool *in_ring;           /* it is part of a ring of stuck tasks */
};

/* Only ERR_NOMEM. */
err_t waits_for_make(struct waits_for *g, const struct snapshot *s);
void waits_for_free(struct waits_for *g);

#endif

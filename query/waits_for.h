/* The waits-for graph: who waits for whom, and what they all wait for in the end. Pure;
 * works on one snapshot, which it does not change and which outlives it.
 *
 * Its nodes are the tasks and, where the snapshot has them, the threads. A task waits for
 * tasks (by await, gather, a group, a shield), for the holders of a lock or of what a pool gave
 * out, for those that could make room in a queue or empty it, and for the thread that runs its
 * call in an executor; a thread that is blocked waits for a task's result, a
 * lock's holders or another thread; and nothing of a loop goes on before the thread comes
 * back that it runs in, where that one is blocked. What waits for a timer, a socket, or for
 * what nobody is known to bring about, is a root. Iterative throughout, for the graph comes
 * from the target. */
#ifndef ASYNCMON_QUERY_WAITS_FOR_H
#define ASYNCMON_QUERY_WAITS_FOR_H

#include "base/err.h"
#include "snapshot/snapshot.h"

#define WAITS_FOR_NONE UINT32_MAX

struct waits_for {
	const struct snapshot *s;
	uint32_t n;              /* nodes: indexes in s->tasks, then those in s->threads */
	uint32_t ntasks;
	uint32_t *starts, *next; /* whom node i waits for: next[starts[i]] … */
	bool *any;               /* one of those is enough; else all are needed */
	uint32_t *carrier;       /* of a task: the blocked thread that its loop runs in, or NONE */
	/* It can never go on: it has no timer, and what it needs cannot go on either. */
	bool *stuck;
	uint32_t *toward;        /* the one of them to follow, WAITS_FOR_NONE: a root */
	uint32_t *root;          /* where that leads; of a ring, its first member */
	bool *in_ring;           /* it is part of a ring of stuck nodes */
};

/* Only ERR_NOMEM. */
err_t waits_for_make(struct waits_for *g, const struct snapshot *s);
void waits_for_free(struct waits_for *g);

/* What a node is; the other is NULL. */
static inline const struct task *node_task(const struct waits_for *g, uint32_t i)
{
	return i < g->ntasks ? &g->s->tasks[i] : NULL;
}
static inline const struct thread_stack *node_thread(const struct waits_for *g, uint32_t i)
{
	return i >= g->ntasks && i < g->n ? &g->s->threads[i - g->ntasks] : NULL;
}

#endif

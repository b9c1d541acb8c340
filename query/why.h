/* What tasks wait for in the end: every waiting task followed to its root, and equal ends
 * told once. Pure; texts live in the arena given. */
#ifndef ASYNCMON_QUERY_WHY_H
#define ASYNCMON_QUERY_WHY_H

#include "base/arena.h"
#include "query/ring.h"

enum root_kind {
	ROOT_DEADLOCK, ROOT_TASK, ROOT_THREAD, ROOT_TIMER, ROOT_IO, ROOT_PROCESS, ROOT_EXECUTOR,
	ROOT_LOOP, ROOT_NOBODY, ROOT_UNKNOWN, ROOT_KINDS
};
const char *root_kind_name(enum root_kind k); /* as in JSON */

struct root {
	enum root_kind kind;
	uint64_t task;           /* the task at the end; 0: several, alike in what they wait for */
	pid_t thread;            /* of ROOT_THREAD; 0 unknown */
	const uint64_t *tasks;   /* of a deadlock its members in order, each waiting for the next; of
				  * several alike, those */
	size_t ntasks;
	const pid_t *threads;    /* members of a deadlock that are threads; of several alike, those */
	size_t nthreads;
	const struct waiter *ring; /* of a deadlock: both, in order */
	size_t nring;
	size_t alike;            /* how many are told together; 1: it is one */
	size_t waiting;          /* how many other tasks wait for it in the end */
	const char *message;     /* a sentence */
};

struct why {
	struct arena *arena;
	struct waits_for graph;
	struct root *roots;      /* deadlocks first, then most waiting first */
	size_t nroots;
	uint32_t *root_of;       /* of each node, the index of its root; WAITS_FOR_NONE: it does not wait */
};

/* Only ERR_NOMEM. */
err_t why_make(struct why *y, const struct snapshot *s);
void why_free(struct why *y);

#endif

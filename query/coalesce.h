/* What stands at the same place, told once with a count: tasks and threads with equal
 * stacks. */
#ifndef ASYNCMON_QUERY_COALESCE_H
#define ASYNCMON_QUERY_COALESCE_H

#include "base/map.h"
#include "query/forest.h"
#include "snapshot/snapshot.h"

/* The same frames at the same lines, the same coroutine and state, and a wait of the same
 * kind; where locks or the like are waited for, for the same one. */
bool tasks_alike(const struct task *a, const struct task *b);
uint64_t task_likeness(const struct task *t);
/* The same frames, of C too. Which thread holds the GIL makes it another. */
bool threads_alike(const struct thread_stack *a, const struct thread_stack *b);
uint64_t thread_likeness(const struct thread_stack *t);

/* Sorts items (numbers below UINT32_MAX) into kinds. */
struct kinds {
	struct map map;
	bool (*alike)(const void *ctx, uint32_t a, uint32_t b);
	const void *ctx;
};
/* The first item of the kind that this one is of, maybe itself; likeness is equal for those
 * that are alike. */
err_t kinds_of(struct kinds *k, uint32_t item, uint64_t likeness, uint32_t *first);
void kinds_free(struct kinds *k);

/* Which of several items are told, and for how many each stands. */
struct coalesced {
	size_t n;
	uint32_t *first;   /* of item i: the one that stands for it */
	uint32_t *count;   /* of one that stands for itself: how many it stands for; else 0 */
};
err_t coalesce(struct coalesced *c, size_t n, struct kinds *k, uint64_t (*likeness)(const void *ctx, uint32_t item));
void coalesced_free(struct coalesced *c);

#endif

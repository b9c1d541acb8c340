/* What came, went and grew between two looks. Pure: works on two snapshots, which outlive it.
 *
 * Two looks at one process tell a task apart by the agent's serial, where both have one;
 * else it is the same where its address, that of its coroutine and the coroutine's name are,
 * and where neither has been given another number by asyncio ("Task-17") meanwhile: memory
 * of a task that ended is soon another's. Of two processes no task is the same. */
#ifndef ASYNCMON_QUERY_DIFF_H
#define ASYNCMON_QUERY_DIFF_H

#include "base/arena.h"
#include "base/vec.h"
#include "query/list.h"

struct grown {
	const char *key;         /* "coro", "created", "waiting", "holding" */
	const char *value;
	size_t old, now;
};

/* Of tasks of one coroutine that were made at one place, how many. */
struct moved {
	const char *coro;
	const char *place;       /* where they were made; NULL: not known */
	size_t old, now, came, went;
};

struct diff {
	const struct snapshot *old, *now;
	double apart;            /* seconds */
	bool same_process;       /* else all of `old` went and all of `now` came */
	struct VEC(uint32_t) came, went; /* indexes in now->tasks, in old->tasks */
	struct VEC(struct grown) grew;   /* the most first */
	struct VEC(struct moved) moved;  /* those of which any came or went, the most first */
	struct arena *arena;
};

/* Tasks that are done are not looked at. Only ERR_NOMEM. */
err_t diff_make(struct diff *d, const struct snapshot *old, const struct snapshot *now);
void diff_free(struct diff *d);

/* For each task of `now`, whether it was there before (index + 1 in old->tasks, 0: it came);
 * gone: of each of old's, whether it went. Both arrays are the caller's to fill. */
err_t diff_match(const struct snapshot *old, const struct snapshot *now, uint32_t *before, bool *gone);

#endif

/* What keeps a process from ending: the tasks that its loops still run or wait for in
 * asyncio.run()'s last steps, the calls in executors, open servers, threads that are no
 * daemons. Pure; texts live in the arena given. */
#ifndef ASYNCMON_QUERY_KEEPS_H
#define ASYNCMON_QUERY_KEEPS_H

#include "base/arena.h"
#include "base/vec.h"
#include "snapshot/snapshot.h"

enum keep_kind { KEEP_LOOP, KEEP_TASK, KEEP_SERVER, KEEP_EXECUTOR, KEEP_THREAD, KEEP_KINDS };
const char *keep_kind_name(enum keep_kind k); /* as in JSON */

struct keep {
	enum keep_kind kind;
	uint64_t task;           /* 0: none */
	pid_t thread;            /* 0: none */
	const char *message;     /* a sentence */
};
struct keeps VEC(struct keep);

/* Appends what was found, in the order in which it has to end. Only ERR_NOMEM; the vector is
 * the caller's also then. */
err_t keeps_make(struct keeps *out, struct arena *a, const struct snapshot *s);

#endif

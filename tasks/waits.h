/* What a waiting task waits for: what waits.c, its table of rules (waits_rules.c) and
 * the describers (waits_sync.c, waits_io.c) share.
 *
 * A rule names a function of a library by the end of its file's path. The frame it
 * matches is the innermost of the await stack or, for `reach` > 0, up to so many
 * frames further out; the outermost match decides. Its describer fills the wait in,
 * or gives false when the object is not what the rule is about. */
#ifndef ASYNCMON_TASKS_WAITS_H
#define ASYNCMON_TASKS_WAITS_H

#include "objects/locals.h"
#include "tasks/walk.h"

struct waiting {
	struct walk *w;
	struct task *t;
	struct wait *wait;
	const struct pyframe *frame; /* that of the rule */
	uint64_t thing;              /* the value of the rule's local, 0 none */
	uint64_t timer;              /* something else whose timer ends the wait, 0 none */
};

struct wait_rule {
	const char *file;            /* NULL: any */
	const char *function;
	size_t reach;
	enum wait_kind kind;
	const char *local;           /* the thing waited for */
	bool (*describe)(struct waiting *x);
};
#define WAIT_REACH_MAX 5           /* one more than the largest reach of a rule */
/* The rule for a frame of that code, or NULL. */
const struct wait_rule *wait_rule_of(struct walk *w, const struct code *c);

/* waits.c */
const char *class_of(struct waiting *x, uint64_t obj);
/* How many a deque, set, dict, list or tuple holds; -1: none of these. */
int64_t items_in(struct reader *r, uint64_t obj);
bool by_future(struct waiting *x, uint64_t future);
bool describe_wait_for(struct waiting *x);
bool describe_cancelled(struct waiting *x);
/* That a thread (0: none) runs what is waited for. */
void wait_thread(struct waiting *x, pid_t thread);
/* The concurrent.futures.Future that a future stands for (asyncio.wrap_future()), or 0. */
uint64_t future_source(struct walk *w, uint64_t future);
bool describe_as_completed(struct waiting *x);
bool describe_call(struct waiting *x);

/* waits_children.c */
/* The pending tasks among a set's, dict's, list's or tuple's members, and behind the gathers
 * and shields among them. */
void tasks_among(struct waiting *x, uint64_t container);
/* Those, and how many of the members are not done. False: it is no container. */
bool children_of(struct waiting *x, uint64_t container);
/* The list of what a gather's future waits for, the future that a shield's stands before; 0. */
uint64_t gather_children(struct walk *w, uint64_t future);
uint64_t shield_inner(struct walk *w, uint64_t future);
bool by_gather(struct waiting *x, uint64_t future);
bool by_shield(struct waiting *x, uint64_t future);
bool describe_wait(struct waiting *x);

/* waits_sync.c */
bool describe_lock(struct waiting *x);
bool describe_locks_wait(struct waiting *x);
bool describe_barrier(struct waiting *x);
bool describe_queue(struct waiting *x);
bool describe_group(struct waiting *x);
bool describe_anyio_group(struct waiting *x);
bool describe_limiter(struct waiting *x);
bool describe_memory_stream(struct waiting *x);
/* Of a queue that is not the rule's local. */
bool describe_queue_of(struct waiting *x, uint64_t queue);

/* waits_end.c */
bool describe_server_close(struct waiting *x);
bool describe_shutdown(struct waiting *x);
bool describe_worker_thread(struct waiting *x);
bool describe_handshake(struct waiting *x);
bool describe_race(struct waiting *x);
bool describe_httpcore(struct waiting *x);
bool describe_janus(struct waiting *x);
bool describe_anyio_receive(struct waiting *x);

/* waits_io.c */
/* Down to the descriptor and the peer; false where neither is known. */
bool describe_transport(struct waiting *x, uint64_t transport);
bool describe_stream(struct waiting *x);
bool describe_socket(struct waiting *x);
bool describe_server(struct waiting *x);
bool describe_process(struct waiting *x);
bool describe_connector(struct waiting *x);
/* Waits inside coroutines that are not CPython's: uvloop's. */
bool describe_cython(struct waiting *x);

#endif

/* Who waits for whom, in words: tasks and threads each of which waits for the next. */
#ifndef ASYNCMON_QUERY_RING_H
#define ASYNCMON_QUERY_RING_H

#include "base/strbuf.h"
#include "query/waits_for.h"

#define RING_NAMED 8             /* members of a ring that are told */

/* A node of the graph: one of the two. */
struct waiter { const struct task *task; const struct thread_stack *thread; };

static inline struct waiter waiter_of(const struct waits_for *g, uint32_t node)
{
	return (struct waiter){ node_task(g, node), node_thread(g, node) };
}

/* The holder by whom `x` waits for `by`, or NULL: it waits for it in another way. */
const struct holder *held_by(struct waiter x, struct waiter by);
/* "Lock 0x7f…" or the like: what a task waits for, without how long or with whom. */
void say_object(struct strbuf *b, const struct task *t);
/* ", inside it since app.py:41": where a holder took it; nothing where that is unknown. */
void say_taken(struct strbuf *b, const struct holder *h);
/* "worker-0", "thread 12 (MainThread)" */
void say_waiter(struct strbuf *b, struct waiter x);
/* "lock 0x…", "the result of task fetch": what a blocked thread waits for. */
void say_thread_wait(struct strbuf *b, const struct snapshot *s, const struct thread_wait *w);
/* " at handler app.py:8": where a thread is, in the user's code where it is there. */
void say_thread_place(struct strbuf *b, const struct snapshot *s, const struct thread_stack *t);
/* "one waits for Lock 0x… at f app.py:8, which two has since app.py:6": that x waits for by. */
void say_edge(struct strbuf *b, const struct snapshot *s, struct waiter x, struct waiter by);
/* ". It is held by A, which waits for sleep at f app.py:3; by B, …": of a pool or a semaphore,
 * and of a queue who is at its other end, where that is known. */
void say_holders(struct strbuf *b, const struct snapshot *s, const struct wait *w);
/* say_edge() for a ring of them, the last of which waits for the first. */
void say_ring(struct strbuf *b, const struct snapshot *s, const struct waiter *v, size_t n);

#endif

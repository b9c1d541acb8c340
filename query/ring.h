/* Rings of tasks each of which waits for the next, in words. */
#ifndef ASYNCMON_QUERY_RING_H
#define ASYNCMON_QUERY_RING_H

#include "base/strbuf.h"
#include "snapshot/snapshot.h"

/* The holder by whom `t` waits for `by`, or NULL: it awaits it. */
const struct holder *held_by_task(const struct task *t, const struct task *by);
/* "Lock 0x7f…" or the like: what a task waits for, without how long or with whom. */
void say_object(struct strbuf *b, const struct task *t);
/* ", inside it since app.py:41": where a holder took it; nothing where that is unknown. */
void say_taken(struct strbuf *b, const struct holder *h);
/* "one waits for Lock 0x… at f app.py:8, which two has since app.py:6; two waits for …":
 * the tasks of s with these ids, the last of which waits for the first. */
void say_ring(struct strbuf *b, const struct snapshot *s, const uint64_t *ids, size_t n);

#endif

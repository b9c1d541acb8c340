/* Things of a snapshot in a few words. All append text of the target as it is: the
 * printer makes it fit for a terminal. */
#ifndef ASYNCMON_QUERY_SHAPE_H
#define ASYNCMON_QUERY_SHAPE_H

#include "base/strbuf.h"
#include "snapshot/snapshot.h"

/* "3.2 ms", "12 s", "5 m 3 s", "2 d 4 h" */
void shape_seconds(struct strbuf *b, double s);
/* The same, "12 µs" where it is less than a millisecond: for steps. */
void shape_short(struct strbuf *b, double s);
/* "1234 steps, half below 16 µs, 99 % below 0.3 ms" */
void shape_steps(struct strbuf *b, const struct histogram *h);
/* How long a task that ended lived; "more than 5.2 s" where it is older than the agent. */
void shape_lifetime(struct strbuf *b, const struct ended *t);
/* What asked a task to cancel, without a task that did: "taskgroup, for handle-3 failed with
 * KeyError: 'x'", "signal SIGTERM". */
void shape_asker(struct strbuf *b, const struct cancel *c);
/* "handle-3 failed with KeyError: 'x'"; false where no child's end is known to be the cause. */
bool shape_because(struct strbuf *b, const struct cancel *c);
/* Seconds since the epoch as local time; false (and "?"): out of all bounds. */
bool shape_instant(struct strbuf *b, double at);
/* "function dir/file.py:12": enough of the path to know it. */
void shape_place(struct strbuf *b, const char *function, const char *file, int line);
void shape_frame(struct strbuf *b, const struct frame *f);
/* What the task waits for: "sleep, 3.2 s left", "queue-get: Queue (0)". False: nothing. */
bool shape_wait(struct strbuf *b, const struct snapshot *s, const struct task *t);
/* Who that is: a task's name, "thread 12", "generator rows". */
void shape_holder(struct strbuf *b, const struct snapshot *s, const struct holder *h);
/* Whose code the frame is of. */
enum code_owner shape_owner(const struct frame *f);
/* Which frame of a stack to show as the place where it is. */
enum shape_where { WHERE_USER, WHERE_INNERMOST };
/* USER (as it is unless this is called): the last frame in the user's own code, neither the
 * standard library's nor an installed library's; where there is none, and with INNERMOST, the
 * last one outside asyncio itself, else the last. */
void shape_set_where(enum shape_where w);
const struct frame *shape_last(const struct stack *st);
/* A name, else "0x7f…". */
void shape_name(struct strbuf *b, const char *name, uint64_t id);
/* The colour of a state, NULL: none. */
const char *shape_state_colour(enum task_state s);

/* "ValueError: too much"; how it was made where its text is not known: "Refused('db', 3)". */
void shape_exception(struct strbuf *b, const struct exception *e);

#endif

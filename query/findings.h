/* What looks wrong in a snapshot, in full sentences. Pure: nothing here touches a
 * target. A rule is an entry in a table: how to find its cases, a sentence for one,
 * a summary for many.
 *
 * Findings point into the arena of the later snapshot and live as long as it. */
#ifndef ASYNCMON_QUERY_FINDINGS_H
#define ASYNCMON_QUERY_FINDINGS_H

#include "base/err.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "snapshot/snapshot.h"

/* One case of a rule: the task, loop, executor or group it is about. */
struct item {
	const void *of;
	const uint64_t *tasks;   /* in an arena or a snapshot */
	size_t ntasks;
	const char *key;         /* of rules that count by something */
	size_t count;
	size_t came, went;       /* of those that count what moved between the looks */
	bool milder;             /* by one step than the rule's severity: likely, but not proven,
				  * or without harm so far */
};

struct checking {
	const struct snapshot *now;
	const struct snapshot *before; /* the earlier look, or NULL: there was one only */
	double apart;            /* seconds between the looks */
	size_t many;             /* from how many tasks of one origin on */
	struct VEC(struct item) items;
	bool nomem;
};

struct rule {
	const char *name;        /* NULL ends the table */
	int severity;            /* FINDING_… */
	const char *about;       /* a line for --list-rules */
	bool twice;              /* needs, or is surer with, an earlier look */
	bool done;               /* needs tasks that are done but alive */
	void (*check)(struct checking *k);
	void (*one)(struct strbuf *b, const struct checking *k, const struct item *x);
	/* What n cases have in common, without a full stop at the end. */
	void (*summary)(struct strbuf *b, const struct checking *k, const struct item *items, size_t n);
};
extern const struct rule rules[];
const struct rule *rule_find(const char *name);

struct findings_opts {
	const struct rule *const *only; /* ended by NULL; NULL: all rules */
	double apart;
	size_t many;             /* 0: 1,000 */
};
/* Fills now->findings. Only ERR_NOMEM. */
err_t findings_make(struct snapshot *now, const struct snapshot *before, const struct findings_opts *o);
const char *severity_name(int severity);

/* For the rules. */
void item_add(struct checking *k, const struct item *x);
/* An item about one task. */
void item_task(struct checking *k, const struct task *t);
void say_task(struct strbuf *b, const struct task *t);
/* " (scan)": its coroutine's function, or that which tells it apart, where it is known. */
void say_body(struct strbuf *b, const struct task *t);
/* " at scan dir/file.py:12", where there is a frame outside asyncio. */
void say_where(struct strbuf *b, const struct task *t);
/* "1,000" */
void say_count(struct strbuf *b, uint64_t n);
/* One that can still do something: none that fork() copied. */
static inline bool task_alive(const struct task *t)
{
	return !t->copied && (t->state == TASK_RUNNING || t->state == TASK_RUNNABLE || t->state == TASK_WAITING);
}

/* rules_tasks.c and rules_loops.c */
#define RULE(name) \
	void name##_check(struct checking *k); \
	void name##_one(struct strbuf *b, const struct checking *k, const struct item *x); \
	void name##_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n);
RULE(cycle) RULE(origin) RULE(cancel) RULE(exception) RULE(unreferenced) RULE(lock)
RULE(deadlock) RULE(pool) RULE(join) RULE(lostwakeup) RULE(asleep) RULE(idle)
RULE(blocked) RULE(spin) RULE(overdue) RULE(executor) RULE(group)
#undef RULE

#endif

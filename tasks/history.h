/* What the agent in the target wrote (agent/wire.h), as the walk reads it. Inside this
 * folder only. Every index, count and length of the target is checked before use. */
#ifndef ASYNCMON_TASKS_HISTORY_H
#define ASYNCMON_TASKS_HISTORY_H

#include "agent/wire.h"
#include "tasks/walk.h"

struct history {
	struct walk *w;
	struct agent_header h;
	const uint8_t *pools[AGENT_POOLS]; /* whole pools where the image has all of them */
	struct map by_serial;    /* serial → item of POOL_TASKS */
	struct map alive;        /* task → item: of tasks that live */
	struct map done;         /* task → item: the youngest that ended at that address */
	struct map stacks;       /* node → struct stack * */
	struct map strings;      /* cell → char * */
	struct map signal_codes; /* code object → the signal whose handler it is, of a loop's */
	struct map signal_tasks; /* task → the signal whose handler its cancel() is */
	bool signals_known;
	const struct histogram *steps[AGENT_PROFILES]; /* those that were asked for */
	size_t stood;            /* ended tasks with AGENT_STOOD */
};

/* Finds the agent's memory; false: there is no agent (or none that this program reads,
 * then *why says so). */
bool history_find(struct walk *w, struct agent_header *h, const char **why);
/* Reads which records there are. */
void history_begin(struct history *hi, struct walk *w, const struct agent_header *h);
void history_free(struct history *hi);

/* An item by index: false when it is out of range or unknown. */
bool history_task(struct history *hi, uint32_t i, struct agent_task *t);
bool history_cancel(struct history *hi, uint32_t i, struct agent_cancel *c);
bool history_exception(struct history *hi, uint32_t i, struct agent_exception *e);
bool history_node(struct history *hi, uint32_t i, struct agent_node *n);
/* The record with that serial. */
bool history_serial(struct history *hi, uint64_t serial, struct agent_task *t);
const char *history_string(struct history *hi, uint32_t s);
struct stack history_stack(struct history *hi, uint32_t node);
/* Seconds since the epoch of one of the agent's times. */
double history_time(const struct history *hi, uint64_t ns);

static inline bool history_by_signal(const struct agent_cancel *c)
{
	return (c->by & 0xff) == AGENT_BY_SIGNAL;
}

/* A task asked, known or not. */
static inline bool history_by_task(const struct agent_cancel *c)
{
	return c->by % 2 == 0 && (c->by || c->by_serial);
}

/* history_profiles.c: of all tasks of the same coroutine; of all. NULL: not known. */
const struct histogram *history_steps(struct history *hi, uint8_t profile);
const struct histogram *history_all_steps(struct history *hi);

/* history_exception.c: what a task failed with; NULL: it did not, or that was not kept. */
const struct exception *history_failure(struct history *hi, const struct agent_task *t);

/* history_origin.c: what kind of thing asked, by the stack it asked from: fills in origin,
 * scope and signal of `out`, whose stack is known. */
void history_origin(struct history *hi, const struct agent_cancel *c, bool by_was_asked, struct cancel *out);

#endif

/* A trace: the agent's events with what is known of the tasks that they are about. Who may be
 * traced is known from a look; from there on the events themselves say who comes and goes.
 *
 * Events are handed to a sink one by one and are void when it returns. */
#ifndef ASYNCMON_WATCH_TRACE_H
#define ASYNCMON_WATCH_TRACE_H

#include "query/list.h"
#include "tasks/feed.h"

enum trace_kind {
	TRACE_CREATED,
	TRACE_MET,               /* it is older than the agent, which has come to know it */
	TRACE_NAMED,
	TRACE_READY,             /* what it waited for is there */
	TRACE_BEGUN,             /* a step */
	TRACE_SUSPENDED,         /* its end */
	TRACE_CANCEL,            /* it was asked to cancel */
	TRACE_ENDED,
	TRACE_LOST,              /* of no task: events that could not be read */
	TRACE_KINDS
};
const char *trace_kind_name(enum trace_kind k); /* as in JSON */
enum trace_kind trace_kind_find(const char *name, size_t n); /* TRACE_KINDS: none */

/* What did it. */
enum trace_by { BY_NOBODY, BY_TASK, BY_CALLBACK, BY_THREAD, BY_SIGNAL, BY_END };
const char *trace_by_name(enum trace_by b);     /* "task", "callback", …; NULL of BY_NOBODY */

/* What it was suspended on. */
enum trace_on { ON_UNKNOWN, ON_NOTHING, ON_FUTURE, ON_TASK, ON_DONE };
const char *trace_on_name(enum trace_on o);     /* NULL of ON_UNKNOWN */

struct traced {                  /* a task */
	uint64_t serial, id, loop;
	char *name, *coro;       /* NULL: unknown */
	const struct stack *made_at; /* where; NULL unknown */
	uint64_t created, by;    /* when, by the agent's clock, and the serial of who made it; 0 unknown */
	uint64_t ready, begun;   /* since when it is; 0: it is not */
	int32_t tid;             /* the thread of its last step */
	uint64_t steps;          /* seen begin */
	bool wanted;             /* the filters let it through */
	uint64_t waits_for;      /* the serial of a task, 0 none */
	struct traced *first;    /* of those that wait for its end, */
	struct traced *next, *before; /* and its place among those */
	struct traced *hash_next;
};

struct trace_event {
	enum trace_kind kind;
	uint64_t ns;             /* CLOCK_MONOTONIC of the target */
	double at;               /* seconds since the epoch */
	const struct traced *task;
	enum trace_by by;
	struct task_ref by_task; /* with BY_TASK, and of BY_END the task that ended */
	int signal;              /* with BY_SIGNAL; 0 unknown */
	pid_t thread;            /* that it happened in; 0 unknown */
	const char *how;         /* READY: "result", "exception", "cancelled", "end" */
	bool eager;              /* CREATED */
	/* Seconds; NAN unknown. BEGUN: since it was ready. SUSPENDED, ENDED: of the step. */
	double took;
	double lifetime;         /* ENDED; NAN unknown */
	enum trace_on on;        /* SUSPENDED */
	uint64_t on_id;
	struct task_ref on_task;
	struct stack stack;      /* SUSPENDED: where; CREATED, CANCEL: from where. May be empty */
	enum task_state outcome; /* ENDED */
	bool destroyed;          /* ENDED: its object went away while it was pending */
	const char *type, *message; /* ENDED: of what it failed with; CANCEL: message. NULL: none */
	uint64_t lost;           /* LOST: about how many events */
};

typedef void trace_sink(void *ctx, const struct trace_event *e);

struct trace;
/* Follows a feed from that look on, both of which outlive it. */
err_t trace_begin(struct feed *f, const struct snapshot *s, const struct selection *sel, struct trace **out);
void trace_end(struct trace *t);
/* Hands on what has happened since; see feed_read(). */
err_t trace_read(struct trace *t, trace_sink *sink, void *ctx, bool *behind);
/* How many tasks live and how many of them are ready now. */
struct trace_counts { size_t tasks, ready; };
struct trace_counts trace_counts(const struct trace *t);
/* Those that live and are wanted, for a sink that begins with them. */
void trace_each(const struct trace *t, void (*fn)(void *ctx, const struct traced *task), void *ctx);

#endif

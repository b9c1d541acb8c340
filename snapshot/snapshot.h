/* A snapshot: everything one look at a target gave, as plain C. No pointer into the
 * target, no Python, no ptrace; live process and core look the same.
 *
 * A snapshot owns all it points to (one arena) and is freed at once. Strings are
 * UTF-8 (lone surrogates as three bytes, as Python's "surrogatepass") and NOT
 * escaped: text output escapes them (strbuf_escaped), JSON writes them exactly.
 * An id is the object's address in the target; 0 is no object. NULL is unknown. */
#ifndef ASYNCMON_SNAPSHOT_SNAPSHOT_H
#define ASYNCMON_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"

/* What a look was taken at; SAVED: it was read from a file (saved.h). */
enum snapshot_source { SNAPSHOT_OF_PROCESS, SNAPSHOT_OF_CORE, SNAPSHOT_SAVED, SNAPSHOT_SOURCES };
const char *snapshot_source_name(enum snapshot_source s); /* as in JSON */

enum task_state {
	TASK_RUNNING,   /* its loop is in it now */
	TASK_RUNNABLE,  /* in its loop's ready queue */
	TASK_WAITING,
	TASK_FINISHED, TASK_FAILED, TASK_CANCELLED, /* done, still alive */
	TASK_STATES
};
const char *task_state_name(enum task_state s);

struct local {
	const char *name, *type, *value; /* value: short text of plain types, else NULL */
};

/* Whose code a frame runs. */
enum code_owner { CODE_UNKNOWN, CODE_ASYNCIO, CODE_STDLIB, CODE_LIBRARY, CODE_USER, CODE_OWNERS };

/* Where the target's own modules lie, as their code objects name it; NULL: not known. */
struct code_folders { const char *asyncio, *stdlib; };

/* By the file's name. Libraries are what lies in a folder named site-packages or
 * dist-packages; what lies in none of these folders is the user's, an editable install too.
 * Without folders, by what they are called as a rule. */
enum code_owner code_owner(const struct code_folders *folders, const char *file);

struct frame {
	const char *function, *file;
	int line;                /* 0: unknown */
	enum code_owner owner;
	int first;               /* line in which its function begins; 0: unknown */
	const struct local *locals; /* with SNAPSHOT_LOCALS */
	size_t nlocals;
};

/* Is it the function of that (plain) name, in a file whose path ends so? A path that begins
 * with "asyncio/" is asyncio's own file, and no other's in a folder of that name. */
bool frame_is(const struct frame *f, const char *file_end, const char *function);

struct context {             /* a context manager that a frame is inside of */
	size_t frame;            /* index in the stack's frames */
	uint64_t id;             /* the manager's */
	const char *type;        /* qualified */
	bool entering;           /* its __aenter__ has not returned yet */
	bool sync;               /* `with`, not `async with` */
	int line;                /* of the statement; 0: unknown */
};

struct stack {
	const struct frame *const *frames; /* outermost first, most recent call last */
	size_t n;
	/* In order of frames, those of one frame outermost first; NULL: not known, as of
	 * stacks that are past. */
	const struct context *contexts;
	size_t ncontexts;
	const char *broken;      /* why it ends early, or NULL */
	const char *beyond;      /* of what type the object is that its last frame awaits, where that
				  * has frames of its own that are not CPython's; or NULL */
};

enum frame_kind { FRAME_PYTHON, FRAME_NATIVE };

struct thread_frame {
	enum frame_kind kind;
	const char *function, *file, *module; /* module: native frames */
	int line, first;         /* first: Python frames, as in struct frame */
	bool signal;             /* native: the kernel called from here what is inner, a signal handler */
	uint64_t address;        /* native frames */
	uint64_t offset;         /* native frames: address as the module's file counts */
};

struct task_ref {            /* a task by name, which may be gone */
	uint64_t id;
	int64_t serial;          /* -1: unknown */
	const char *name;
	bool forgotten;          /* the agent has no more than this of it */
};

/* Who has what others wait for: a task, a thread, a generator that nobody runs, or an object
 * that several tasks share. */
struct holder {
	uint64_t task;           /* 0: none */
	pid_t thread;            /* 0: none */
	uint64_t generator;      /* whose frame keeps it; 0: a coroutine's or a function's */
	uint64_t object;         /* 0: none; else nothing of the above is set */
	const char *object_type; /* of that; NULL: unknown */
	const struct frame *place; /* the frame that is inside; NULL: unknown */
	int since;               /* the line of its `with`; 0: unknown */
};

enum wait_kind {
	WAIT_SLEEP, WAIT_TASK, WAIT_GATHER, WAIT_WAIT, WAIT_TASKGROUP, WAIT_SHIELD, WAIT_FUTURE,
	WAIT_LOCK, WAIT_SEMAPHORE, WAIT_CONDITION, WAIT_EVENT, WAIT_BARRIER, WAIT_QUEUE_GET,
	WAIT_QUEUE_PUT, WAIT_QUEUE_JOIN, WAIT_SOCKET, WAIT_STREAM_READ, WAIT_STREAM_WRITE,
	WAIT_EXECUTOR, WAIT_SUBPROCESS,
	WAIT_POOL,               /* for a free connection or the like */
	WAIT_SERVER_CLOSE,       /* for a server's connections to end */
	WAIT_SHUTDOWN,           /* for an executor's threads to end */
	WAIT_TLS,                /* for a handshake, or the goodbye at the end */
	WAIT_THREAD,             /* for a call in a thread that no executor runs */
	WAIT_UNKNOWN, WAIT_KINDS
};
const char *wait_kind_name(enum wait_kind k); /* as in JSON: "queue-get" */

struct wait {
	enum wait_kind kind;
	uint64_t id;             /* of the thing waited for */
	const char *detail;      /* a clause for a person, or NULL */
	const uint64_t *tasks;   /* the tasks it waits for */
	size_t ntasks;
	int64_t total, left;     /* children, and those not done; slots, and the free ones; -1 unknown */
	double deadline_in;      /* seconds; NAN: none known */
	int fd;                  /* -1: none */
	const char *peer;
	bool listening;          /* fd is a listening socket */
	bool available;          /* what it waits for is there: a free lock, a set event, items */
	const pid_t *threads;    /* that run the calls waited for, where that is known */
	size_t nthreads;
	const struct holder *holders; /* NULL: it cannot be told who has it */
	size_t nholders;
	bool inferred;           /* they are told by likeness or by references, not by what has it */
	/* At queues: those that are seen to have it and could end the wait. NULL: not known. */
	const struct holder *wakers;
	size_t nwakers;
	/* Locks that say who holds them: that task, and whether it has ended. */
	uint64_t holder;
	const char *holder_name;
	bool holder_ended;
};

enum cancel_origin {
	CANCEL_TASK, CANCEL_CALLBACK, CANCEL_TIMEOUT, CANCEL_TASKGROUP, CANCEL_SIGNAL,
	CANCEL_SHUTDOWN, CANCEL_UNKNOWN, CANCEL_ORIGINS
};
const char *cancel_origin_name(enum cancel_origin o);

struct cancel {
	double at;               /* seconds since the epoch */
	bool has_by;
	struct task_ref by;
	enum cancel_origin origin;
	int signal;              /* its number; 0: unknown, or no signal's */
	bool because_ended;      /* a task group asked, for `because` had ended */
	struct task_ref because;
	const struct exception *because_failed; /* with what, where it failed and that is known */
	bool scope;              /* of a part of the task only: a cancel scope of anyio's */
	const char *message;
	struct stack stack;
};

struct created {
	double at, age;          /* seconds since the epoch; seconds */
	bool has_by;
	struct task_ref by;
	struct stack stack;
};

struct chain_link {          /* an ancestor, with its stack when it made the next */
	struct task_ref task;
	struct stack stack;
};

/* How often something took how long: a bucket has those below its bound, which is twice that
 * of the one before, and not below that one. */
struct histogram {
	uint64_t count;
	double sum;              /* seconds */
	const uint64_t *buckets;
	size_t nbuckets;
};
/* The bound of its i-th bucket in seconds; of the last, INFINITY. */
double histogram_bound(const struct histogram *h, size_t i);
/* The bound that a part (0.5, 0.99) of all lie below; NAN of none. */
double histogram_below(const struct histogram *h, double part);

struct task_stats {
	uint64_t polls;
	double busy, longest_poll;
	bool partial;            /* counted since the agent came only: each is at least so much */
};

struct exception {
	const char *type;
	const char *message;     /* str() of it; where code of the target would have to run, repr() */
	const char *repr;        /* NULL: its class has a __repr__ of its own */
	const char *const *notes;
	size_t nnotes;
	const struct exception *cause, *context; /* each is told once: where it is met first */
	bool suppressed;         /* "raise … from": tracebacks leave the context out */
	const struct exception *const *exceptions; /* of a group */
	size_t nexceptions;
	struct stack stack;      /* its traceback */
	bool more;               /* what it comes from is more than is told */
};

struct task {
	uint64_t id;
	int64_t serial;          /* -1: no agent */
	const char *name, *coro, *type;
	const char *body;        /* what its coroutine runs, where that only wraps it; or NULL */
	enum task_state state;
	uint64_t loop;
	pid_t thread;            /* native id in our namespace, 0 unknown */
	int64_t cancelling;
	bool must_cancel;        /* asked, and not told yet: it is thrown in at its next step */
	const struct frame *cleaning; /* the frame that handles a CancelledError, or NULL */
	bool scoped;             /* a library has cancelled scopes of it, and may have left requests
				  * counted (anyio) */
	const uint64_t *awaited_by;
	size_t nawaited_by;
	uint64_t fut_waiter;     /* the future its coroutine is suspended on */
	uint64_t coro_id;
	const struct wait *wait;
	uint64_t group;
	struct stack stack;
	/* While it runs, with SNAPSHOT_NATIVE: its thread's frames from its coroutine
	 * on, C frames in their places, outermost first. */
	const struct thread_frame *native;
	size_t nnative;
	const struct created *created;
	const struct cancel *cancels;
	size_t ncancels;
	uint64_t cancels_asked;  /* how many there were: of very many, not all are kept */
	const struct chain_link *chain; /* root first, ends with the direct creator */
	size_t nchain;
	const struct task_stats *stats;
	const struct histogram *steps; /* of all tasks that its coroutine's code ran; NULL unknown */
	const struct exception *exception;
	bool persistent;
	bool before_agent;       /* made before the agent came */
	bool copied;             /* of a loop that fork() left here: it never goes on */
	bool unretrieved;        /* failed, and nobody has asked for the exception */
	bool unreferenced;       /* pending, and every reference to it is its own */
};

/* What tells it from others: what its coroutine runs, or that itself. */
static inline const char *task_body(const struct task *t) { return t->body ? t->body : t->coro; }

/* A descriptor that a loop watches. */
struct watched_fd {
	int fd;
	uint64_t handle;
	bool writes;             /* for room to write, not for something to read */
	const char *callback;    /* the name of what is called when it is ready */
	int64_t unread;          /* bytes; -1: unknown */
	bool ended;              /* a socket whose other end sends no more */
};

struct loop {
	uint64_t id;
	const char *type;        /* qualified: "asyncio.unix_events._UnixSelectorEventLoop" */
	pid_t thread;            /* native id in our namespace, 0 unknown */
	bool running;            /* its frames are on that thread's stack */
	bool inner;              /* and none of another loop are further in */
	bool copied;             /* fork() left it here: it runs in the parent, never here */
	int64_t ready, timers;   /* -1 unknown */
	bool asleep;             /* its thread is in a system call that waits for events */
	int64_t interpreter;     /* PyInterpreterState.id */
	/* While callbacks run: when this turn of the loop took stock of its timers, and
	 * the how-manieth callback it is in. Both the same in two looks: the same step. */
	double turn;             /* NAN: not known, or not in a callback */
	bool turns;              /* a frame of its _run_once() is on its thread's stack */
	int64_t turn_step;
	double overdue;          /* how late its latest timer is, in seconds; NAN: none is due */
	size_t noverdue;         /* timers that are due */
	const char *callback;    /* that it runs or comes to next; NULL: none, or a task's step */
	/* With SNAPSHOT_WATCHED, of a running process: what is ready, and how long the thread has
	 * run or waited for a processor, in seconds, by when on the monotonic clock. */
	const struct watched_fd *watched;
	size_t nwatched;
	double wanted, wanted_at; /* 0: unknown */
};

struct executor {            /* a pool of threads or processes */
	uint64_t id;             /* the executor; its queue where that is gone */
	const char *kind;        /* "ThreadPoolExecutor" */
	const char *name;        /* prefix of its threads' names, or NULL */
	int64_t max_workers;     /* -1 unknown, as below */
	int64_t workers, busy, queued;
	const pid_t *threads;    /* of the busy workers, those that are known */
	size_t nthreads;
};

struct group {
	uint64_t id;
	const char *kind, *name; /* "TaskGroup", "PersistentTaskGroup", …; name NULL if none */
	uint64_t owner;          /* task */
	const uint64_t *tasks;
	size_t ntasks;
	bool aborting;
	const struct exception *error; /* the first of its children's, or NULL */
};

/* What a thread waits for that sleeps in the kernel until another thread wakes it. */
enum thread_wait_kind {
	THREAD_WAIT_TASK,        /* the result of a task that another thread runs, or itself */
	THREAD_WAIT_LOOP,        /* the result of what a loop was given and has not begun */
	THREAD_WAIT_CALL,        /* the result of a call in an executor */
	THREAD_WAIT_FUTURE,      /* the result of a future that nothing more is known of */
	THREAD_WAIT_LOCK, THREAD_WAIT_EVENT, THREAD_WAIT_QUEUE,
	THREAD_WAIT_THREAD,      /* the end of a thread */
	THREAD_WAIT_KINDS
};
const char *thread_wait_kind_name(enum thread_wait_kind k); /* as in JSON */

struct thread_wait {
	enum thread_wait_kind kind;
	uint64_t id;             /* of the future, lock, event, queue or thread object */
	const char *what;        /* its type; of a loop or an executor the function it was given */
	uint64_t task;           /* of TASK */
	uint64_t loop;           /* of LOOP */
	uint64_t executor;       /* of CALL */
	pid_t thread;            /* of THREAD, and of a CALL that runs; 0 unknown */
	bool timed;              /* a timeout ends it */
	const struct holder *holders; /* of LOCK; NULL: it cannot be told who has it */
	size_t nholders;
};

struct thread_stack {
	pid_t tid;
	const char *name;        /* the kernel's */
	const char *title;       /* that of its Thread object; NULL unknown */
	int daemon;              /* of the same: 1 is one, 0 is none, -1 unknown */
	int gil;                 /* 1 holds it, 0 does not, -1 unknown */
	uint64_t loop, task;     /* running in it, 0 none */
	bool python;             /* has a Python thread state */
	const struct thread_frame *frames; /* outermost first */
	size_t nframes;
	const char *broken;      /* what is wrong with it, a clause; or NULL */
	const struct thread_wait *wait; /* NULL: none is known */
};

struct ended {               /* a task that ended, from the agent */
	int64_t serial;
	uint64_t id;
	const char *name, *coro;
	enum task_state outcome; /* FINISHED, FAILED, CANCELLED */
	double started_at;       /* NAN: before the agent came */
	double seen_at;          /* it was alive then at the latest; started_at where that is known */
	double ended_at;
	const struct exception *exception;
	bool persistent;
	struct stack stack;
	const struct created *created;
	const struct cancel *cancels;
	size_t ncancels;
	uint64_t cancels_asked;  /* how many there were: of very many, not all are kept */
	const struct chain_link *chain; /* who cancelled whom, ends with the direct canceller */
	size_t nchain;
};

struct source_row { int line; const char *text; };
struct source_text {         /* of a source file, the lines that frames are in */
	const char *file;
	const char *said;        /* why lines are left out or in doubt, a sentence; or NULL */
	const struct source_row *rows; /* by line */
	size_t nrows;
};

struct finding {
	const char *rule;
	enum { FINDING_INFO, FINDING_WARNING, FINDING_ERROR } severity;
	const uint64_t *tasks;
	size_t ntasks;
	const char *message;
};

struct snapshot {
	struct arena *arena;
	/* the target */
	enum snapshot_source source;
	pid_t pid;
	const char *exe;
	char python[32];         /* "3.14.2" */
	bool free_threaded;
	struct code_folders folders;
	const char *layout;      /* "debug-offsets", "dwarf", "table" */
	bool agent;
	const char *agent_unread; /* why what an agent recorded cannot be read, though there is one; or NULL */
	bool cancels_counted;    /* tasks count requests to cancel, and take them back (3.11) */
	double agent_since;      /* seconds since the epoch; NAN: no agent */
	const struct histogram *steps; /* of all tasks since the agent came; NULL unknown */
	uint64_t events_from;    /* the number of the agent's first event that is younger; 0 unknown */
	int64_t paused_us;       /* -1: was not paused */
	double taken_at;         /* seconds since the epoch */
	bool complete;
	const char *scopes;      /* a library that is loaded and cancels parts of tasks, or NULL */
	bool stopped;            /* by a signal, as SIGSTOP: nothing of it goes on */
	bool done_unseen;        /* tasks that are done cannot be found in this process */
	bool no_asyncio;         /* the process has not imported it: of threads only */
	bool no_locals;          /* arguments and locals were left out when it was saved */
	const char **notes;      /* full sentences; what is missing, what to know */
	size_t nnotes;

	struct loop *loops;
	size_t nloops;
	struct task *tasks;      /* live tasks; done ones too with SNAPSHOT_DONE */
	size_t ntasks;
	struct map by_id;        /* id → index + 1 in tasks, once asked for */
	size_t tasks_room;       /* bytes allocated for them */
	struct group *groups;
	size_t ngroups;
	struct executor *executors;
	size_t nexecutors;
	struct thread_stack *threads; /* with SNAPSHOT_THREADS */
	size_t nthreads;
	struct ended *ended;     /* newest first; with SNAPSHOT_ENDED */
	size_t nended;
	struct finding *findings;
	size_t nfindings;
	/* Of looks that are saved: others have their target's files. */
	const struct source_text *sources;
	size_t nsources;

	struct {                 /* for --stats: seconds by stage, bytes */
		double open, find, rehearse, freeze, walk;
		double lines;    /* of walk: C frames' source lines */
		uint64_t bytes, copied;
		unsigned attempts, threads;
	} stats;
};

void snapshot_free(struct snapshot *s);
/* The same snapshot, to which notes and findings can be added without those who share it
 * seeing them. `of` outlives it. Only ERR_NOMEM; snapshot_view_end() in any case. */
err_t snapshot_view(const struct snapshot *of, struct snapshot *out);
void snapshot_view_end(struct snapshot *view);
/* Makes snapshot_task() fast; tasks stay where they are from now on. */
void snapshot_index(struct snapshot *s);
/* Adds a note; snapshot_lacks() also says that the answer is incomplete by it. */
void snapshot_note(struct snapshot *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void snapshot_lacks(struct snapshot *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The task with that id, or NULL. */
const struct task *snapshot_task(const struct snapshot *s, uint64_t id);
/* The loop with that id, or NULL. */
const struct loop *snapshot_loop(const struct snapshot *s, uint64_t id);
/* The group with that id, or NULL. */
const struct group *snapshot_group(const struct snapshot *s, uint64_t id);

#endif

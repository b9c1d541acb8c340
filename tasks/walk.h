/* One walk over an image: from the runtime down to every task. What the files of this
 * folder share while a snapshot is being built; nothing outside includes it.
 *
 * The walk never fails for bad bytes: they cost a field or an entry, are counted
 * here, and become notes. Only running out of memory ends it. */
#ifndef ASYNCMON_TASKS_WALK_H
#define ASYNCMON_TASKS_WALK_H

#include "base/vec.h"
#include "objects/code.h"
#include "tasks/take.h"

/* Among `what`: a look at running memory, to learn what the walk will read. */
#define WALK_REHEARSAL (1u << 31)
/* The heap is not copied, so it is not looked through. */
#define WALK_NO_HEAP (1u << 30)
/* All private writable memory was copied, or is a core's. */
#define WALK_WHOLE (1u << 29)

struct pythread {                /* one PyThreadState */
	uint64_t tstate, interp;
	int64_t interp_id;
	struct thread *thread;   /* of the target, NULL unknown */
	uint64_t pthread_id;
	uint64_t running_loop, running_task; /* 0: none, or those of the process it was forked from */
	uint64_t eval_frame;     /* the evaluation loop's function; 0: 3.10 on */
	bool broken;             /* its frames end early; counted */
};

struct addrs VEC(uint64_t);

struct interp { uint64_t addr; int64_t id; uint64_t modules; }; /* one PyInterpreterState */

/* A rehearsal ends when the image holds so many bytes or so many tasks are listed;
 * 0: no limit. */
struct walk_limit { uint64_t bytes; size_t tasks; };

/* Who is inside of which context managers, as the stacks met say. */
struct hold { uint64_t object; struct holder by; size_t next; }; /* next: index + 1 of another of object's */
struct holds {
	struct hold *v;          /* grows as a VEC */
	size_t n, cap;
	struct map first;        /* object → index + 1 of its last in v */
	struct map generators;   /* those whose blocks are in v already */
	struct holder who;       /* whose stack is being read */
	bool off;                /* stacks are read again: nothing is added */
};
struct contexts VEC(struct context);

struct walk {
	struct reader r;
	struct snapshot *s;
	struct arena *arena;
	unsigned what;

	struct VEC(struct pythread) threads;
	struct map thread_states; /* those in threads */
	struct VEC(struct interp) interps;
	/* Those of the snapshot, which owns their memory, as long as they grow. */
	struct VEC(struct loop) loops;
	struct VEC(struct group) groups;
	struct VEC(struct executor) executors;

	size_t tasks_cap;
	struct map task_index;   /* task → index + 1 in s->tasks */
	struct map loop_index;   /* loop → index + 1 in s->loops */
	struct map current;      /* task → index + 1 in threads, or threads + 1: thread unknown */
	struct map group_index;  /* group → index + 1 in s->groups */
	struct map deadlines;    /* future, task, … → its loop's time, a double's bits */
	struct contexts contexts; /* of the stack that is being read */
	enum { GREENLETS_UNKNOWN, GREENLETS_NONE, GREENLETS_USED } greenlets; /* greenlets.c */
	struct holds holds;
	struct map keeps;        /* type of a context manager → what it holds beside itself (contexts.c) */
	struct map wrappers;     /* two functions → whether the one wraps the other (body.c) */
	struct map rules;        /* code → index + 1 of the wait's rule, 0 none (waits.c) */
	struct map workers;      /* future → thread of anyio's that runs its call, once looked for */
	bool workers_known;
	struct map thread_objects; /* interpreter and identity → threading.Thread (thread_waits.c) */
	bool thread_objects_known;
	struct map job_index;    /* concurrent future → index + 1 in jobs */
	struct VEC(struct job) jobs;
	double clock_now;        /* the loops' clock at the stop; 0: unknown */
	double born;             /* that clock when the process began as a copy of its parent; NAN:
				  * it did not, or it is unknown */
	struct VEC(struct pyframe) chain; /* of the last walk_coroutine(), outermost first */
	uint64_t chain_end;      /* what its innermost frame of Python awaits, 0 none */
	bool asyncio;            /* some interpreter has asyncio imported */

	/* Signs of a read in the middle of a change: try again. */
	unsigned torn;
	const char *torn_why;
	/* Things that could not be read, by kind, for the notes. */
	size_t lost_tasks, lost_fields, lost_tables, broken_stacks;
	size_t lost_records;     /* of the agent: in memory that it took since the mappings were read? */
	size_t broken_threads;   /* whose Python stack ends early */
	size_t stale_stacks;     /* C stacks that lead to where nothing was mapped before */
	size_t cut_stacks;       /* C stacks of which too little was captured */
	struct walk_limit limit;
	bool over_limit, nomem;
	bool no_heap;            /* done tasks could not be looked for */
	size_t cut_lists;        /* longer than what is read of them */
	uint32_t visits;         /* walk_visit() */
	size_t nexceptions, exception_bytes; /* read so far */
	bool cut_awaits;         /* who awaits whom was too much to follow */
};

/* By the loops' clock: the instant of the look, 0 where a core does not say it; and born,
 * see struct walk. */
struct walk_times { double now, born; };

/* walk.c: one walk into a fresh snapshot, which must live until walk_free(). NULL when
 * memory is out. */
struct snapshot *walk_once(struct python *py, struct walk *w, unsigned what, struct walk_limit limit,
			   const struct walk_times *at);
/* Lets go of all but the snapshot, which is its maker's. */
void walk_free(struct walk *w);

bool addrs_add(struct addrs *a, uint64_t addr); /* false: out of memory */
void walk_torn(struct walk *w, const char *why);
/* True when the walk should end early: memory, the rehearsal's limit, or a hand's time is up. */
bool walk_stop(struct walk *w);
/* One attribute more is looked at in the search for pools, queues and who has them. False: that was
 * all for this walk; what was not looked at is counted. */
bool walk_visit(struct walk *w);

/* interp.c: interpreters, thread states, modules. */
void walk_interpreters(struct walk *w);
/* The module dict of asyncio.tasks or the like in the i-th interpreter, or 0. */
uint64_t walk_module(struct walk *w, size_t interp, const char *name);
uint64_t walk_module_dict(struct walk *w, size_t interp, const char *name);
struct thread *thread_by_pthread(struct walk *w, uint64_t pthread_id);

/* tables.c: where tasks are listed; gives each address once, in the order met. */
void walk_tables(struct walk *w, struct addrs *tasks);

/* heap.c: every task object that the garbage collector tracks. */
void walk_heap(struct walk *w, void (*found)(struct walk *, void *, uint64_t), void *arg);

/* body.c: the function that tells the task of the last walk_coroutine() apart, where its
 * outermost coroutine only runs what it was given; else NULL. */
const char *walk_body(struct walk *w);
/* exceptions.c: one with all that it comes from; NULL if there is none, or too many were
 * read already. */
const struct exception *walk_exception(struct walk *w, uint64_t exception);
/* task.c */
bool walk_tasks_reserve(struct walk *w, size_t all);
void walk_task(struct walk *w, uint64_t addr);
/* loops.c */
struct loop *walk_loop(struct walk *w, uint64_t addr);
void walk_loops_finish(struct walk *w);
/* The loop that a frame runs, by its local `self`; 0: it runs none. */
uint64_t walk_runs_loop(struct walk *w, const struct pyframe *f);

/* watched.c */
/* What keeps a loop awake. `running`: the handle that it runs, or 0. */
void walk_callback(struct walk *w, struct loop *l, uint64_t running);
void walk_watched(struct walk *w, struct loop *l);
/* Keeps those descriptors that are ready; live targets, not paused. */
void watched_ask(struct snapshot *s);

/* timers.c: those of a loop, asyncio's own or uvloop's. */
void walk_timers(struct walk *w, struct loop *l, uint64_t scheduled);
/* Seconds until whom's timer fires; NaN: none known. */
double walk_deadline(struct walk *w, uint64_t whom);
/* folders.c: before any frame is made. */
void walk_folders(struct walk *w);
/* scopes.c: which tasks a library has cancelled scopes of. */
void walk_scopes(struct walk *w);
/* groups.c */
void walk_group(struct walk *w, struct task *t);
void walk_groups_finish(struct walk *w);
/* waits.c: what a waiting task waits for; uses w->chain. */
void walk_wait(struct walk *w, struct task *t);
/* Once it is known who awaits whom: the tasks of waits that do not name them. */
void walk_waits_finish(struct walk *w);
/* refs.c: whether nothing but itself keeps a waiting task alive; uses w->chain. */
bool walk_unreferenced(struct walk *w, const struct task *t);

/* executors.c: pools, and what they run for which concurrent.futures.Future. */
struct job {
	size_t executor;         /* index in s->executors */
	const char *name;        /* of the function, or NULL */
	bool running;            /* else in the queue */
	pid_t thread;            /* that runs it; 0 unknown, or a process */
};
void walk_executors(struct walk *w);
const struct job *walk_job(struct walk *w, uint64_t future);
/* The name of what is called: through partials, methods, to_thread(); NULL unknown. */
const char *callable_name(struct walk *w, uint64_t fn);

/* uvloop.c: uvloop's objects, which have no attributes. */
/* The object among obj's own words whose class has that tp_name, or 0. */
uint64_t uvloop_member(struct walk *w, uint64_t obj, const char *class);
/* The descriptor of a UVHandle (stream, server, poll); -1 unknown. */
int uvloop_fd(struct walk *w, uint64_t obj);
/* Seconds of CLOCK_MONOTONIC at which a UVTimer fires; NaN: it is not armed. */
double uvloop_when(struct walk *w, uint64_t timer);
void uvloop_timers(struct walk *w, struct loop *l,
		   void (*timer)(struct walk *, struct loop *, double when, uint64_t callback, uint64_t args));
/* What loop.add_signal_handler() was given; how many were found. */
struct uvloop_signal { int number; uint64_t callable; };
/* The uv_loop_t of a uvloop.Loop; 0: it is none. */
uint64_t uvloop_handle(struct walk *w, uint64_t loop);
size_t uvloop_signals(struct walk *w, uint64_t loop, struct uvloop_signal *out, size_t max);

/* cython.c: a coroutine that Cython made; false if it is none. */
struct cython_coroutine {
	uint64_t id, closure;    /* closure: 0 none */
	uint64_t awaited;        /* what it awaits, 0 nothing */
	const char *name, *qualname; /* "Server.serve_forever" */
	const struct code *code; /* without lines; NULL none */
};
bool cython_read(struct walk *w, uint64_t obj, struct cython_coroutine *out);

/* peers.c: what the kernel says of the sockets waited for; live targets, not paused. */
void peers_ask(struct snapshot *s);
/* pipes.c: who else has the pipes open that are waited for; part of peers_ask(). */
void pipes_ask(struct snapshot *s);

/* groups.c: the group that left that callback on its child, its owner; 0 none. */
uint64_t group_of_callback(struct walk *w, uint64_t callback);
uint64_t group_owner(struct walk *w, uint64_t group);

/* allowance.c: what multiplies is kept within what the reader may spend; what is cut is
 * counted there. */
/* A copy of n members in the arena; *n: how many of them. */
void *walk_keep(struct walk *w, const void *v, size_t *n, size_t size);
/* A text that many tasks may share: it, or its beginning. */
const char *walk_text(struct walk *w, const char *s);
/* Whether a stack may have one more frame, its depth-th. */
bool walk_frame_room(struct walk *w, const struct frame *f, size_t depth);

/* stack.c: the await stack below a coroutine, or of the thread that runs it. */
struct stack_end {
	uint64_t awaited;        /* the object the innermost frame waits for, 0 none */
	bool running;            /* a frame of the chain is being executed */
	const struct frame *cleaning; /* the one that handles a CancelledError, or NULL */
};
struct stack walk_coroutine(struct walk *w, uint64_t coro, struct stack_end *end);
struct stack walk_running(struct walk *w, struct pythread *t, uint64_t coro);
/* The Python frames of a thread; false when memory is out. */
struct pystack;
bool walk_thread_frames(struct walk *w, struct pythread *t, struct pystack *out);
/* The address of a coroutine's frame while it runs, 0 unknown. */
uint64_t walk_root_frame(struct walk *w, uint64_t coro);
const struct frame *walk_frame(struct walk *w, const struct code *c, int64_t lasti);

/* greenlets.c: the frames of a suspended greenlet that a frame keeps in a local variable,
 * outermost first; how many, 0 where it keeps none. */
#define GREENLET_FRAMES_MAX 64
size_t walk_greenlet(struct walk *w, const struct pyframe *f, struct pyframe out[GREENLET_FRAMES_MAX]);

/* contexts.c */
/* Adds the context managers of a frame, the index-th of its stack and shown as `place`, to
 * w->contexts, and what they hold to w->holds as w->holds.who's. */
void walk_contexts(struct walk *w, const struct pyframe *f, bool suspended, size_t index,
		   const struct frame *place);
/* Gives what was added since the last call to a stack. */
void walk_contexts_keep(struct walk *w, struct stack *s);
/* holders.c: once all stacks were read, who has what tasks wait for. */
void walk_holders(struct walk *w);
/* Who is inside of a lock of threading's; NULL: nobody is seen to be. */
const struct holder *walk_lock_holders(struct walk *w, uint64_t lock, size_t *n);
/* contexts.c: the generator that runs a context manager made by contextlib, or 0. */
uint64_t walk_manager_generator(struct walk *w, uint64_t manager);
/* pools.c: who has what tasks wait for at a pool; after walk_holders(). */
void walk_pools(struct walk *w);
/* queues.c: who could end the waits at queues. */
void walk_queues(struct walk *w);
/* stack.c: the frame of a generator, async generator or coroutine that is suspended. */
bool walk_suspended(struct walk *w, uint64_t gen, struct pyframe *f);

/* future.c: futures and tasks of any implementation. */
enum future_state { FUTURE_PENDING, FUTURE_CANCELLED, FUTURE_FINISHED, FUTURE_UNKNOWN };
bool is_future(enum type_kind k);
bool is_task(enum type_kind k);
enum future_state future_state(struct walk *w, uint64_t f);
/* One field of a Future or Task, C by offset, pure-Python and foreign by name; 0 none. */
uint64_t future_field(struct walk *w, uint64_t f, int32_t offset, const char *name);
/* The done-callbacks of a future, in order. */
struct callback_iter { uint64_t first, list; int64_t i, n; };
void callbacks_begin(struct walk *w, uint64_t f, struct callback_iter *it);
bool callbacks_next(struct walk *w, struct callback_iter *it, uint64_t *callback);

/* awaits.c: who awaits whom. */
void walk_awaits(struct walk *w);
/* The value of a function's closure variable, or 0. */
uint64_t closure_get(struct walk *w, uint64_t function, const char *name);

/* threads.c */
void walk_threads(struct walk *w);
/* thread_waits.c: what a thread waits for that is blocked in the kernel; NULL: nothing known. */
const struct thread_wait *walk_thread_wait(struct walk *w, struct pythread *t);
/* What threading knows of it: its title, and whether it is a daemon. */
void walk_thread_object(struct walk *w, const struct pythread *t, struct thread_stack *out);
/* What the frames of threads are inside of that are no task's; before walk_holders(). */
void walk_thread_holds(struct walk *w);
/* anyio's worker thread whose call ends with that future; 0: none does. */
pid_t walk_worker_thread(struct walk *w, uint64_t future);

/* history_fill.c: what the agent in the target recorded of the tasks met, and of those
 * that ended. Nothing where there is no agent. */
void walk_history(struct walk *w);

/* native.c: C frames. NULL when memory is out. */
struct native_look *native_begin(struct walk *w);
/* Unwinds that thread's. out stays where it is. */
void native_unwind_thread(struct walk *w, struct native_look *n, const struct thread *thread,
			  struct thread_stack *out);
/* Of all unwound so far: sets frames and broken of each out, whose task is known, and native
 * of that task. */
void native_name_threads(struct walk *w, struct native_look *n);
void native_end(struct walk *w, struct native_look *n);

#endif

/* The agent's own parts: what its files give each other.
 *
 * Everything it records lies in the one region of wire.h (memory.c). All of it is
 * changed under one spin lock, which is held for short stretches without any call into
 * Python but Py_IncRef: no code can run and no thread can be suspended there. Nothing here
 * raises, waits or, but for the texts of what tasks failed with, allocates; what does not fit
 * is dropped and counted. */
#ifndef ASYNCMON_AGENT_AGENT_H
#define ASYNCMON_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/capi.h"
#include "agent/wire.h"
#include "symbols/layout.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* What only the agent reads, behind the header, in the same memory (so that a fork
 * empties all of it at once). */
struct list { uint32_t head, tail; };
#define PROFILE_PLACES (2 * AGENT_PROFILES)
struct agent_private {
	uint32_t free[AGENT_POOLS], committed[AGENT_POOLS];
	uint32_t *task_buckets, *node_buckets, *cell_buckets;
	uint32_t task_mask, node_mask, cell_mask;
	struct list ended, preserved, ancestors;
	uint32_t sweep;          /* where the search for unused nodes goes on */
	uint32_t events_committed; /* slots of the ring of events that are writable */
	uint8_t profile_places[PROFILE_PLACES]; /* by the hash of a code; 0: free */
};

extern struct agent_header *asyncmon_agent_header;
#define agent asyncmon_agent_header
extern struct agent_private *agent_private;
extern struct py_layout agent_layout;

/* memory.c */
struct agent_limits { uint64_t memory; uint32_t ended, preserved; };
/* Reserves the region and begins it; NULL or why not. Once a process. */
const char *memory_begin(const struct agent_limits *limits);
/* Grows when the region is emptied: what was remembered of it elsewhere is void. */
extern unsigned memory_epoch;
/* Empties it, as in the child of a fork. */
void memory_reset(void);
/* An item of a pool, 0 when it is full. Under the lock. */
uint32_t pool_take(enum agent_pool_name name);
void pool_give(enum agent_pool_name name, uint32_t item);
void agent_lock(void);
void agent_unlock(void);

/* clock.c */
void clock_begin(void);
uint64_t clock_ns(int clock);
uint64_t agent_now(void); /* CLOCK_MONOTONIC in nanoseconds, or a few microseconds off */

static inline void *pool_at(enum agent_pool_name name, uint32_t i)
{
	const struct agent_pool *p = &agent->pools[name];
	return (void *)(uintptr_t)(p->addr + (uint64_t)i * p->item_size);
}
static inline struct agent_task *task_at(uint32_t i)
{
	return (struct agent_task *)(uintptr_t)agent->pools[POOL_TASKS].addr + i;
}
static inline struct agent_cancel *cancel_at(uint32_t i)
{
	return (struct agent_cancel *)(uintptr_t)agent->pools[POOL_CANCELS].addr + i;
}
static inline struct agent_node *node_at(uint32_t i)
{
	return (struct agent_node *)(uintptr_t)agent->pools[POOL_NODES].addr + i;
}
static inline struct agent_cell *cell_at(uint32_t i)
{
	return (struct agent_cell *)(uintptr_t)agent->pools[POOL_CELLS].addr + i;
}
static inline struct agent_exception *exception_at(uint32_t i)
{
	return (struct agent_exception *)(uintptr_t)agent->pools[POOL_EXCEPTIONS].addr + i;
}
static inline struct agent_profile *profile_at(uint8_t i)
{
	return (struct agent_profile *)(uintptr_t)agent->profiles.addr + i;
}
static inline void count(enum agent_counter c) { agent->counters[c]++; }

/* objects.c: looking into Python objects. */
static inline void *field(const void *obj, int32_t offset)
{
	return *(void *const *)((const char *)obj + offset);
}
#define TYPE_HEAP (1ul << 9)       /* Py_TPFLAGS_HEAPTYPE */
static inline PyObject *type_of(const void *obj)
{
	return field(obj, agent_layout.object_type);
}
#define TEXT_BYTES 2048
struct text { size_t len; bool cut; char s[TEXT_BYTES]; };
void text_clear(struct text *t);
/* The text of a str; of one that is too long, an ellipsis is the end. False when obj is none. */
bool text_of_str(PyObject *obj, struct text *t);
/* A small int. */
bool int_value(PyObject *obj, int64_t *v);
/* More text at its end; of what does not fit, an ellipsis is the end. */
void text_put(struct text *t, const char *s, size_t n);
void text_put_str(struct text *t, const char *s);
void text_put_int(struct text *t, int64_t n);
bool text_put_object(struct text *t, PyObject *str); /* false: it is no str */
/* A type's name, with its module in front of it; and without. */
void text_put_type(struct text *t, PyObject *type);
void text_put_class(struct text *t, PyObject *type);
/* The traceback of an exception object, or NULL. */
PyObject *exception_traceback(PyObject *exc);

/* repr.c: what repr() gives of plain values; others are named. Makes objects of types that
 * the collector does not follow, and copies of containers; no error is set when it is called. */
enum type_slot { SLOT_REPR = 64, SLOT_STR = 112 }; /* by their distance from tp_name */
static inline void *slot_at(const void *type, enum type_slot s)
{
	return field(type, agent_layout.type_name + (int32_t)s);
}
#define REPR_DEPTH 8
struct repr {
	struct text *t;
	PyObject *open[REPR_DEPTH]; /* what is being written */
	int depth;
};
void repr_value(struct repr *p, PyObject *v);
/* False: it is among those that are being written, or too deep, and that is written. */
bool repr_enter(struct repr *p, PyObject *v, const char *again);
bool value_is(const void *type, const void *v); /* an instance of it, or of a subclass */

/* exceptions.c */
/* repr() of one: false, and nothing is written, when its class has a __repr__ of its own. */
bool repr_exception(struct repr *p, PyObject *exc);
/* What a task failed with, and what belongs to it, as a list of POOL_EXCEPTIONS; 0: no room.
 * Not under the lock. */
uint32_t exceptions_keep(PyObject *exc);

/* strings.c; under the lock. */
uint32_t string_keep(const struct text *t);  /* 0 when there is no room */
uint32_t string_keep_name(PyObject *name);   /* a task's name: str, or int of "Task-N" */
void string_drop(uint32_t s);
/* The text of one that is kept; "" of none. */
void string_get(uint32_t s, struct text *t);

/* stacks.c */
#define STACK_DEPTH 128
struct raw_frame { uint64_t code; int64_t lasti; };
struct raw_stack {               /* innermost first */
	unsigned n;
	bool cut;                /* there were more, further out */
	struct raw_frame frames[STACK_DEPTH];
};
/* The running thread's frames. */
void stack_of_thread(struct raw_stack *s);
/* Adds the function's that an interpreter's frame (3.11+) runs; false: the stack ends here. A
 * frame of no Python function is passed over. */
bool stack_push_iframe(struct raw_stack *s, const void *f);
/* The i-th argument of the call of a Python function of that name which is among the
 * innermost frames of this thread; NULL: there is none. Borrowed. */
PyObject *argument_of_caller(const char *function, unsigned i);
/* The frames of a traceback, up to an entry that has that mark (0: none has). */
void stack_of_traceback(PyObject *tb, uint32_t end, struct raw_stack *s);
/* What tells an entry of a traceback from others, also when it is gone: where it lies,
 * what it names, how many are below it. */
uint32_t traceback_mark(PyObject *tb);
/* The node of a stack, with one reference for the caller; 0 when it is empty or there
 * is no room. Under the lock. */
uint32_t stack_keep(const struct raw_stack *s);
void stack_drop(uint32_t node);
/* Lets go of code objects that stacks no longer name. Never under the lock. */
void stack_release_codes(void);
/* Forgets what was remembered beside the region, which is about to be emptied. */
void stacks_reset(void);
/* Of this thread; 0: the main one. */
int64_t interpreter_id(void);

/* tasks.c: the life of records; under the lock. */
struct agent_task *task_find(const void *task, uint32_t *index);
/* False: task_find() finds none, for sure. Without the lock, by whoever has the task. */
bool task_may_be_found(const void *task);
struct task_birth {
	const void *task;
	uint64_t at, parent_serial; /* 0: no task made it */
	uint32_t parent, stack;  /* stack: kept already */
	unsigned flags;
	uint64_t code;           /* of its coroutine; 0 unknown */
};
/* A new record, alive; NULL when there is no room. */
struct agent_task *task_new(const struct task_birth *b, uint32_t *index);
/* It was recorded, but never came to be. */
void task_undo(struct agent_task *t);
struct task_end {
	enum agent_outcome outcome;
	uint64_t at;
	uint32_t name, coro, exception, stack; /* kept already; now the record's */
};
/* An item of POOL_EXCEPTIONS, for which older records make room; 0: there is none. */
uint32_t exception_take(void);
/* Lets go of a list of them. */
void exceptions_drop(uint32_t list);
void task_finish(struct agent_task *t, const struct task_end *end);
/* The record of a task that ended a moment ago; NULL: it is not among the last ones. */
const struct agent_task *task_last(const void *task);
/* Another name, of one that ended. */
void task_rename(struct agent_task *t, PyObject *name);
/* A cancel request; strings and stack are kept already. */
struct cancel_request {
	uint64_t at, by, by_serial;
	uint32_t by_name, message, stack;
};
void task_cancel_asked(struct agent_task *t, const struct cancel_request *c);

/* profiles.c; under the lock. That of coroutines of a code object; 0: of no code, or of too
 * many others. */
uint8_t profile_of(uint64_t code);
void profile_stepped(uint8_t i, uint64_t took);
void profiles_reset(void);

/* events.c: what is written for somebody who reads along. */
bool events_wanted(uint64_t now);
/* Whether somebody does. Where nobody does this is all that events cost. */
static inline bool events_on(uint64_t now)
{
	return unlikely(agent->events.until) && events_wanted(now);
}
/* Texts, each ended by NUL, or frames. */
#define EVENT_MORE ((AGENT_EVENT_SLOTS - 1) * sizeof(((struct agent_event_more *)NULL)->text))
struct event_more { uint32_t length; char bytes[EVENT_MORE] __attribute__((aligned(8))); };
void event_add_text(struct event_more *m, const struct text *t);
/* Writes it down: number, thread and what says how much follows are seen to. Under the lock. */
void event_put(struct agent_event *e, const struct event_more *m);
/* A new process, whose only thread this is. */
void events_reset(void);
void event_ended(const struct agent_task *t);
void event_cancel(const struct agent_task *t, const struct cancel_request *c);
/* memory.c: makes more of the ring's slots writable; false: there is no memory. */
bool memory_commit_events(uint32_t *committed);

/* suspended.c: where a coroutine stands that was suspended a moment ago, innermost frame first,
 * and through which it got there. How many frames. */
unsigned suspended_frames(const void *coro, uint64_t *frames, unsigned max);

/* hooks.c: what runs in place of the target's functions. */
enum hook {
	HOOK_INIT, HOOK_DEALLOC,           /* slots of _asyncio.Task */
	HOOK_STEP, HOOK_WAKEUP_TYPE,       /* tp_call of the wrappers a loop is given */
	HOOK_WAKEUP,                       /* PyMethodDef, 3.10+ */
	HOOK_CANCEL, HOOK_SET_NAME, HOOK_SEND, HOOK_THROW, /* PyMethodDef */
	HOOK_REGISTER, HOOK_ENTER, HOOK_LEAVE, HOOK_SWAP, /* PyMethodDef: tasks of other makes */
	HOOK_SIGNAL,                       /* PyMethodDef: signal.signal */
	HOOK_RESULT, HOOK_EXCEPTION, HOOK_FUTURE_CANCEL, /* PyMethodDef: of _asyncio.Future */
	HOOKS
};
/* The functions as they were; set before a hook is. */
extern void *hook_original[HOOKS];
/* What to put in place of a function with those ml_flags (slots: 0); NULL: the agent
 * does not know functions of that kind. */
void *hook_function(enum hook h, int flags);
/* Coroutines of this code object are preserved from now on; false: no room. */
bool hooks_preserve(PyObject *code);
/* The agent starts: what threads were in when it was switched off is void. */
void hooks_begin(void);
/* Nothing that this thread does is recorded until it is called again. */
void hooks_mute(bool yes);
/* Names of arguments, and of attributes of pure-Python tasks; kept for ever. */
struct agent_names { PyObject *coro, *eager_start, *state_, *exception_, *coro_, *name_, *cancel; };
extern struct agent_names agent_names;

/* cancels.c: a task that may have had its cancel replaced before the agent came. */
void cancel_follow_known(PyObject *task);
/* Gives tasks their cancel back where a stand-in was put before it. */
void cancel_unfollow_all(void);

/* wraps.c: what stands in for functions in Python, which is slower than a hook and only
 * good enough for what is rare. Called like the function, calls it, says so. */
enum wrap {
	WRAP_REGISTER, WRAP_ENTER, WRAP_LEAVE, WRAP_SWAP, /* of asyncio.tasks */
	WRAP_CANCEL, WRAP_DEL,             /* methods of tasks in Python */
	WRAP_SIGNALLED,                    /* what a signal's handler had called soon */
	WRAPS
};
/* A new reference, or NULL with an error. A method is to be put into a class. */
PyObject *wrap_function(enum wrap w, PyObject *function);

/* signals.c */
struct signal_watch {
	PyObject *changed;       /* called with what signal.signal() was given */
	PyObject *marker;        /* a ContextVar: set while a handler runs */
	PyObject *after;         /* called with its value when one has run */
};
/* Kept until the process ends. */
void signals_watch(const struct signal_watch *w);
/* Calls of that Python function from C, with a signal's number and a frame, are a signal's. */
void signals_handler(PyObject *function);
void signals_off(void);
/* Around what runs because a signal came. */
struct in_signal { bool yes; int number; const void *task; };
struct in_signal signal_begin(int number); /* 0: that of the handler that had this called */
void signal_end(const struct in_signal *before);

/* patch.c: putting them there and taking them away. */
struct patch_targets {
	PyObject *task_type;     /* _asyncio.Task */
	PyObject *subclasses;    /* list: its subclasses, all levels */
	PyObject *step, *wakeup; /* the two callables a loop is given to run a task */
	PyObject *cancel, *set_name, *init; /* descriptors of Task */
	PyObject *send, *throw_; /* of coroutines */
	PyObject *register_, *enter, *leave, *swap; /* builtins of _asyncio, or None */
	PyObject *signal;        /* _signal.signal, or None */
	PyObject *result, *exception, *future_cancel; /* descriptors of _asyncio.Future */
};
/* NULL, or why the objects are not what they should be (then nothing was changed). */
const char *patch_on(const struct patch_targets *p);
/* Where a type has its tp_call and its tp_dealloc. */
static inline int32_t slot_call(void) { return agent_layout.type_name + 104; }
static inline int32_t slot_dealloc(void) { return agent_layout.type_name + 24; }
/* Puts back all that is still the agent's. */
void patch_off(void);
/* An interpreter ends, and what is in its memory with it. */
void patch_forget(int64_t interpreter);

#endif

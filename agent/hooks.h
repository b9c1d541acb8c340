/* What the hooks share: the task this thread is in, the life of its record.
 *
 * hooks.c has tasks of _asyncio (creation, steps), ends.c how and where tasks ended,
 * cancels.c the requests to cancel them, foreign.c tasks of other makes, wraps.c what stands in for functions in Python,
 * signals.c the handlers of signals. Inside this folder. */
#ifndef ASYNCMON_AGENT_HOOKS_H
#define ASYNCMON_AGENT_HOOKS_H

#include "agent/agent.h"

/* The task this thread's loop is in. */
struct current { const void *task; uint64_t serial; uint32_t index; uint16_t era; bool foreign; };
extern __thread struct current current;
/* Which start of the agent it is: what a thread was in before is left over. */
extern uint16_t agent_era;
#define ERA_ASKED 0xffffu
/* Whether `current` is to be believed; may have it told by asyncio first. */
bool current_holds_slowly(void);
static inline bool current_holds(void)
{
	return likely(current.era == agent_era) || current_holds_slowly();
}
/* While the agent runs a task of its own. */
extern __thread bool hooks_muted;

static inline bool hooks_active(void)
{
	return likely(agent->on && !hooks_muted);
}

enum { FUTURE_PENDING, FUTURE_CANCELLED, FUTURE_FINISHED };

static inline int future_state(const void *task)
{
	return *((const uint8_t *)task + agent_layout.future_state);
}

/* told.c: events that look into objects; the functions *_look do so, without the lock. */
struct event_birth { uint64_t loop; struct event_more more; };
void event_birth_look(struct event_birth *b, PyObject *task, PyObject *coro, bool foreign);
void event_created(const struct agent_task *t, const struct event_birth *b, unsigned how);
void event_met(const struct agent_task *t);
void event_named(const struct current *c, PyObject *name);
/* future: what it was told of, or NULL. */
void event_begun(const struct agent_task *t, uint64_t at, const void *future);
struct event_pause { uint64_t frame; const void *on; enum agent_suspended how; struct event_more more; };
void event_pause_look(struct event_pause *p, PyObject *task, PyObject *coro, bool foreign);
void event_paused(const struct agent_task *t, uint64_t at, const struct event_pause *p);

/* Records a task that is being made; false: no room. */
bool task_born(const void *task, const void *coro, unsigned flags, struct current *c);
/* Tells of its making, where somebody reads along. how: of the event. */
void tell_created(PyObject *task, PyObject *coro, const struct current *c, unsigned how);
/* The record of a current, if it is still of that task. Under the lock. */
struct agent_task *current_record(const struct current *c);
/* The record of a task, one begun now for a task met for the first time. Under the lock. */
struct agent_task *task_find_or_adopt(const void *task, uint64_t now, unsigned flags, uint32_t *index);
void task_stepped(struct agent_task *t, uint64_t from, uint64_t to);

struct step { struct current before; uint64_t from; };
/* future: what the task is told of, or NULL. */
void step_begin(struct step *s, PyObject *task, unsigned flags, const void *future);

/* ends.c: what a coroutine is called, "" where it is none. */
void coro_text(PyObject *coro, struct text *t);
/* What is to be said of an end, read before the lock is taken. */
struct end_texts {
	struct task_end end;
	PyObject *name;
	struct text coro;
	unsigned epoch;          /* memory_epoch when the exception was kept */
	struct raw_stack stack;
};
void task_end_describe(struct end_texts *e, int state, PyObject *exc, PyObject *coro, PyObject *name);
/* Of a task of _asyncio, in a step (NULL: in none). */
void task_end_describe_c(struct end_texts *e, PyObject *task, PyObject *coro, const struct current *c);
/* Under the lock. Without a record (NULL) what was kept for it is let go. */
void task_end(struct agent_task *t, struct end_texts *e, const void *coro, uint64_t now);

/* A coroutine or generator of CPython's own, and the code of one. */
bool is_generator(const void *coro);
uint64_t coroutine_code(const void *coro);
/* Whether a coroutine has not begun. */
bool coroutine_is_new(const void *coro);

/* stood.c: where a task of 3.8's _asyncio stood, in its record's end_stack while it lives. */
struct stood { struct raw_stack stack; const void *exc; };
/* Before exc is thrown in; stack.n is 0 where there is nothing to keep. */
void stood_look(struct stood *s, PyObject *coro, PyObject *exc);
/* Under the lock: it goes on; after a step with it; it is void. */
void stood_keep(struct agent_task *t, const struct stood *s);
void stood_stepped(struct agent_task *t, const void *coro);
void stood_forget(struct agent_task *t);

/* foreign.c: tasks of other makes, told by what asyncio is told of them. `result` is what
 * the function that was told gave; NULL: it failed. */
bool is_c_task(PyObject *task);
/* The same of futures of _asyncio, tasks included. */
bool is_c_future(const void *obj);
/* What frees one; of FutureType. */
extern const void *future_dealloc;
void foreign_registered(PyObject *task, PyObject *result);
void foreign_entered(PyObject *task, PyObject *result);
void foreign_left(PyObject *task, PyObject *result);
void foreign_swapped(PyObject *task, PyObject *result);
void foreign_gone(PyObject *task);
int foreign_state(PyObject *task);
/* A new reference, or NULL; no error is left set. */
PyObject *foreign_attribute(PyObject *obj, PyObject *name);

/* cancels.c: calls a function in Python that asks a task to cancel, and records that. What
 * it asks of the same task in turn is the same request. */
struct cancel_call {
	PyObject *task, *message, *function, *args, *kwargs;
	bool pending;
	unsigned flags;          /* of a record that is begun for it */
};
PyObject *cancel_through(const struct cancel_call *c);
/* A function that was put in the place of cancel on a task of _asyncio: what is asked of
 * it is recorded too, from the end of that task's step on. */
void cancel_follow(PyObject *task);
/* Where a task of _asyncio has its dict of attributes; -1: as CPython manages it. */
extern int32_t future_dict;
/* _asyncio.Task and where it has inline values, 0: it has none. */
extern const void *future_type;
extern int32_t future_values;
/* Whether it may have attributes of its own: almost none has. Managed ones (3.13+,
 * Include/internal/pycore_object.h, pycore_dict.h) are in a dict before the object or
 * in values behind it: PyDictValues begins with a capacity and a size of a byte each. */
enum { INLINE_VALUES = 1 << 2 };
static inline bool has_attributes(const void *task)
{
	const struct py_layout *l = &agent_layout;
	if (future_dict >= 0)
		return future_dict && field(task, future_dict);
	if (field(task, l->free_threaded ? -8 : -24))
		return true;
	const void *type = type_of(task);
	if (likely(type == future_type))
		return future_values && ((const uint8_t *)task)[future_values + 1];
	if (!((uintptr_t)field(type, l->type_flags) & INLINE_VALUES) || l->dictvalues_valid < 0)
		return false;
	const uint8_t *values = (const uint8_t *)task + (intptr_t)field(type, l->type_basicsize);
	return values[l->dictvalues_valid] && values[1];
}
/* The i-th argument of a call, or the first by name; borrowed, or NULL. */
PyObject *argument(PyObject *args, PyObject *kwargs, Py_ssize_t i);

typedef PyObject *(*fastcall_keywords)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *(*method_call)(PyObject *, PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

/* ends.c, cancels.c, foreign.c, futures.c: what hook_function() gives for their hooks. */
void *hook_function_coroutine(enum hook h, int flags);
void *hook_function_cancel(int flags);
void *hook_function_foreign(enum hook h, int flags);
void *hook_function_future(enum hook h, int flags);

/* signals.c: handlers of signal.signal(). Whether it is a signal's handler that runs, and not something it started. */
bool in_signal(int *number);
void *hook_function_signal(int flags);

extern __attribute__((weak)) char _Py_TrueStruct, _Py_FalseStruct;
extern __attribute__((weak)) PyObject *PyObject_GenericGetAttr(PyObject *, PyObject *);
extern __attribute__((weak)) int PyObject_GenericSetAttr(PyObject *, PyObject *, PyObject *);

#endif

/* What the hooks share: the task this thread is in, the life of its record.
 *
 * hooks.c has tasks of _asyncio (creation, steps, end), cancels.c the requests to cancel
 * them, foreign.c tasks of other makes. Inside this folder. */
#ifndef ASYNCMON_AGENT_HOOKS_H
#define ASYNCMON_AGENT_HOOKS_H

#include "agent/agent.h"

/* The task this thread's loop is in. */
struct current { const void *task; uint64_t serial; uint32_t index; bool foreign; };
extern __thread struct current current;
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

/* Records a task that is being made; false: no room. */
bool task_born(const void *task, const void *coro, unsigned flags, struct current *c);
/* The record of a current, if it is still of that task. Under the lock. */
struct agent_task *current_record(const struct current *c);
/* The record of a task, one begun now for a task met for the first time. Under the lock. */
struct agent_task *task_find_or_adopt(const void *task, uint64_t now, unsigned flags, uint32_t *index);
void task_stepped(struct agent_task *t, uint64_t from, uint64_t to);

struct step { struct current before; uint64_t from; };
void step_begin(struct step *s, PyObject *task, unsigned flags);

/* What is to be said of an end, read before the lock is taken. */
struct end_texts {
	struct task_end end;
	PyObject *name;
	struct text coro, type, message;
	bool has_type, has_message;
	struct raw_stack stack;
};
void task_end_describe(struct end_texts *e, int state, PyObject *exc, PyObject *coro, PyObject *name);
/* Under the lock. */
void task_end(struct agent_task *t, struct end_texts *e, const void *coro, uint64_t now);

typedef PyObject *(*fastcall_keywords)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *(*method_call)(PyObject *, PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

/* cancels.c, foreign.c: what hook_function() gives for their hooks. */
void *hook_function_cancel(int flags);
void *hook_function_foreign(enum hook h, int flags);

extern __attribute__((weak)) char _Py_TrueStruct;
extern __attribute__((weak)) PyObject *PyObject_GenericGetAttr(PyObject *, PyObject *);

#endif

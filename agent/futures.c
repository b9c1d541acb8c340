/* Futures of _asyncio that are done: which tasks become ready by that, and who did it. A
 * task that ends makes those ready that wait for it without any of these functions; that is
 * told by its end. */
#include "agent/hooks.h"

#include <string.h>

extern __attribute__((weak)) void PyCriticalSection_Begin(void *, PyObject *);
extern __attribute__((weak)) void PyCriticalSection_End(void *);

#define READY_MAX 64             /* tasks that wait for one future and are told of */

/* The task that a done-callback wakes, or NULL. */
static const void *task_of_callback(const void *cb)
{
	const struct py_layout *l = &agent_layout;
	if (type_of(cb) == (PyObject *)&PyCFunction_Type) {
		const struct PyMethodDef *def = field(cb, l->cfunction_def);
		return def && def->meth == hook_function(HOOK_WAKEUP, METH_O) ? field(cb, l->cfunction_self) : NULL;
	}
	bool wrapper = field(type_of(cb), slot_call()) == hook_function(HOOK_WAKEUP_TYPE, 0);
	return wrapper ? field(cb, l->stepwrapper_task) : NULL;
}

static unsigned add(const void **tasks, unsigned n, const void *cb)
{
	const void *task = cb ? task_of_callback(cb) : NULL;
	if (task && n < READY_MAX)
		tasks[n++] = task;
	return n;
}

/* A first callback, and a list of tuples (callback, context) of the others. */
static unsigned who_waits(PyObject *future, const void **tasks)
{
	const struct py_layout *l = &agent_layout;
	uintptr_t section[4];
	bool lock = l->free_threaded && PyCriticalSection_Begin;
	if (lock)
		PyCriticalSection_Begin(section, future);
	unsigned n = add(tasks, 0, field(future, l->future_callback0));
	PyObject *list = field(future, l->future_callbacks);
	bool is_list = list && type_of(list) == (PyObject *)&PyList_Type;
	for (Py_ssize_t i = 0; is_list && n < READY_MAX && i < PyList_Size(list); i++) {
		PyObject *pair = PyList_GetItem(list, i);
		if (pair && type_of(pair) == (PyObject *)&PyTuple_Type)
			n = add(tasks, n, field(pair, l->tuple_items));
	}
	if (lock)
		PyCriticalSection_End(section);
	return n;
}

static __attribute__((noinline)) void ready(PyObject *future, enum agent_ready how)
{
	const void *tasks[READY_MAX];
	uint64_t now = agent_now();
	uint32_t i;
	if (!hooks_active() || !events_on(now) || future_state(future) != FUTURE_PENDING)
		return;
	unsigned n = who_waits(future, tasks);
	bool by_task = n && current_holds();
	agent_lock();
	for (unsigned k = 0; k < n; k++) {
		const struct agent_task *t = task_find(tasks[k], &i);
		if (t)
			event_put(&(struct agent_event){
				.kind = AGENT_EVENT_READY, .how = (uint8_t)how,
				.at = now, .serial = t->serial, .by = by_task ? current.serial : 0,
				.object = (uint64_t)(uintptr_t)future,
			}, NULL);
	}
	agent_unlock();
}

static inline void done(PyObject *future, enum agent_ready how)
{
	if (unlikely(agent->events.until))
		ready(future, how);
}

/* Each kind of function that one of these three is in some version. */
#define HOOKS_OF(name, hook, how) \
static PyObject *name##_one(PyObject *self, PyObject *arg) \
{ \
	done(self, how); \
	return ((PyCFunction)hook_original[hook])(self, arg); \
} \
static PyObject *name##_keywords(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) \
{ \
	done(self, how); \
	return ((fastcall_keywords)hook_original[hook])(self, args, n, names); \
} \
static PyObject *name##_method(PyObject *self, PyObject *cls, PyObject *const *args, Py_ssize_t n, \
			       PyObject *names) \
{ \
	done(self, how); \
	return ((method_call)hook_original[hook])(self, cls, args, n, names); \
}
HOOKS_OF(hook_result, HOOK_RESULT, AGENT_READY_RESULT)
HOOKS_OF(hook_exception, HOOK_EXCEPTION, AGENT_READY_EXCEPTION)
HOOKS_OF(hook_future_cancel, HOOK_FUTURE_CANCEL, AGENT_READY_CANCELLED)

void *hook_function_future(enum hook h, int flags)
{
	const int keywords = METH_FASTCALL | METH_KEYWORDS;
	void *const of[3][3] = {
		{ (void *)hook_result_one, (void *)hook_result_keywords, (void *)hook_result_method },
		{ (void *)hook_exception_one, (void *)hook_exception_keywords, (void *)hook_exception_method },
		{ (void *)hook_future_cancel_one, (void *)hook_future_cancel_keywords,
		  (void *)hook_future_cancel_method },
	};
	void *const *f = of[h - HOOK_RESULT];
	return flags == METH_O || flags == METH_NOARGS ? f[0]
	       : flags == keywords		     ? f[1]
	       : flags == (keywords | METH_METHOD)   ? f[2] : NULL;
}

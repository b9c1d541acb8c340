/* Tasks that are no _asyncio.Task (the pure-Python one, other libraries'): _asyncio's own
 * functions are told of them, up to 3.13. */
#include "agent/hooks.h"

#include <string.h>

static __thread struct step foreign_step;

static bool is_c_task(PyObject *task)
{
	/* Every interpreter has a Task type of its own from 3.12 on; all are freed by
	 * one function. */
	PyObject *type = type_of(task);
	for (int depth = 0; type && depth < 32; depth++, type = field(type, agent_layout.type_base)) {
		void *dealloc = field(type, slot_dealloc());
		if (dealloc == hook_function(HOOK_DEALLOC, 0) || dealloc == hook_original[HOOK_DEALLOC])
			return true;
	}
	return false;
}

static PyObject *attribute(PyObject *obj, PyObject *name)
{
	PyObject *v = PyObject_GenericGetAttr(obj, name);
	if (!v)
		PyErr_Clear();
	return v;
}

static void registered(PyObject *task, PyObject *result)
{
	struct current c;
	if (!result || !task || !hooks_active() || is_c_task(task))
		return;
	PyObject *coro = attribute(task, agent_names.coro_);
	task_born(task, coro, AGENT_FOREIGN, &c);
	if (coro)
		Py_DecRef(coro);
	stack_release_codes();
}

static void entered(PyObject *task, PyObject *result)
{
	if (!result || !task || !hooks_active())
		return;
	if (!is_c_task(task)) {
		step_begin(&foreign_step, task, AGENT_FOREIGN);
		return;
	}
	struct current c = { .task = task };
	agent_lock();
	struct agent_task *t = task_find(task, &c.index);
	if (t)
		c.serial = t->serial;
	agent_unlock();
	current = c;
}

/* `_state` is text: "PENDING", "CANCELLED", "FINISHED". */
static int foreign_state(PyObject *task)
{
	struct text t = { .len = 0 };
	PyObject *v = attribute(task, agent_names.state_);
	if (v) {
		text_of_str(v, &t);
		Py_DecRef(v);
	}
	return t.len == 9 && memcmp(t.s, "CANCELLED", 9) == 0 ? FUTURE_CANCELLED
	       : t.len == 8 && memcmp(t.s, "FINISHED", 8) == 0 ? FUTURE_FINISHED : FUTURE_PENDING;
}

static void left_foreign(PyObject *task, const struct current *c)
{
	uint64_t to = agent_now();
	int state = foreign_state(task);
	struct end_texts e;
	PyObject *exc = NULL, *coro = NULL, *name = NULL;
	bool done = state != FUTURE_PENDING;
	if (done) {
		exc = attribute(task, agent_names.exception_);
		coro = attribute(task, agent_names.coro_);
		name = attribute(task, agent_names.name_);
		task_end_describe(&e, state, exc, coro, name);
	}
	agent_lock();
	struct agent_task *t = current_record(c);
	if (t) {
		task_stepped(t, foreign_step.from, to);
		t->step_start = 0;
		if (done)
			task_end(t, &e, coro, to);
	}
	agent_unlock();
	if (exc)
		Py_DecRef(exc);
	if (coro)
		Py_DecRef(coro);
	if (name)
		Py_DecRef(name);
}

static void left(PyObject *task, PyObject *result)
{
	struct current c = current;
	if (!result || !hooks_active())
		return;
	current = (struct current){ 0 };
	if (!task || c.task != task || !c.foreign)
		return;
	PyObject *type, *value, *tb;
	PyErr_Fetch(&type, &value, &tb);
	left_foreign(task, &c);
	PyErr_Restore(type, value, tb);
}

static PyObject *nth(PyObject *const *args, Py_ssize_t n, Py_ssize_t i)
{
	return n > i ? args[i] : NULL;
}

static PyObject *hook_register(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_REGISTER])(m, args, n, names);
	registered(nth(args, n, 0), r);
	return r;
}

static PyObject *hook_register_o(PyObject *m, PyObject *task)
{
	PyObject *r = ((PyCFunction)hook_original[HOOK_REGISTER])(m, task);
	registered(task, r);
	return r;
}

static PyObject *hook_enter(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_ENTER])(m, args, n, names);
	entered(nth(args, n, 1), r);
	return r;
}

static PyObject *hook_leave(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_LEAVE])(m, args, n, names);
	left(nth(args, n, 1), r);
	return r;
}

static PyObject *hook_swap(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_SWAP])(m, args, n, names);
	PyObject *task = nth(args, n, 1);
	if (task && task != Py_None)
		entered(task, r);
	else
		left(current.foreign ? (PyObject *)current.task : NULL, r);
	return r;
}

void *hook_function_foreign(enum hook h, int flags)
{
	const bool keywords = flags == (METH_FASTCALL | METH_KEYWORDS);
	switch (h) {
	case HOOK_REGISTER:
		return keywords ? (void *)hook_register : flags == METH_O ? (void *)hook_register_o : NULL;
	case HOOK_ENTER: return keywords ? (void *)hook_enter : NULL;
	case HOOK_LEAVE: return keywords ? (void *)hook_leave : NULL;
	case HOOK_SWAP: return keywords ? (void *)hook_swap : NULL;
	default: return NULL;
	}
}

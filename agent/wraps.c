/* Builtins that stand in for Python functions of asyncio.tasks. Each has the function it
 * stands for as its self, so that every interpreter has its own, and none is looked for. */
#include "agent/hooks.h"

static PyObject *wrapped_register(PyObject *function, PyObject *args, PyObject *kwargs)
{
	PyObject *r = PyObject_Call(function, args, kwargs);
	foreign_registered(argument(args, kwargs, 0), r);
	return r;
}

/* (loop, task) */
static PyObject *wrapped_enter(PyObject *function, PyObject *args, PyObject *kwargs)
{
	PyObject *r = PyObject_Call(function, args, kwargs);
	foreign_entered(argument(args, NULL, 1), r);
	return r;
}

static PyObject *wrapped_leave(PyObject *function, PyObject *args, PyObject *kwargs)
{
	PyObject *r = PyObject_Call(function, args, kwargs);
	foreign_left(argument(args, NULL, 1), r);
	return r;
}

static PyObject *wrapped_swap(PyObject *function, PyObject *args, PyObject *kwargs)
{
	PyObject *r = PyObject_Call(function, args, kwargs);
	foreign_swapped(argument(args, NULL, 1), r);
	return r;
}

static PyObject *wrapped_cancel(PyObject *function, PyObject *args, PyObject *kwargs)
{
	PyObject *task = argument(args, NULL, 0);
	if (!task || !hooks_active())
		return PyObject_Call(function, args, kwargs);
	return cancel_through(&(struct cancel_call){
		.task = task,
		.pending = foreign_state(task) == FUTURE_PENDING,
		.flags = AGENT_FOREIGN,
		.message = argument(args, kwargs, 1),
		.function = function, .args = args, .kwargs = kwargs,
	});
}

static PyObject *wrapped_del(PyObject *function, PyObject *args, PyObject *kwargs)
{
	PyObject *task = argument(args, NULL, 0);
	if (task)
		foreign_gone(task);
	return PyObject_Call(function, args, kwargs);
}

static PyObject *wrapped_signalled(PyObject *function, PyObject *args, PyObject *kwargs)
{
	struct in_signal before = signal_begin(0);
	PyObject *r = PyObject_Call(function, args, kwargs);
	signal_end(&before);
	return r;
}

#define WRAPPED(name, f, doc) { name, (void *)f, METH_VARARGS | METH_KEYWORDS, doc }
static struct PyMethodDef defs[WRAPS] = {
	[WRAP_REGISTER] = WRAPPED("_register_task", wrapped_register, NULL),
	[WRAP_ENTER] = WRAPPED("_enter_task", wrapped_enter, NULL),
	[WRAP_LEAVE] = WRAPPED("_leave_task", wrapped_leave, NULL),
	[WRAP_SWAP] = WRAPPED("_swap_current_task", wrapped_swap, NULL),
	[WRAP_CANCEL] = WRAPPED("cancel", wrapped_cancel, NULL),
	[WRAP_DEL] = WRAPPED("__del__", wrapped_del, NULL),
	[WRAP_SIGNALLED] = WRAPPED("signalled", wrapped_signalled, NULL),
};

PyObject *wrap_function(enum wrap w, PyObject *function)
{
	PyObject *f = PyCFunction_NewEx(&defs[w], function, NULL);
	if (!f || (w != WRAP_CANCEL && w != WRAP_DEL))
		return f;
	PyObject *method = PyInstanceMethod_New(f);
	Py_DecRef(f);
	return method;
}

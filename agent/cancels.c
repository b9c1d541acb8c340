/* Requests to cancel a task: the method behind Task.cancel. */
#include "agent/hooks.h"

struct asking { struct raw_stack stack; uint64_t at; bool wanted; };

static void asking(struct asking *a, PyObject *task)
{
	a->wanted = hooks_active() && future_state(task) == FUTURE_PENDING;
	if (!a->wanted)
		return;
	a->at = agent_now();
	stack_of_thread(&a->stack);
}

/* Recorded when the task took it: cancel() gave True. */
static void asked(struct asking *a, PyObject *task, PyObject *message, PyObject *result)
{
	struct text m;
	uint32_t i;
	if (!a->wanted || result != (PyObject *)&_Py_TrueStruct)
		return;
	bool has = message && message != Py_None;
	if (has && !text_of_str(message, &m))
		text_of_type(type_of(message), &m);
	PyObject *name = current.task && !current.foreign ? field(current.task, agent_layout.task_name) : NULL;
	agent_lock();
	struct agent_task *t = task_find_or_adopt(task, a->at, 0, &i);
	if (t)
		task_cancel_asked(t, &(struct cancel_request){
			.at = a->at,
			.by = (uint64_t)(uintptr_t)current.task,
			.by_serial = current.serial,
			.by_name = string_keep_name(name),
			.message = has ? string_keep(&m) : 0,
			.stack = stack_keep(&a->stack),
		});
	agent_unlock();
	stack_release_codes();
}

static PyObject *hook_cancel_noargs(PyObject *self, PyObject *unused)
{
	struct asking a;
	asking(&a, self);
	PyObject *r = ((PyCFunction)hook_original[HOOK_CANCEL])(self, unused);
	asked(&a, self, NULL, r);
	return r;
}

/* Its only argument is the message, by position or by name. */
static PyObject *message_of(PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	return n > 0 || names ? args[0] : NULL;
}

static PyObject *hook_cancel(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	struct asking a;
	asking(&a, self);
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_CANCEL])(self, args, n, names);
	asked(&a, self, message_of(args, n, names), r);
	return r;
}

static PyObject *hook_cancel_method(PyObject *self, PyObject *cls, PyObject *const *args,
				    Py_ssize_t n, PyObject *names)
{
	struct asking a;
	asking(&a, self);
	PyObject *r = ((method_call)hook_original[HOOK_CANCEL])(self, cls, args, n, names);
	asked(&a, self, message_of(args, n, names), r);
	return r;
}

void *hook_function_cancel(int flags)
{
	const int keywords = METH_FASTCALL | METH_KEYWORDS;
	return flags == METH_NOARGS		   ? (void *)hook_cancel_noargs
	       : flags == keywords		   ? (void *)hook_cancel
	       : flags == (keywords | METH_METHOD) ? (void *)hook_cancel_method : NULL;
}

/* Requests to cancel a task: the method behind Task.cancel, and functions that were put
 * in its place on one task (as aiotools' scopes do, which hold requests back). */
#include "agent/hooks.h"

int32_t future_dict, future_values;
const void *future_type;

/* The task whose request is being made already, by a function in place of its cancel. */
static __thread const void *underway;

/* Kept while the original runs, which asks what the task waits for in turn: so it is small. */
struct asking { uint64_t at; bool wanted; };

static void asking(struct asking *a, PyObject *task, bool pending)
{
	a->wanted = hooks_active() && pending && task != underway;
	if (a->wanted)
		a->at = agent_now();
}

/* The name of the task that asks, with a reference. A record that is alive is of a task
 * that is; `current` alone may be left over from before the agent was switched off. */
static PyObject *name_of_current(void)
{
	PyObject *task = (PyObject *)(uintptr_t)current.task;
	agent_lock();
	bool lives = current_record(&current) != NULL;
	agent_unlock();
	if (!lives)
		return NULL;
	if (current.foreign)
		return foreign_attribute(task, agent_names.name_);
	PyObject *name = field(task, agent_layout.task_name);
	if (name)
		Py_IncRef(name);
	return name;
}

/* The child whose end a task group is told of: TaskGroup._on_task_done(task), in aiotools
 * too, and what anyio's _spawn() has called. */
static const void *ended_child(void)
{
	PyObject *child = argument_of_caller("_on_task_done", 1);
	return child ? child : argument_of_caller("task_done", 0);
}

/* Recorded when the task took it. */
static __attribute__((noinline)) void record(const struct asking *a, PyObject *task, unsigned flags, PyObject *message)
{
	struct raw_stack stack;
	struct text m;
	uint32_t i;
	int number;
	/* It is as it was before the call. */
	stack_of_thread(&stack);
	bool has = message && message != Py_None, signal = in_signal(&number);
	bool task_asks = !signal && current_holds();
	if (has && !text_of_str(message, &m))
		text_put_type(&m, type_of(message));
	PyObject *name = task_asks ? name_of_current() : NULL;
	const void *ended = signal || task_asks ? NULL : ended_child();
	agent_lock();
	const struct agent_task *child = ended ? task_last(ended) : NULL;
	struct agent_task *t = task_find_or_adopt(task, a->at, flags, &i);
	if (t)
		task_cancel_asked(t, &(struct cancel_request){
			.at = a->at,
			.by = signal	  ? AGENT_BY_SIGNAL | (uint64_t)number << AGENT_SIGNAL_SHIFT
			      : task_asks ? (uint64_t)(uintptr_t)current.task
			      : child	  ? AGENT_BY_END : 0,
			.by_serial = task_asks ? current.serial : child ? child->serial : 0,
			.by_name = string_keep_name(name),
			.message = has ? string_keep(&m) : 0,
			.stack = stack_keep(&stack),
		});
	agent_unlock();
	if (name)
		Py_DecRef(name);
	stack_release_codes();
}

static void asked(const struct asking *a, PyObject *task, unsigned flags, PyObject *message, bool took)
{
	if (a->wanted && took)
		record(a, task, flags, message);
}

static PyObject *hook_cancel_noargs(PyObject *self, PyObject *unused)
{
	struct asking a;
	asking(&a, self, future_state(self) == FUTURE_PENDING);
	PyObject *r = ((PyCFunction)hook_original[HOOK_CANCEL])(self, unused);
	asked(&a, self, 0, NULL, r == (PyObject *)&_Py_TrueStruct);
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
	asking(&a, self, future_state(self) == FUTURE_PENDING);
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_CANCEL])(self, args, n, names);
	asked(&a, self, 0, message_of(args, n, names), r == (PyObject *)&_Py_TrueStruct);
	return r;
}

static PyObject *hook_cancel_method(PyObject *self, PyObject *cls, PyObject *const *args,
				    Py_ssize_t n, PyObject *names)
{
	struct asking a;
	asking(&a, self, future_state(self) == FUTURE_PENDING);
	PyObject *r = ((method_call)hook_original[HOOK_CANCEL])(self, cls, args, n, names);
	asked(&a, self, 0, message_of(args, n, names), r == (PyObject *)&_Py_TrueStruct);
	return r;
}

void *hook_function_cancel(int flags)
{
	const int keywords = METH_FASTCALL | METH_KEYWORDS;
	return flags == METH_NOARGS		   ? (void *)hook_cancel_noargs
	       : flags == keywords		   ? (void *)hook_cancel
	       : flags == (keywords | METH_METHOD) ? (void *)hook_cancel_method : NULL;
}

/* ---- functions in the place of cancel ---- */

static bool same_task(const void *task, uint64_t serial)
{
	uint32_t i;
	agent_lock();
	struct agent_task *t = task_find(task, &i);
	bool same = t && t->serial == serial;
	agent_unlock();
	return same;
}

PyObject *cancel_through(const struct cancel_call *c)
{
	struct asking a;
	const void *before = underway;
	asking(&a, c->task, c->pending);
	if (a.wanted)
		underway = c->task;
	PyObject *r = PyObject_Call(c->function, c->args, c->kwargs);
	underway = before;
	asked(&a, c->task, c->flags, c->message, r && r != (PyObject *)&_Py_FalseStruct);
	return r;
}

/* Stands in for the function; its own self is (function, task's address, serial). */
static PyObject *followed_cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
	unsigned long long address, serial;
	PyObject *function;
	if (!PyArg_ParseTuple(self, "OKK", &function, &address, &serial))
		return NULL;
	PyObject *task = (PyObject *)(uintptr_t)address;
	if (!hooks_active() || !same_task(task, serial))
		return PyObject_Call(function, args, kwargs);
	Py_IncRef(task);
	PyObject *r = cancel_through(&(struct cancel_call){
		.task = task,
		.pending = future_state(task) == FUTURE_PENDING,
		.message = argument(args, kwargs, 0),
		.function = function, .args = args, .kwargs = kwargs,
	});
	Py_DecRef(task);
	return r;
}

static struct PyMethodDef followed_def = {
	"cancel", (void *)followed_cancel, METH_VARARGS | METH_KEYWORDS, NULL,
};

PyObject *argument(PyObject *args, PyObject *kwargs, Py_ssize_t i)
{
	PyObject *key, *value;
	Py_ssize_t at = 0;
	if (PyTuple_Size(args) > i)
		return PyTuple_GetItem(args, i);
	return kwargs && PyDict_Next(kwargs, &at, &key, &value) ? value : NULL;
}

/* A function that is the task's own attribute, not its class's; with a reference. */
static PyObject *own_cancel(PyObject *task)
{
	PyObject *f = foreign_attribute(task, agent_names.cancel);
	bool own = f && (type_of(f) == (PyObject *)&PyFunction_Type ||
			 (type_of(f) == (PyObject *)&PyMethod_Type &&
			  field(f, agent_layout.method_self) != task));
	if (f && !own)
		Py_DecRef(f);
	return own ? f : NULL;
}

static void set_cancel(PyObject *task, PyObject *function)
{
	if (!function || PyObject_GenericSetAttr(task, agent_names.cancel, function) != 0)
		PyErr_Clear();
}

void cancel_follow(PyObject *task)
{
	uint32_t i;
	PyObject *f = own_cancel(task);
	if (!f)
		return;
	agent_lock();
	struct agent_task *t = task_find_or_adopt(task, agent_now(), 0, &i);
	unsigned long long serial = t ? t->serial : 0;
	if (t)
		t->flags |= AGENT_FOLLOWED;
	agent_unlock();
	PyObject *self = serial ? Py_BuildValue("(OKK)", f, (unsigned long long)(uintptr_t)task, serial) : NULL;
	PyObject *stand_in = self ? PyCFunction_NewEx(&followed_def, self, NULL) : NULL;
	set_cancel(task, stand_in);
	if (self)
		Py_DecRef(self);
	if (stand_in)
		Py_DecRef(stand_in);
	Py_DecRef(f);
}

void cancel_follow_known(PyObject *task)
{
	if (hooks_active() && is_c_task(task) && future_state(task) == FUTURE_PENDING && has_attributes(task))
		cancel_follow(task);
}

static void unfollow(PyObject *task)
{
	PyObject *f = foreign_attribute(task, agent_names.cancel);
	if (f && type_of(f) == (PyObject *)&PyCFunction_Type && field(f, agent_layout.cfunction_def) == &followed_def)
		set_cancel(task, PyTuple_GetItem(field(f, agent_layout.cfunction_self), 0));
	if (f)
		Py_DecRef(f);
}

/* Without a GIL a task may be on its way out while its record says it lives: there the
 * stand-ins stay, and do no more than call what they stand for. */
void cancel_unfollow_all(void)
{
	if (agent_layout.free_threaded)
		return;
	for (uint32_t i = 1; i < agent->pools[POOL_TASKS].used; i++) {
		const struct agent_task *t = task_at(i);
		if (t->state == AGENT_ALIVE && t->flags & AGENT_FOLLOWED)
			unfollow((PyObject *)(uintptr_t)t->task);
	}
}

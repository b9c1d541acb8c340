/* Handlers of signal.signal(): what they do is not done by the task that they interrupt.
 *
 * CPython calls a handler from C, through the function's own vectorcall pointer, which a
 * call in Python code need not; so that pointer is what is hooked, on each function that
 * signal.signal() was given. What a handler has its loop call soon is known by a context
 * variable, which is set while the handler runs, and so in the contexts it copies. */
#include "agent/hooks.h"

typedef PyObject *(*vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *);

#define HANDLERS_MAX 64
static PyObject *handlers[HANDLERS_MAX];
static unsigned n_handlers;
static vectorcall original;
static struct signal_watch watch;
static uint64_t signals_seen;
static __thread struct in_signal now;

/* The marker of a handler's run: how many there were, and the signal in the low byte. */
static int number_of(PyObject *marker)
{
	int64_t v;
	return marker && int_value(marker, &v) ? (int)(v & 0xff) : 0;
}

/* The signal whose handler had this call made, by its context. */
static int number_in_context(void)
{
	PyObject *marker = NULL;
	int number = 0;
	if (watch.marker && PyContextVar_Get && PyContextVar_Get(watch.marker, NULL, &marker) == 0)
		number = number_of(marker);
	PyErr_Clear();
	if (marker)
		Py_DecRef(marker);
	return number;
}

struct in_signal signal_begin(int number)
{
	struct in_signal before = now;
	now = (struct in_signal){ true, number ? number : number_in_context(), current.task };
	return before;
}

void signal_end(const struct in_signal *before)
{
	now = *before;
}

bool in_signal(int *number)
{
	*number = now.number;
	return now.yes && now.task == current.task;
}

/* A bound self and what a partial has go before the signal's number and frame. */
#define ARGUMENTS_MAX 8

/* The signal of a call with (…, number, frame), 0: it is no handler's. Arguments by name come
 * behind, and do not matter. A number of CPython's own is no Signals. */
static int signal_of(PyObject *const *args, size_t n)
{
	int64_t number;
	bool is = n >= 2 && n <= ARGUMENTS_MAX && int_value(args[n - 2], &number) && number > 0 && number <= 64 &&
		  (args[n - 1] == Py_None || type_of(args[n - 1]) == (PyObject *)&PyFrame_Type);
	return is ? (int)number : 0;
}

/* The handler has run: its error, if any, is not touched. */
static void ran(PyObject *marker, PyObject *token)
{
	PyObject *type, *value, *tb, *r = NULL;
	PyErr_Fetch(&type, &value, &tb);
	if (token) {
		PyContextVar_Reset(watch.marker, token);
		PyErr_Clear();
		r = PyObject_CallFunctionObjArgs(watch.after, marker, NULL);
		Py_DecRef(token);
	}
	if (r)
		Py_DecRef(r);
	else
		PyErr_Clear();
	PyErr_Restore(type, value, tb);
}

static PyObject *hook_handler(PyObject *function, PyObject *const *args, size_t nf, PyObject *names)
{
	int number = hooks_active() ? signal_of(args, nf & ~((size_t)1 << 63)) : 0;
	if (!number)
		return original(function, args, nf, names);
	unsigned long long mark = (++signals_seen & 0xfffff) << 8 | (unsigned)number;
	PyObject *marker = Py_BuildValue("K", mark);
	PyObject *token = marker ? PyContextVar_Set(watch.marker, marker) : NULL;
	if (!token)
		PyErr_Clear();
	struct in_signal before = signal_begin(number);
	PyObject *r = original(function, args, nf, names);
	signal_end(&before);
	ran(marker, token);
	if (marker)
		Py_DecRef(marker);
	return r;
}

/* PyTypeObject.tp_vectorcall_offset */
static vectorcall *vectorcall_of(PyObject *function)
{
	intptr_t offset = (intptr_t)field(type_of(function), agent_layout.type_name + 32);
	return (vectorcall *)((char *)function + offset);
}

void signals_handler(PyObject *function)
{
	if (type_of(function) != (PyObject *)&PyFunction_Type || n_handlers == HANDLERS_MAX)
		return;
	vectorcall *at = vectorcall_of(function);
	if (*at == hook_handler || (original && *at != original))
		return;
	original = *at;
	Py_IncRef(function);
	handlers[n_handlers++] = function;
	__atomic_store_n(at, hook_handler, __ATOMIC_RELEASE);
}

void signals_watch(const struct signal_watch *w)
{
	Py_IncRef(w->changed);
	Py_IncRef(w->marker);
	Py_IncRef(w->after);
	watch = *w;
}

void signals_off(void)
{
	for (unsigned i = 0; i < n_handlers; i++) {
		vectorcall ours = hook_handler;
		__atomic_compare_exchange_n(vectorcall_of(handlers[i]), &ours, original, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
		Py_DecRef(handlers[i]);
	}
	n_handlers = 0;
}

typedef PyObject *(*fastcall)(PyObject *, PyObject *const *, Py_ssize_t);

static PyObject *hook_signal(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
	PyObject *r = ((fastcall)hook_original[HOOK_SIGNAL])(module, args, n);
	if (!r || n < 2 || !watch.changed || !hooks_active())
		return r;
	PyObject *said = PyObject_CallFunctionObjArgs(watch.changed, args[1], NULL);
	if (said)
		Py_DecRef(said);
	else
		PyErr_Clear();
	return r;
}

void *hook_function_signal(int flags)
{
	return flags == METH_FASTCALL ? (void *)hook_signal : NULL;
}

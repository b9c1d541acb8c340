/* _asyncmon_agent: the extension module by which asyncmon_agent.py starts and stops the
 * agent. Python's own objects (the module, its definition) are laid out by hand. */
#include "agent/agent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbols/tables.h"

struct py_layout agent_layout;

extern __attribute__((weak)) PyObject *PyUnicode_InternFromString(const char *);

static bool is_free_threaded(void)
{
	return strstr(Py_GetVersion(), "free-threading build") != NULL;
}

static PyObject *result(const char *why_not)
{
	return why_not ? Py_BuildValue("s", why_not) : Py_BuildValue("");
}

/* configure(hexversion, debug_build) -> None, or why not */
static PyObject *configure(PyObject *self, PyObject *args)
{
	(void)self;
	int hex, debug;
	bool exact;
	static char text[96];
	if (!PyArg_ParseTuple(args, "ii", &hex, &debug))
		return NULL;
	struct py_version v = py_version_of_hex((uint32_t)hex);
	const struct layout_table *t = layout_table_for(v, is_free_threaded(), debug, &exact);
	if (!t) {
		snprintf(text, sizeof text, "no layout is known for this build of Python %d.%d",
			 v.major, v.minor);
		return result(text);
	}
	if (agent && agent->magic == AGENT_MAGIC)
		return result(NULL);
	layout_from_table(&agent_layout, t);
	agent_layout.version = v;
	agent_names = (struct agent_names){
		.coro = PyUnicode_InternFromString("coro"),
		.eager_start = PyUnicode_InternFromString("eager_start"),
		.state_ = PyUnicode_InternFromString("_state"),
		.exception_ = PyUnicode_InternFromString("_exception"),
		.coro_ = PyUnicode_InternFromString("_coro"),
		.name_ = PyUnicode_InternFromString("_name"),
		.cancel = PyUnicode_InternFromString("cancel"),
	};
	return result(NULL);
}

/* verify_task(task, coro, name, exception, state) -> None, or what differs: what the
 * layout says against what the task says. */
static PyObject *verify_task(PyObject *self, PyObject *args)
{
	(void)self;
	const struct py_layout *l = &agent_layout;
	PyObject *task, *coro, *exc;
	const char *name, *qualname;
	int state;
	struct text t;
	if (!PyArg_ParseTuple(args, "OOssOi", &task, &coro, &name, &qualname, &exc, &state))
		return NULL;
	if (l->task_coro < 0 || field(task, l->task_coro) != coro)
		return result("tasks keep their coroutine elsewhere");
	PyObject *n = field(task, l->task_name);
	if (!n || !text_of_str(n, &t) || t.len != strlen(name) || memcmp(t.s, name, t.len) != 0)
		return result("tasks keep their name elsewhere");
	if (!text_of_str(field(coro, l->gen_qualname), &t) || t.len != strlen(qualname) ||
	    memcmp(t.s, qualname, t.len) != 0)
		return result("coroutines keep their name elsewhere");
	if (*((uint8_t *)task + l->future_state) != state)
		return result("tasks keep their state elsewhere");
	PyObject *e = field(task, l->future_exception);
	if ((e ? e : Py_None) != exc)
		return result("tasks keep their exception elsewhere");
	if (exc != Py_None && !exception_traceback(exc))
		return result("exceptions keep their traceback elsewhere");
	return result(NULL);
}

/* verify_cancelled(task, exception) -> None, or what differs. */
static PyObject *verify_cancelled(PyObject *self, PyObject *args)
{
	(void)self;
	const struct py_layout *l = &agent_layout;
	PyObject *task, *exc;
	if (!PyArg_ParseTuple(args, "OO", &task, &exc))
		return NULL;
	if ((l->future_cancelled_exc >= 0 && field(task, l->future_cancelled_exc) != exc) ||
	    (l->future_cancelled_tb >= 0 && field(task, l->future_cancelled_tb) != exception_traceback(exc)))
		return result("tasks keep what cancelled them elsewhere");
	return result(NULL);
}

/* verify_stack([(code, lasti), …], traceback or None): innermost first; the first frame,
 * whose instruction moves on, is compared by its code alone. */
static PyObject *verify_stack(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *list, *tb;
	struct raw_stack s;
	if (!PyArg_ParseTuple(args, "OO", &list, &tb))
		return NULL;
	if (tb == Py_None)
		stack_of_thread(&s);
	else
		stack_of_traceback(tb, 0, &s);
	Py_ssize_t n = PyList_Size(list);
	unsigned at = 0;
	for (Py_ssize_t i = 0; i < n && at < s.n; i++, at++) {
		PyObject *code;
		int lasti;
		if (!PyArg_ParseTuple(PyList_GetItem(list, i), "Oi", &code, &lasti))
			return NULL;
		/* Python does not show frames that were entered but not begun. */
		while (at < s.n && i > 0 && (s.frames[at].code != (uint64_t)(uintptr_t)code ||
					     s.frames[at].lasti != lasti))
			at++;
		if (at == s.n || s.frames[at].code != (uint64_t)(uintptr_t)code)
			return result("frames keep their code or instruction elsewhere");
	}
	if (!s.cut && n > (Py_ssize_t)s.n)
		return result("the stack has another depth");
	return result(NULL);
}

/* One interpreter has a lock for starting and stopping; this is for several. The child of a
 * fork may find it taken, by a thread that it does not have. */
static int32_t changing;

static bool change_begin(void)
{
	int32_t pid = getpid(), free = 0, other = __atomic_load_n(&changing, __ATOMIC_RELAXED);
	if (other != pid)
		free = other;
	return __atomic_compare_exchange_n(&changing, &free, pid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void change_end(void)
{
	__atomic_store_n(&changing, 0, __ATOMIC_RELEASE);
}

static const char busy[] = "another interpreter is starting or stopping the agent";

/* start(memory, ended, preserved, Task, subclasses, step, wakeup, cancel, set_name, init,
 *       send, throw, register, enter, leave, swap, signal, set_result, set_exception, cancel of
 *       Future) -> None, or why not */
static PyObject *start(PyObject *self, PyObject *args)
{
	(void)self;
	struct patch_targets p;
	struct agent_limits limits = { 0 };
	unsigned long long memory;
	if (!PyArg_ParseTuple(args, "KIIOOOOOOOOOOOOOOOOO", &memory, &limits.ended, &limits.preserved,
			      &p.task_type, &p.subclasses, &p.step, &p.wakeup, &p.cancel, &p.set_name,
			      &p.init, &p.send, &p.throw_, &p.register_, &p.enter, &p.leave, &p.swap,
			      &p.signal, &p.result, &p.exception, &p.future_cancel))
		return NULL;
	limits.memory = memory;
	const char *e = NULL;
	if (!change_begin())
		return result(busy);
	if (!agent || !agent->on) {
		hooks_begin();
		e = memory_begin(&limits);
	}
	if (!e)
		e = patch_on(&p);
	change_end();
	return result(e);
}

static PyObject *stop(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	if (!change_begin())
		return result(busy);
	if (agent && agent->on) {
		agent->on = 0;
		patch_off();
		signals_off();
		cancel_unfollow_all();
	}
	change_end();
	return result(NULL);
}

static PyObject *preserve(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *code;
	if (!PyArg_ParseTuple(args, "O", &code))
		return NULL;
	return result(hooks_preserve(code) ? NULL : "too many coroutines are preserved already");
}

static PyObject *mute(PyObject *self, PyObject *args)
{
	(void)self;
	int yes;
	if (!PyArg_ParseTuple(args, "p", &yes))
		return NULL;
	hooks_mute(yes);
	return result(NULL);
}

/* wrap(kind, function) -> what stands in for it */
static PyObject *wrap(PyObject *self, PyObject *args)
{
	(void)self;
	int kind;
	PyObject *function;
	if (!PyArg_ParseTuple(args, "iO", &kind, &function))
		return NULL;
	if (kind < 0 || kind >= WRAPS) {
		PyErr_SetString(PyExc_RuntimeError, "no such kind of function");
		return NULL;
	}
	return wrap_function((enum wrap)kind, function);
}

/* watch(changed, marker, after): see struct signal_watch */
static PyObject *watch(PyObject *self, PyObject *args)
{
	(void)self;
	struct signal_watch w;
	if (!PyArg_ParseTuple(args, "OOO", &w.changed, &w.marker, &w.after))
		return NULL;
	signals_watch(&w);
	return result(NULL);
}

static PyObject *handler(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *function;
	if (!PyArg_ParseTuple(args, "O", &function))
		return NULL;
	signals_handler(function);
	return result(NULL);
}

/* follow(task): where its cancel is another's function already */
static PyObject *follow(PyObject *self, PyObject *args)
{
	(void)self;
	PyObject *task;
	if (!PyArg_ParseTuple(args, "O", &task))
		return NULL;
	cancel_follow_known(task);
	return result(NULL);
}

static PyObject *interpreter(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	return Py_BuildValue("L", (long long)interpreter_id());
}

static PyObject *forget(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	patch_forget(interpreter_id());
	return result(NULL);
}

/* running() -> the agent's counters, or None when it is off */
static PyObject *running(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	if (!agent || !agent->on)
		return result(NULL);
	const uint64_t *c = agent->counters;
	return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "live", c[AGENT_LIVE], "ended",
			     c[AGENT_ENDED], "preserved", c[AGENT_PRESERVED], "ancestors",
			     c[AGENT_ANCESTORS], "tasks", c[AGENT_TASKS_SEEN], "cancels",
			     c[AGENT_CANCELS_SEEN], "dropped_tasks", c[AGENT_DROPPED_TASKS],
			     "dropped_stacks", c[AGENT_DROPPED_STACKS], "memory", agent->total);
}

static struct PyMethodDef methods[] = {
	{ "configure", (void *)configure, METH_VARARGS, NULL },
	{ "verify_task", (void *)verify_task, METH_VARARGS, NULL },
	{ "verify_cancelled", (void *)verify_cancelled, METH_VARARGS, NULL },
	{ "verify_stack", (void *)verify_stack, METH_VARARGS, NULL },
	{ "start", (void *)start, METH_VARARGS, NULL },
	{ "stop", (void *)stop, METH_NOARGS, NULL },
	{ "preserve", (void *)preserve, METH_VARARGS, NULL },
	{ "mute", (void *)mute, METH_VARARGS, NULL },
	{ "running", (void *)running, METH_NOARGS, NULL },
	{ "wrap", (void *)wrap, METH_VARARGS, NULL },
	{ "watch", (void *)watch, METH_VARARGS, NULL },
	{ "handler", (void *)handler, METH_VARARGS, NULL },
	{ "follow", (void *)follow, METH_VARARGS, NULL },
	{ "interpreter", (void *)interpreter, METH_NOARGS, NULL },
	{ "forget", (void *)forget, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

struct module_slot { int slot; void *value; };
enum { SLOT_MULTIPLE_INTERPRETERS = 3, SLOT_GIL = 4 };
#define STATICALLY_ALLOCATED 4   /* _Py_STATICALLY_ALLOCATED_FLAG of Include/object.h, 3.14+ */

__attribute__((visibility("default"))) PyObject *PyInit__asyncmon_agent(void);

/* Several interpreters and no GIL are fine (else a free-threaded Python would switch
 * its GIL on); older Pythons do not know these slots and must not see them. */
PyObject *PyInit__asyncmon_agent(void)
{
	static struct module_slot slots[3];
	static uint64_t def[24];
	int n = 0, minor = 0;
	for (const char *v = Py_GetVersion() + 2; *v >= '0' && *v <= '9'; v++)
		minor = minor * 10 + (*v - '0');
	if (minor >= 12)
		slots[n++] = (struct module_slot){ SLOT_MULTIPLE_INTERPRETERS, (void *)2 };
	if (minor >= 13)
		slots[n++] = (struct module_slot){ SLOT_GIL, (void *)1 };
	/* PyModuleDef: object header, m_init, m_index, m_copy, m_name, m_doc, m_size,
	 * m_methods, m_slots. The header is that of an object that is never freed. */
	size_t at = 2;
	if (is_free_threaded()) {
		at = 4;
		((uint32_t *)def)[3] = UINT32_MAX;
		if (minor >= 14) /* ob_flags, which 3.15 looks at */
			((uint16_t *)def)[4] = STATICALLY_ALLOCATED;
	} else {
		def[0] = 0x3fffffff;
	}
	def[at + 3] = (uint64_t)(uintptr_t)"_asyncmon_agent";
	def[at + 6] = (uint64_t)(uintptr_t)methods;
	def[at + 7] = (uint64_t)(uintptr_t)slots;
	return PyModuleDef_Init(def);
}

/* Tasks that are no _asyncio.Task: the pure-Python one, and those of other libraries.
 * Those of others tell _asyncio's functions of themselves (asyncio._register_task and
 * its like); asyncio.tasks' own do so up to 3.13, and from 3.14 on call functions of
 * that module, which wraps.c stands in for. */
#include "agent/hooks.h"

#include <string.h>

bool is_c_task(PyObject *task)
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

const void *future_dealloc;

bool is_c_future(const void *obj)
{
	const void *type = type_of(obj);
	for (int depth = 0; type && depth < 32; depth++, type = field(type, agent_layout.type_base))
		if (field(type, slot_dealloc()) == future_dealloc)
			return true;
	return false;
}

PyObject *foreign_attribute(PyObject *obj, PyObject *name)
{
	PyObject *v = PyObject_GenericGetAttr(obj, name);
	if (!v)
		PyErr_Clear();
	return v;
}

#define LOOKED_MAX 64
static PyObject *looked[LOOKED_MAX];   /* classes, kept for ever; those of this start of the agent */
static unsigned n_looked;
static uint16_t looked_era;

static bool looked_at(PyObject *type)
{
	bool known = false;
	agent_lock();
	if (looked_era != agent_era)
		n_looked = 0;
	looked_era = agent_era;
	for (unsigned i = 0; i < n_looked && !known; i++)
		known = looked[i] == type;
	if (!known && n_looked < LOOKED_MAX) {
		Py_IncRef(type);
		looked[n_looked++] = type;
	}
	agent_unlock();
	return known;
}

/* Its class may be one whose cancel nothing stands in for yet: asyncmon_agent.py, of this
 * interpreter, sees to that. Once a class: in Python code a signal's handler may run, and
 * what that raises (KeyboardInterrupt) would be lost here. */
static void look_at_class(PyObject *type)
{
	if (looked_at(type))
		return;
	PyObject *modules = PyImport_GetModuleDict();
	PyObject *module = modules ? PyDict_GetItemString(modules, "asyncmon_agent") : NULL;
	PyObject *look = module ? PyObject_GetAttrString(module, "_look_at_class") : NULL;
	PyObject *r = look ? PyObject_CallFunctionObjArgs(look, type, NULL) : NULL;
	if (!r)
		PyErr_Clear();
	else
		Py_DecRef(r);
	if (look)
		Py_DecRef(look);
}

/* The task that took its first step before it was registered: an eager one. */
static __thread struct current stepped_early;

void foreign_registered(PyObject *task, PyObject *result)
{
	struct current c = stepped_early;
	if (!result || !task || !hooks_active() || is_c_task(task))
		return;
	stepped_early = (struct current){ 0 };
	if (c.task == task) {
		agent_lock();
		bool known = current_record(&c) != NULL;
		agent_unlock();
		if (known)
			return;
	}
	PyObject *coro = foreign_attribute(task, agent_names.coro_);
	task_born(task, coro, AGENT_FOREIGN, &c);
	tell_created(task, coro, &c, 0);
	if (coro)
		Py_DecRef(coro);
	stack_release_codes();
	look_at_class(type_of(task));
}

static struct current current_of(PyObject *task, bool foreign)
{
	struct current c = { .task = task, .era = agent_era, .foreign = foreign };
	agent_lock();
	struct agent_task *t = task_find(task, &c.index);
	if (t)
		c.serial = t->serial;
	agent_unlock();
	return c;
}

/* What this thread was in before the tasks it is in: from 3.14 on asyncio knows no more
 * of a task of _asyncio in which one in Python is made eagerly. */
#define NESTED_MAX 16
static __thread struct { const void *task; struct current before; } nested[NESTED_MAX];
static __thread unsigned n_nested;

static void nest(PyObject *task, const struct current *before)
{
	/* Too deep, or entered and never left: the oldest go. */
	if (n_nested == NESTED_MAX)
		memmove(nested, nested + 1, --n_nested * sizeof *nested);
	nested[n_nested].task = task;
	nested[n_nested++].before = *before;
}

static struct current unnest(const void *task)
{
	for (unsigned i = n_nested; i-- > 0; ) {
		if (nested[i].task == task) {
			n_nested = i;
			return nested[i].before;
		}
	}
	return (struct current){ 0 };
}

static void enter(PyObject *task)
{
	struct step s;
	step_begin(&s, task, AGENT_FOREIGN, NULL);
	nest(task, &s.before);
}

void foreign_entered(PyObject *task, PyObject *result)
{
	if (!result || !task || !hooks_active())
		return;
	if (is_c_task(task))
		current = current_of(task, false);
	else
		enter(task);
}

/* `_state` is text: "PENDING", "CANCELLED", "FINISHED". */
int foreign_state(PyObject *task)
{
	struct text t = { .len = 0 };
	PyObject *v = foreign_attribute(task, agent_names.state_);
	if (v) {
		text_of_str(v, &t);
		Py_DecRef(v);
	}
	return t.len == 9 && memcmp(t.s, "CANCELLED", 9) == 0 ? FUTURE_CANCELLED
	       : t.len == 8 && memcmp(t.s, "FINISHED", 8) == 0 ? FUTURE_FINISHED : FUTURE_PENDING;
}

/* The end of a step, and of the task where it is done or going away. */
static void stepped(PyObject *task, const struct current *c, bool step, bool gone)
{
	uint64_t to = agent_now();
	int state = foreign_state(task);
	struct end_texts e;
	PyObject *exc = NULL, *coro = NULL, *name = NULL;
	bool done = gone || state != FUTURE_PENDING;
	if (done) {
		exc = foreign_attribute(task, agent_names.exception_);
		coro = foreign_attribute(task, agent_names.coro_);
		name = foreign_attribute(task, agent_names.name_);
		task_end_describe(&e, state, exc, coro, name);
	}
	bool tell = step && !done && events_on(to);
	struct event_pause pause;
	if (tell) {
		coro = foreign_attribute(task, agent_names.coro_);
		event_pause_look(&pause, task, coro, true);
	}
	agent_lock();
	struct agent_task *t = current_record(c);
	if (t && step) {
		task_stepped(t, t->step_start ? t->step_start : to, to);
		t->step_start = 0;
		t->flags &= (uint8_t)~AGENT_SWAPPED;
	}
	if (t && tell)
		event_paused(t, to, &pause);
	if (done)
		task_end(t, &e, coro, to);
	agent_unlock();
	if (exc)
		Py_DecRef(exc);
	if (coro)
		Py_DecRef(coro);
	if (name)
		Py_DecRef(name);
}

static void step_over(PyObject *task, const struct current *c)
{
	PyObject *type, *value, *tb;
	PyErr_Fetch(&type, &value, &tb);
	stepped(task, c, true, false);
	PyErr_Restore(type, value, tb);
}

void foreign_left(PyObject *task, PyObject *result)
{
	struct current c = current;
	if (!task || c.task != task)
		return;
	current = unnest(task);
	if (result && c.foreign && hooks_active())
		step_over(task, &c);
}

/* Whether it is in the middle of a step (then a swap goes back to it), and one that began
 * by a swap (then the next swap ends it). */
static bool in_a_step(const struct current *c, uint8_t flag)
{
	agent_lock();
	struct agent_task *t = current_record(c);
	bool yes = t && t->step_start && (t->flags & flag) == flag;
	agent_unlock();
	return yes;
}

static void step_by_swap(PyObject *task)
{
	enter(task);
	agent_lock();
	struct agent_task *t = current_record(&current);
	if (t)
		t->flags |= AGENT_SWAPPED;
	agent_unlock();
}

/* An eager task is swapped in before anything else is said of it: its coroutine has not
 * begun. */
static bool born_by_swap(PyObject *task, struct current *c)
{
	PyObject *coro = foreign_attribute(task, agent_names.coro_);
	bool born = coro && coroutine_is_new(coro) && task_born(task, coro, AGENT_FOREIGN, c);
	if (born)
		tell_created(task, coro, c, AGENT_EVENT_EAGER);
	if (coro)
		Py_DecRef(coro);
	return born;
}

void foreign_swapped(PyObject *task, PyObject *result)
{
	struct current before = current, next = { 0 };
	if (!result || !hooks_active())
		return;
	if (task && task != Py_None) {
		bool foreign = !is_c_task(task);
		next = current_of(task, foreign);
		bool born = foreign && !next.serial && born_by_swap(task, &next);
		if (born)
			stack_release_codes();
		if (foreign && !in_a_step(&next, 0)) {
			step_by_swap(task);
			return;
		}
	}
	if (before.foreign && in_a_step(&before, AGENT_SWAPPED)) {
		step_over((PyObject *)(uintptr_t)before.task, &before);
		stepped_early = before;
		struct current outer = unnest(before.task);
		if (!next.task)
			next = outer;
	}
	current = next;
}

void foreign_gone(PyObject *task)
{
	struct current c;
	if (!hooks_active())
		return;
	c = current_of(task, true);
	if (c.serial)
		stepped(task, &c, false, true);
}

static PyObject *nth(PyObject *const *args, Py_ssize_t n, Py_ssize_t i)
{
	return n > i ? args[i] : NULL;
}

static PyObject *hook_register(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_REGISTER])(m, args, n, names);
	foreign_registered(nth(args, n, 0), r);
	return r;
}

static PyObject *hook_register_o(PyObject *m, PyObject *task)
{
	PyObject *r = ((PyCFunction)hook_original[HOOK_REGISTER])(m, task);
	foreign_registered(task, r);
	return r;
}

static PyObject *hook_enter(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_ENTER])(m, args, n, names);
	foreign_entered(nth(args, n, 1), r);
	return r;
}

static PyObject *hook_leave(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_LEAVE])(m, args, n, names);
	foreign_left(nth(args, n, 1), r);
	return r;
}

static PyObject *hook_swap(PyObject *m, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *r = ((fastcall_keywords)hook_original[HOOK_SWAP])(m, args, n, names);
	foreign_swapped(nth(args, n, 1), r);
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

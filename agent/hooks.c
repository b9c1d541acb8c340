/* What runs in place of the target's functions. Each hook calls the original exactly
 * once, gives its result on, and leaves the error indicator as the original set it.
 * None calls Python code (but for one question to asyncio after a start), and none keeps
 * a reference to a task. */
#include "agent/hooks.h"

#include <string.h>

void *hook_original[HOOKS];
struct agent_names agent_names;

extern __attribute__((weak)) char PyGen_Type;

__thread struct current current;
uint16_t agent_era;

__thread bool hooks_muted;

void hooks_mute(bool yes)
{
	hooks_muted = yes;
}

void hooks_begin(void)
{
	agent_era = agent_era + 1u == ERA_ASKED ? 1 : agent_era + 1;
}

/* asyncio.current_task(), with a reference; NULL: none. */
static PyObject *current_by_asyncio(void)
{
	PyObject *modules = PyImport_GetModuleDict();
	PyObject *tasks = modules ? PyDict_GetItemString(modules, "asyncio.tasks") : NULL;
	PyObject *f = tasks ? PyObject_GetAttrString(tasks, "current_task") : NULL;
	PyObject *task = f ? PyObject_CallFunctionObjArgs(f, NULL) : NULL;
	if (!task)
		PyErr_Clear();
	if (f)
		Py_DecRef(f);
	if (task == Py_None) {
		Py_DecRef(task);
		task = NULL;
	}
	return task;
}

/* A thread may be in a step that began before the agent came. That is asked for once, and
 * what was answered is asked again each time: its end will not be seen. */
bool current_holds_slowly(void)
{
	static __thread uint16_t asked;
	if (current.era != ERA_ASKED && asked == agent_era)
		return false;
	asked = agent_era;
	PyObject *task = current_by_asyncio();
	if (task && current.era == ERA_ASKED && current.task == task) {
		Py_DecRef(task);
		return true;
	}
	current = (struct current){ .task = task, .era = ERA_ASKED, .foreign = task && !is_c_task(task) };
	if (!task) {
		current.era = 0;
		return false;
	}
	agent_lock();
	struct agent_task *t = task_find_or_adopt(task, agent_now(), current.foreign ? AGENT_FOREIGN : 0,
						  &current.index);
	current.serial = t ? t->serial : 0;
	agent_unlock();
	Py_DecRef(task);
	return true;
}

#define PRESERVED_MAX 1024
static uint64_t preserved[PRESERVED_MAX];
static unsigned n_preserved;

bool hooks_preserve(PyObject *code)
{
	for (unsigned i = 0; i < n_preserved; i++)
		if (preserved[i] == (uint64_t)(uintptr_t)code)
			return true;
	if (n_preserved == PRESERVED_MAX)
		return false;
	Py_IncRef(code);
	preserved[n_preserved] = (uint64_t)(uintptr_t)code;
	__atomic_store_n(&n_preserved, n_preserved + 1, __ATOMIC_RELEASE);
	return true;
}

bool is_generator(const void *coro)
{
	return type_of(coro) == (PyObject *)&PyCoro_Type || type_of(coro) == (PyObject *)&PyGen_Type;
}

uint64_t coroutine_code(const void *coro)
{
	const struct py_layout *l = &agent_layout;
	uint64_t code = (uint64_t)(uintptr_t)(l->gen_iframe < 0
		? field(coro, l->gen_code)
		: field(coro, l->gen_iframe + l->iframe_executable));
	return l->stackref_mask > 0 ? code & ~(uint64_t)l->stackref_mask : code;
}

static uint64_t code_of(const void *coro)
{
	return coro && is_generator(coro) ? coroutine_code(coro) : 0;
}

static bool is_preserved(const void *coro)
{
	uint64_t code = code_of(coro);
	for (unsigned i = 0; code && i < n_preserved; i++)
		if (preserved[i] == code)
			return true;
	return false;
}

/* ---- creation ---- */

bool task_born(const void *task, const void *coro, unsigned flags, struct current *c)
{
	bool by_task = current_holds();
	struct task_birth b = {
		.task = task,
		.parent = current.index,
		.parent_serial = by_task ? current.serial : 0,
		.flags = flags | (n_preserved && is_preserved(coro) ? AGENT_PERSISTENT : 0),
		.code = code_of(coro),
	};
	struct raw_stack s;
	stack_of_thread(&s);
	b.at = agent_now();
	agent_lock();
	b.stack = stack_keep(&s);
	struct agent_task *t = task_new(&b, &c->index);
	c->task = task;
	c->serial = t ? t->serial : 0;
	c->foreign = flags & AGENT_FOREIGN;
	c->era = agent_era;
	agent_unlock();
	return t != NULL;
}

/* The record of a current, if it is still of that task. */
struct agent_task *current_record(const struct current *c)
{
	struct agent_task *t = c->serial ? task_at(c->index) : NULL;
	return t && t->serial == c->serial && t->state == AGENT_ALIVE ? t : NULL;
}

void tell_created(PyObject *task, PyObject *coro, const struct current *c, unsigned how)
{
	struct event_birth b;
	if (!events_on(agent_now()))
		return;
	event_birth_look(&b, task, coro, c->foreign);
	agent_lock();
	const struct agent_task *t = current_record(c);
	if (t)
		event_created(t, &b, how);
	agent_unlock();
}

static PyObject *first_argument(PyObject *args, PyObject *kwargs)
{
	if (args && field(args, agent_layout.var_size) != NULL)
		return *(PyObject **)((char *)args + agent_layout.tuple_items);
	return kwargs ? PyDict_GetItem(kwargs, agent_names.coro) : NULL;
}

void task_stepped(struct agent_task *t, uint64_t from, uint64_t to)
{
	uint64_t took = to > from ? to - from : 0;
	t->polls++;
	t->busy += took;
	if (took > t->longest)
		t->longest = took;
	profile_stepped(t->profile, took);
}

bool coroutine_is_new(const void *coro)
{
	return coro && is_generator(coro) && agent_layout.gen_state >= 0 &&
	       *((const int8_t *)coro + agent_layout.gen_state) == agent_layout.genstate_created;
}

static void undo(const struct current *c)
{
	agent_lock();
	struct agent_task *t = current_record(c);
	if (t)
		task_undo(t);
	agent_unlock();
}

/* The task that ended before its constructor did: loops give it its name only then
 * (create_task() up to 3.13). */
static __thread struct current ended_early;

/* After that step. What takes much of the stack is in functions that return before the
 * original is called, or are called after it: originals may nest as deep as the stack goes. */
static __attribute__((noinline)) void stepped_eagerly(PyObject *self, PyObject *coro, const struct current *c,
						      uint64_t from)
{
	uint64_t to = agent_now();
	struct end_texts e;
	bool done = future_state(self) != FUTURE_PENDING;
	if (done)
		task_end_describe_c(&e, self, coro, c);
	bool started = done || !coroutine_is_new(coro), tell = events_on(to);
	struct event_pause pause;
	if (tell && !done)
		event_pause_look(&pause, self, coro, false);
	agent_lock();
	struct agent_task *t = current_record(c);
	if (t && tell)
		event_named(c, field(self, agent_layout.task_name));
	if (t && tell && !done)
		event_paused(t, to, &pause);
	if (t && started)
		task_stepped(t, from, to);
	if (t)
		t->step_start = 0;
	if (done)
		task_end(t, &e, coro, to);
	if (t && done)
		ended_early = *c;
	agent_unlock();
}

/* An eager task takes its first step, and may end, inside its constructor. */
static int init_eager(PyObject *self, PyObject *args, PyObject *kwargs, PyObject *coro,
		      struct current *c)
{
	int (*original)(PyObject *, PyObject *, PyObject *) = hook_original[HOOK_INIT];
	struct current before = current;
	uint64_t from = agent_now();
	tell_created(self, coro, c, AGENT_EVENT_EAGER);
	agent_lock();
	struct agent_task *t = current_record(c);
	if (t) {
		t->step_start = from;
		if (events_on(from))
			event_begun(t, from, NULL);
	}
	agent_unlock();
	current = *c;
	int r = original(self, args, kwargs);
	current = before;
	if (r < 0)
		undo(c);
	else
		stepped_eagerly(self, coro, c, from);
	return r;
}

static __attribute__((noinline)) void tell_named(PyObject *task)
{
	struct current c = { .task = task };
	if (!hooks_active() || !events_on(agent_now()))
		return;
	agent_lock();
	const struct agent_task *t = task_find(task, &c.index);
	if (t) {
		c.serial = t->serial;
		event_named(&c, field(task, agent_layout.task_name));
	}
	agent_unlock();
}

static PyObject *hook_set_name(PyObject *self, PyObject *name)
{
	PyObject *r = ((PyCFunction)hook_original[HOOK_SET_NAME])(self, name);
	struct current c = ended_early;
	if (unlikely(agent->events.until))
		tell_named(self);
	if (likely(c.task != self) || c.era != agent_era || !r || !hooks_active())
		return r;
	agent_lock();
	struct agent_task *t = task_at(c.index);
	if (t->serial == c.serial && t->state == AGENT_DONE)
		task_rename(t, field(self, agent_layout.task_name));
	agent_unlock();
	return r;
}

static int hook_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	int (*original)(PyObject *, PyObject *, PyObject *) = hook_original[HOOK_INIT];
	struct current c;
	if (!hooks_active())
		return original(self, args, kwargs);
	PyObject *coro = first_argument(args, kwargs);
	if (!task_born(self, coro, 0, &c))
		return original(self, args, kwargs);
	stack_release_codes();
	PyObject *eager = kwargs && agent_layout.version.minor >= 12
				  ? PyDict_GetItem(kwargs, agent_names.eager_start) : NULL;
	/* Taken as its truth; an int's is its value's, of others it would be code to ask. */
	int64_t n;
	if (eager == (PyObject *)&_Py_TrueStruct || (eager && int_value(eager, &n) && n))
		return init_eager(self, args, kwargs, coro, &c);
	int r = original(self, args, kwargs);
	if (r < 0)
		undo(&c);
	else if (unlikely(agent->events.until))
		tell_created(self, coro, &c, 0);
	return r;
}

static __attribute__((noinline)) void destroyed(PyObject *self)
{
	struct end_texts e;
	PyObject *type, *value, *tb;
	uint32_t i;
	PyErr_Fetch(&type, &value, &tb);
	task_end_describe_c(&e, self, NULL, NULL);
	PyErr_Restore(type, value, tb);
	agent_lock();
	task_end(task_find(self, &i), &e, NULL, agent_now());
	agent_unlock();
}

/* Tasks that hold one another are freed one inside the other. */
static void hook_dealloc(PyObject *self)
{
	void (*original)(PyObject *) = hook_original[HOOK_DEALLOC];
	uint32_t i;
	if (hooks_active() && task_may_be_found(self)) {
		agent_lock();
		bool known = task_find(self, &i) != NULL;
		agent_unlock();
		if (unlikely(known))
			destroyed(self);
	}
	original(self);
}

/* ---- steps ---- */

struct agent_task *task_find_or_adopt(const void *task, uint64_t now, unsigned flags, uint32_t *i)
{
	struct agent_task *t = task_find(task, i);
	if (unlikely(!t)) {
		const void *coro = flags & AGENT_FOREIGN ? NULL : field(task, agent_layout.task_coro);
		t = task_new(&(struct task_birth){ .task = task, .at = now, .flags = AGENT_BEFORE | flags,
						   .code = code_of(coro) }, i);
		if (t && events_on(now))
			event_met(t);
	}
	return t;
}

void step_begin(struct step *s, PyObject *task, unsigned flags, const void *future)
{
	struct current c = { .task = task, .era = agent_era, .foreign = flags & AGENT_FOREIGN };
	s->before = current;
	s->from = agent_now();
	agent_lock();
	struct agent_task *t = task_find_or_adopt(task, s->from, flags, &c.index);
	if (t) {
		c.serial = t->serial;
		t->step_start = s->from;
		if (events_on(s->from))
			event_begun(t, s->from, future);
	}
	agent_unlock();
	current = c;
}

static void step_end(const struct step *s, PyObject *task, bool error)
{
	struct end_texts e;
	PyObject *type, *value, *tb;
	uint64_t to = agent_now();
	struct current c = current;
	bool done = future_state(task) != FUTURE_PENDING;
	current = s->before;
	if (unlikely(c.task != task || !agent->on))
		return;
	const void *coro = done ? field(task, agent_layout.task_coro) : NULL;
	if (done) {
		if (error)
			PyErr_Fetch(&type, &value, &tb);
		task_end_describe_c(&e, task, NULL, &c);
		if (error)
			PyErr_Restore(type, value, tb);
	}
	bool tell = !done && events_on(to);
	struct event_pause pause;
	if (tell)
		event_pause_look(&pause, task, field(task, agent_layout.task_coro), false);
	agent_lock();
	struct agent_task *t = current_record(&c);
	if (t) {
		task_stepped(t, s->from, to);
		t->step_start = 0;
		if (tell)
			event_paused(t, to, &pause);
	}
	if (done)
		task_end(t, &e, coro, to);
	else if (t && unlikely(t->end_stack))
		stood_stepped(t, field(task, agent_layout.task_coro));
	agent_unlock();
	if (unlikely(has_attributes(task)) && !done && !error)
		cancel_follow(task);
}

static PyObject *run_wrapper(enum hook h, PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *(*original)(PyObject *, PyObject *, PyObject *) = hook_original[h];
	PyObject *task = field(self, agent_layout.stepwrapper_task);
	struct step s;
	if (!hooks_active() || !task || future_state(task) != FUTURE_PENDING)
		return original(self, args, kwargs);
	step_begin(&s, task, 0, h == HOOK_WAKEUP_TYPE ? argument(args, kwargs, 0) : NULL);
	PyObject *r = original(self, args, kwargs);
	step_end(&s, task, r == NULL);
	return r;
}

static PyObject *hook_step(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return run_wrapper(HOOK_STEP, self, args, kwargs);
}

static PyObject *hook_wakeup_type(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return run_wrapper(HOOK_WAKEUP_TYPE, self, args, kwargs);
}

static PyObject *hook_wakeup(PyObject *task, PyObject *future)
{
	PyCFunction original = (PyCFunction)hook_original[HOOK_WAKEUP];
	struct step s;
	if (!hooks_active() || future_state(task) != FUTURE_PENDING)
		return original(task, future);
	step_begin(&s, task, 0, future);
	PyObject *r = original(task, future);
	step_end(&s, task, r == NULL);
	return r;
}

void *hook_function(enum hook h, int flags)
{
	switch (h) {
	case HOOK_INIT: return (void *)hook_init;
	case HOOK_DEALLOC: return (void *)hook_dealloc;
	case HOOK_STEP: return (void *)hook_step;
	case HOOK_WAKEUP_TYPE: return (void *)hook_wakeup_type;
	case HOOK_WAKEUP: return flags == METH_O ? (void *)hook_wakeup : NULL;
	case HOOK_CANCEL: return hook_function_cancel(flags);
	case HOOK_SEND:
	case HOOK_THROW: return hook_function_coroutine(h, flags);
	case HOOK_SET_NAME: return flags == METH_O ? (void *)hook_set_name : NULL;
	case HOOK_SIGNAL: return hook_function_signal(flags);
	case HOOK_RESULT:
	case HOOK_EXCEPTION:
	case HOOK_FUTURE_CANCEL: return hook_function_future(h, flags);
	default: return hook_function_foreign(h, flags);
	}
}

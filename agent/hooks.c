/* What runs in place of the target's functions. Each hook calls the original exactly
 * once, gives its result on, and leaves the error indicator as the original set it.
 * None calls Python code, and none keeps a reference to a task. */
#include "agent/agent.h"

#include <string.h>

void *hook_original[HOOKS];
struct agent_names agent_names;

extern __attribute__((weak)) char PyGen_Type, _Py_TrueStruct;
extern __attribute__((weak)) PyObject *PyObject_GenericGetAttr(PyObject *, PyObject *);

/* The task this thread's loop is in. */
struct current { const void *task; uint64_t serial; uint32_t index; bool foreign; };
static __thread struct current current;
/* The traceback of the exception that came out of a coroutine's throw() last. */
static __thread struct { const void *coro; uint32_t stack; unsigned epoch; } thrown;

enum { FUTURE_PENDING, FUTURE_CANCELLED, FUTURE_FINISHED };

/* While the agent runs a task of its own. */
static __thread bool muted;

void hooks_mute(bool yes)
{
	muted = yes;
}

static bool on(void)
{
	return likely(agent->on && !muted);
}

static int future_state(const void *task)
{
	return *((const uint8_t *)task + agent_layout.future_state);
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

static bool is_generator(const void *coro)
{
	return type_of(coro) == (PyObject *)&PyCoro_Type || type_of(coro) == (PyObject *)&PyGen_Type;
}

static bool is_preserved(const void *coro)
{
	const struct py_layout *l = &agent_layout;
	if (!coro || !is_generator(coro))
		return false;
	uint64_t code = (uint64_t)(uintptr_t)(l->gen_iframe < 0
		? field(coro, l->gen_code)
		: field(coro, l->gen_iframe + l->iframe_executable));
	if (l->stackref_mask > 0)
		code &= ~(uint64_t)l->stackref_mask;
	for (unsigned i = 0; i < n_preserved; i++)
		if (preserved[i] == code)
			return true;
	return false;
}

/* ---- the end of a task ---- */

struct end_texts {
	struct task_end end;
	PyObject *name;
	struct text coro, type, message;
	bool has_type, has_message;
	struct raw_stack stack;
};

static void coro_text(PyObject *coro, struct text *t)
{
	t->len = 0;
	if (coro && coro != Py_None &&
	    !(is_generator(coro) && text_of_str(field(coro, agent_layout.gen_qualname), t)))
		text_of_type(type_of(coro), t);
}

/* What is to be said of an end, read before the lock is taken. */
static void describe_end(struct end_texts *e, int state, PyObject *exc, PyObject *coro, PyObject *name)
{
	bool failed = state == FUTURE_FINISHED && exc && exc != Py_None;
	e->end = (struct task_end){
		.outcome = state == FUTURE_PENDING     ? AGENT_DESTROYED
			   : state == FUTURE_CANCELLED ? AGENT_CANCELLED
			   : failed		       ? AGENT_FAILED
						       : AGENT_FINISHED,
	};
	e->name = name;
	e->stack.n = 0;
	e->stack.cut = e->has_type = e->has_message = false;
	coro_text(coro, &e->coro);
	if (failed) {
		text_of_type(type_of(exc), &e->type);
		e->has_type = true;
		e->has_message = text_of_exception(exc, &e->message);
		PyObject *tb = exception_traceback(exc);
		if (tb)
			stack_of_traceback(tb, &e->stack);
	}
}

static void finish(struct agent_task *t, struct end_texts *e, const void *coro, uint64_t now)
{
	e->end.at = now;
	e->end.name = string_keep_name(e->name);
	if (e->coro.len)
		e->end.coro = string_keep(&e->coro);
	if (e->has_type)
		e->end.exc_type = string_keep(&e->type);
	if (e->has_message)
		e->end.exc_message = string_keep(&e->message);
	e->end.stack = stack_keep(&e->stack);
	if (!e->end.stack && e->end.outcome != AGENT_FINISHED && coro && thrown.coro == coro &&
	    thrown.epoch == memory_epoch) {
		e->end.stack = thrown.stack;
		thrown.stack = 0;
	}
	task_finish(t, &e->end);
}

static void describe_c_task(struct end_texts *e, PyObject *task, PyObject *coro)
{
	const struct py_layout *l = &agent_layout;
	PyObject *own = field(task, l->task_coro);
	describe_end(e, future_state(task), field(task, l->future_exception), own ? own : coro,
		     field(task, l->task_name));
}

/* ---- creation ---- */

static void release(void)
{
	stack_release_codes();
}

static bool born(const void *task, const void *coro, unsigned flags, struct current *c)
{
	struct task_birth b = {
		.task = task,
		.parent = current.index,
		.parent_serial = current.serial,
		.flags = flags | (n_preserved && is_preserved(coro) ? AGENT_PERSISTENT : 0),
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
	agent_unlock();
	return t != NULL;
}

/* The record of a current, if it is still of that task. */
static struct agent_task *record_of(const struct current *c)
{
	struct agent_task *t = c->serial ? task_at(c->index) : NULL;
	return t && t->serial == c->serial && t->state == AGENT_ALIVE ? t : NULL;
}

static PyObject *first_argument(PyObject *args, PyObject *kwargs)
{
	if (args && field(args, agent_layout.var_size) != NULL)
		return *(PyObject **)((char *)args + agent_layout.tuple_items);
	return kwargs ? PyDict_GetItem(kwargs, agent_names.coro) : NULL;
}

static void stepped(struct agent_task *t, uint64_t from, uint64_t to)
{
	uint64_t took = to > from ? to - from : 0;
	t->polls++;
	t->busy += took;
	if (took > t->longest)
		t->longest = took;
}

static void undo(const struct current *c)
{
	agent_lock();
	struct agent_task *t = record_of(c);
	if (t)
		task_undo(t);
	agent_unlock();
}

/* An eager task takes its first step, and may end, inside its constructor. */
static int init_eager(PyObject *self, PyObject *args, PyObject *kwargs, PyObject *coro,
		      struct current *c)
{
	int (*original)(PyObject *, PyObject *, PyObject *) = hook_original[HOOK_INIT];
	struct current before = current;
	uint64_t from = agent_now();
	current = *c;
	int r = original(self, args, kwargs);
	current = before;
	if (r < 0) {
		undo(c);
		return r;
	}
	uint64_t to = agent_now();
	struct end_texts e;
	bool done = future_state(self) != FUTURE_PENDING;
	if (done)
		describe_c_task(&e, self, coro);
	bool started = done || !is_generator(coro) || agent_layout.gen_state < 0 ||
		       *((int8_t *)coro + agent_layout.gen_state) != agent_layout.genstate_created;
	agent_lock();
	struct agent_task *t = record_of(c);
	if (t && started)
		stepped(t, from, to);
	if (t && done)
		finish(t, &e, coro, to);
	agent_unlock();
	return r;
}

static int hook_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	int (*original)(PyObject *, PyObject *, PyObject *) = hook_original[HOOK_INIT];
	struct current c;
	if (!on())
		return original(self, args, kwargs);
	PyObject *coro = first_argument(args, kwargs);
	if (!born(self, coro, 0, &c))
		return original(self, args, kwargs);
	release();
	PyObject *eager = kwargs && agent_layout.version.minor >= 12
				  ? PyDict_GetItem(kwargs, agent_names.eager_start) : NULL;
	if (eager == (PyObject *)&_Py_TrueStruct)
		return init_eager(self, args, kwargs, coro, &c);
	int r = original(self, args, kwargs);
	if (r < 0)
		undo(&c);
	return r;
}

static void hook_dealloc(PyObject *self)
{
	void (*original)(PyObject *) = hook_original[HOOK_DEALLOC];
	uint32_t i;
	if (on()) {
		agent_lock();
		struct agent_task *t = task_find(self, &i);
		agent_unlock();
		if (unlikely(t != NULL)) {
			struct end_texts e;
			PyObject *type, *value, *tb;
			PyErr_Fetch(&type, &value, &tb);
			describe_c_task(&e, self, NULL);
			PyErr_Restore(type, value, tb);
			agent_lock();
			t = task_find(self, &i);
			if (t)
				finish(t, &e, NULL, agent_now());
			agent_unlock();
		}
	}
	original(self);
}

/* ---- steps ---- */

struct step { struct current before; uint64_t from; };

static struct agent_task *find_or_adopt(const void *task, uint64_t now, unsigned flags, uint32_t *i)
{
	struct agent_task *t = task_find(task, i);
	if (unlikely(!t))
		t = task_new(&(struct task_birth){ .task = task, .at = now, .flags = AGENT_BEFORE | flags }, i);
	return t;
}

static void step_begin(struct step *s, PyObject *task, unsigned flags)
{
	struct current c = { .task = task, .foreign = flags & AGENT_FOREIGN };
	s->before = current;
	s->from = agent_now();
	agent_lock();
	struct agent_task *t = find_or_adopt(task, s->from, flags, &c.index);
	if (t) {
		c.serial = t->serial;
		t->step_start = s->from;
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
		describe_c_task(&e, task, NULL);
		if (error)
			PyErr_Restore(type, value, tb);
	}
	agent_lock();
	struct agent_task *t = record_of(&c);
	if (t) {
		stepped(t, s->from, to);
		t->step_start = 0;
		if (done)
			finish(t, &e, coro, to);
	}
	agent_unlock();
}

static PyObject *run_wrapper(enum hook h, PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *(*original)(PyObject *, PyObject *, PyObject *) = hook_original[h];
	PyObject *task = field(self, agent_layout.stepwrapper_task);
	struct step s;
	if (!on() || !task || future_state(task) != FUTURE_PENDING)
		return original(self, args, kwargs);
	step_begin(&s, task, 0);
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
	if (!on() || future_state(task) != FUTURE_PENDING)
		return original(task, future);
	step_begin(&s, task, 0);
	PyObject *r = original(task, future);
	step_end(&s, task, r == NULL);
	return r;
}

/* An exception that came out of a coroutine by throw(): a cancellation, mostly, whose
 * traceback the task does not keep. */
static void note_thrown(PyObject *coro)
{
	PyObject *type, *value, *tb;
	struct raw_stack s = { .n = 0 };
	PyErr_Fetch(&type, &value, &tb);
	if (type && type != PyExc_StopIteration) {
		if (tb)
			stack_of_traceback(tb, &s);
		agent_lock();
		if (thrown.epoch == memory_epoch)
			stack_drop(thrown.stack);
		thrown.epoch = memory_epoch;
		thrown.stack = stack_keep(&s);
		thrown.coro = coro;
		agent_unlock();
	}
	PyErr_Restore(type, value, tb);
}

static PyObject *hook_throw_varargs(PyObject *self, PyObject *args)
{
	PyObject *r = ((PyCFunction)hook_original[HOOK_THROW])(self, args);
	if (!r && on())
		note_thrown(self);
	return r;
}

typedef PyObject *(*fastcall)(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *(*fastcall_keywords)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *(*method_call)(PyObject *, PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

static PyObject *hook_throw_fastcall(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	PyObject *r = ((fastcall)hook_original[HOOK_THROW])(self, args, n);
	if (!r && on())
		note_thrown(self);
	return r;
}

/* ---- cancel requests ---- */

struct asking { struct raw_stack stack; uint64_t at; bool wanted; };

static void asking(struct asking *a, PyObject *task)
{
	a->wanted = on() && future_state(task) == FUTURE_PENDING;
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
	struct agent_task *t = find_or_adopt(task, a->at, 0, &i);
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
	release();
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

/* ---- tasks that are no _asyncio.Task: asyncio's own functions are told of them ---- */

static __thread struct step foreign_step;

static bool is_c_task(PyObject *task)
{
	/* Every interpreter has a Task type of its own from 3.12 on; all are freed by
	 * one function. */
	PyObject *type = type_of(task);
	for (int depth = 0; type && depth < 32; depth++, type = field(type, agent_layout.type_base)) {
		void *dealloc = field(type, slot_dealloc());
		if (dealloc == (void *)hook_dealloc || dealloc == hook_original[HOOK_DEALLOC])
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
	if (!result || !task || !on() || is_c_task(task))
		return;
	PyObject *coro = attribute(task, agent_names.coro_);
	born(task, coro, AGENT_FOREIGN, &c);
	if (coro)
		Py_DecRef(coro);
	release();
}

static void entered(PyObject *task, PyObject *result)
{
	if (!result || !task || !on())
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
		describe_end(&e, state, exc, coro, name);
	}
	agent_lock();
	struct agent_task *t = record_of(c);
	if (t) {
		stepped(t, foreign_step.from, to);
		t->step_start = 0;
		if (done)
			finish(t, &e, coro, to);
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
	if (!result || !on())
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

void *hook_function(enum hook h, int flags)
{
	const int keywords = METH_FASTCALL | METH_KEYWORDS;
	switch (h) {
	case HOOK_INIT: return (void *)hook_init;
	case HOOK_DEALLOC: return (void *)hook_dealloc;
	case HOOK_STEP: return (void *)hook_step;
	case HOOK_WAKEUP_TYPE: return (void *)hook_wakeup_type;
	case HOOK_WAKEUP: return flags == METH_O ? (void *)hook_wakeup : NULL;
	case HOOK_CANCEL:
		return flags == METH_NOARGS	       ? (void *)hook_cancel_noargs
		       : flags == keywords	       ? (void *)hook_cancel
		       : flags == (keywords | METH_METHOD) ? (void *)hook_cancel_method : NULL;
	case HOOK_THROW:
		return flags == METH_VARARGS ? (void *)hook_throw_varargs
		       : flags == METH_FASTCALL ? (void *)hook_throw_fastcall : NULL;
	case HOOK_REGISTER:
		return flags == keywords ? (void *)hook_register
		       : flags == METH_O ? (void *)hook_register_o : NULL;
	case HOOK_ENTER: return flags == keywords ? (void *)hook_enter : NULL;
	case HOOK_LEAVE: return flags == keywords ? (void *)hook_leave : NULL;
	case HOOK_SWAP: return flags == keywords ? (void *)hook_swap : NULL;
	default: return NULL;
	}
}

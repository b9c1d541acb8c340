/* How a task ended, and where: the traceback of the exception that came out of its
 * coroutine. A task that failed has that exception, and one of _asyncio that was cancelled
 * has it from 3.9 on, until the first who asks for its result is given it. For others the
 * functions are watched by which Python code runs a coroutine. */
#include "agent/hooks.h"

#include <string.h>

extern __attribute__((weak)) void PyCriticalSection_Begin(void *, PyObject *);
extern __attribute__((weak)) void PyCriticalSection_End(void *);

/* Does a task of _asyncio keep nothing of what cancelled it (3.8)? */
static bool nothing_is_kept(void)
{
	return agent_layout.future_cancelled_exc < 0 && agent_layout.future_cancelled_tb < 0;
}

/* What came last out of a coroutine that Python code ran: in which step of which task. */
static __thread struct {
	const void *coro;
	uint64_t serial, polls;
	uint32_t stack;
	unsigned epoch;
} raised;

void coro_text(PyObject *coro, struct text *t)
{
	text_clear(t);
	if (coro && coro != Py_None &&
	    !(is_generator(coro) && text_of_str(field(coro, agent_layout.gen_qualname), t)))
		text_put_type(t, type_of(coro));
}

/* A task in Python has passed its exception on through functions of its own. */
static void begin_with(struct raw_stack *s, const void *coro)
{
	uint64_t code = coro && is_generator(coro) ? coroutine_code(coro) : 0;
	for (unsigned n = s->cut ? 0 : s->n; code && n > 0; n--) {
		if (s->frames[n - 1].code == code) {
			s->n = n;
			return;
		}
	}
}

/* What is to be said of an end, read before the lock is taken. */
void task_end_describe(struct end_texts *e, int state, PyObject *exc, PyObject *coro, PyObject *name)
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
	e->stack.cut = false;
	coro_text(coro, &e->coro);
	if (unlikely(failed)) {
		e->epoch = memory_epoch;
		e->end.exception = exceptions_keep(exc);
		stack_of_traceback(exception_traceback(exc), 0, &e->stack);
		begin_with(&e->stack, coro);
	}
}

static PyObject *traceback_of(PyObject *exc)
{
	enum { BASE_EXC_SUBCLASS = 1 << 30 };
	if (!exc || !((uintptr_t)field(type_of(exc), agent_layout.type_flags) & BASE_EXC_SUBCLASS))
		return NULL;
	return exception_traceback(exc);
}

static void cancelled_stack(struct raw_stack *s, PyObject *task, uint32_t went)
{
	const struct py_layout *l = &agent_layout;
	uintptr_t section[4];
	bool lock = l->free_threaded && PyCriticalSection_Begin;
	if (lock)
		PyCriticalSection_Begin(section, task);
	stack_of_traceback(l->future_cancelled_exc >= 0  ? traceback_of(field(task, l->future_cancelled_exc))
			   : l->future_cancelled_tb >= 0 ? field(task, l->future_cancelled_tb) : NULL,
			   went, s);
	if (lock)
		PyCriticalSection_End(section);
}

void task_end_describe_c(struct end_texts *e, PyObject *task, PyObject *coro, const struct current *c)
{
	const struct py_layout *l = &agent_layout;
	PyObject *own = field(task, l->task_coro);
	int state = future_state(task);
	task_end_describe(e, state, field(task, l->future_exception), own ? own : coro,
			  field(task, l->task_name));
	if (state == FUTURE_CANCELLED && c) {
		agent_lock();
		struct agent_task *t = current_record(c);
		uint32_t went = t ? t->went : 0;
		agent_unlock();
		cancelled_stack(&e->stack, task, went);
	}
}

static uint32_t take_raised(const struct agent_task *t, const void *coro)
{
	if (!coro || raised.coro != coro || raised.serial != t->serial || raised.polls + 1 != t->polls ||
	    raised.epoch != memory_epoch)
		return 0;
	uint32_t stack = raised.stack;
	raised.stack = 0;
	return stack;
}

void task_end(struct agent_task *t, struct end_texts *e, const void *coro, uint64_t now)
{
	if (e->end.exception && e->epoch != memory_epoch)
		e->end.exception = 0;
	if (!t) {
		exceptions_drop(e->end.exception);
		return;
	}
	e->end.at = now;
	e->end.name = string_keep_name(e->name);
	if (e->coro.len)
		e->end.coro = string_keep(&e->coro);
	e->end.stack = stack_keep(&e->stack);
	if (!e->end.stack && e->end.outcome != AGENT_FINISHED)
		e->end.stack = take_raised(t, coro);
	if (!e->end.stack && e->end.outcome == AGENT_CANCELLED && t->end_stack) {
		e->end.stack = t->end_stack;
		t->end_stack = 0;
		t->flags |= AGENT_STOOD;
	}
	task_finish(t, &e->end);
}

/* ---- what goes into coroutines, and comes out ---- */

/* An exception went where it did before it is thrown in: through the task that was awaited,
 * or functions of one in Python. True: into a task of _asyncio that keeps nothing. */
static bool note_thrown(const void *coro, PyObject *exc)
{
	uint32_t mark = traceback_mark(traceback_of(exc));
	agent_lock();
	struct agent_task *t = current_record(&current);
	if (t)
		t->went = mark;
	bool old = t && nothing_is_kept() && !current.foreign &&
		   field(current.task, agent_layout.task_coro) == coro;
	agent_unlock();
	return old;
}

/* What came out of it. */
static void note_raised(PyObject *coro)
{
	PyObject *type, *value, *tb;
	struct raw_stack s;
	PyErr_Fetch(&type, &value, &tb);
	if (type && type != PyExc_StopIteration) {
		agent_lock();
		struct agent_task *t = current_record(&current);
		uint32_t went = t ? t->went : 0;
		agent_unlock();
		stack_of_traceback(tb, went, &s);
		agent_lock();
		t = current_record(&current);
		if (raised.epoch == memory_epoch)
			stack_drop(raised.stack);
		raised.epoch = memory_epoch;
		raised.coro = coro;
		raised.serial = t ? t->serial : 0;
		raised.polls = t ? t->polls : 0;
		raised.stack = t ? stack_keep(&s) : 0;
		agent_unlock();
	}
	PyErr_Restore(type, value, tb);
}

/* Whether tasks like the one this thread is in keep no exception when they are cancelled. */
static bool current_forgets(void)
{
	return current.foreign || nothing_is_kept();
}

static PyObject *hook_send(PyObject *self, PyObject *value)
{
	PyObject *r = ((PyCFunction)hook_original[HOOK_SEND])(self, value);
	if (!r && current.foreign && hooks_active())
		note_raised(self);
	return r;
}

typedef PyObject *(*fastcall)(PyObject *, PyObject *const *, Py_ssize_t);

static PyObject *hook_throw_fastcall(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	bool active = hooks_active();
	if (active)
		note_thrown(self, n > 0 ? args[0] : NULL);
	PyObject *r = ((fastcall)hook_original[HOOK_THROW])(self, args, n);
	if (!r && current_forgets() && active)
		note_raised(self);
	return r;
}

static PyObject *throw_where_it_stands(PyObject *self, PyObject *args, PyObject *exc)
{
	struct stood stood;
	stood_look(&stood, self, exc);
	PyObject *r = ((PyCFunction)hook_original[HOOK_THROW])(self, args);
	if (!r) {
		note_raised(self);
	} else if (stood.stack.n) {
		agent_lock();
		struct agent_task *t = current_record(&current);
		if (t)
			stood_keep(t, &stood);
		agent_unlock();
	}
	return r;
}

static PyObject *hook_throw_varargs(PyObject *self, PyObject *args)
{
	PyObject *exc = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;
	if (!hooks_active())
		return ((PyCFunction)hook_original[HOOK_THROW])(self, args);
	if (note_thrown(self, exc))
		return throw_where_it_stands(self, args, exc);
	PyObject *r = ((PyCFunction)hook_original[HOOK_THROW])(self, args);
	if (!r && current_forgets())
		note_raised(self);
	return r;
}

void *hook_function_coroutine(enum hook h, int flags)
{
	if (h == HOOK_SEND)
		return flags == METH_O ? (void *)hook_send : NULL;
	return flags == METH_VARARGS ? (void *)hook_throw_varargs
	       : flags == METH_FASTCALL ? (void *)hook_throw_fastcall : NULL;
}

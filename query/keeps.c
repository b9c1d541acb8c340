#include "query/keeps.h"

#include <string.h>

#include "query/findings.h"
#include "query/ring.h"
#include "query/shape.h"

#define TASKS_NAMED 20           /* of one loop */

const char *keep_kind_name(enum keep_kind k)
{
	static const char *const names[KEEP_KINDS] = {
		[KEEP_LOOP] = "loop", [KEEP_TASK] = "task", [KEEP_SERVER] = "server",
		[KEEP_EXECUTOR] = "executor", [KEEP_THREAD] = "thread",
	};
	return names[k];
}

static err_t keep(struct keeps *out, struct arena *a, struct keep k, struct strbuf *b)
{
	strbuf_char(b, '.');
	k.message = b->failed ? NULL : arena_str(a, b->s);
	strbuf_free(b);
	return k.message && vec_push(out, k) ? NULL : ERR_NOMEM;
}

/* Whether a thread's stack has that function of a file of the standard library. */
static bool is_in(const struct thread_stack *t, const char *file_end, const char *function)
{
	for (size_t i = 0; i < t->nframes; i++) {
		const struct thread_frame *f = &t->frames[i];
		size_t n = f->file ? strlen(f->file) : 0, m = strlen(file_end);
		const char *dot = f->function ? strrchr(f->function, '.') : NULL;
		if (f->kind == FRAME_PYTHON && f->function && strcmp(dot ? dot + 1 : f->function, function) == 0 &&
		    n >= m && strcmp(f->file + n - m, file_end) == 0)
			return true;
	}
	return false;
}

static bool coro_is(const struct task *t, const char *method)
{
	const char *dot = t->coro ? strrchr(t->coro, '.') : NULL;
	return t->coro && strcmp(dot ? dot + 1 : t->coro, method) == 0;
}

static void say_standing(struct strbuf *b, const struct snapshot *s, const struct task *t)
{
	if (t->state == TASK_WAITING) {
		strbuf_str(b, "waits for ");
		if (!shape_wait(b, s, t))
			strbuf_str(b, "what cannot be told");
	} else {
		strbuf_str(b, t->state == TASK_RUNNING ? "runs" : "is ready to run");
	}
	say_where(b, t);
}

static err_t keep_task(struct keeps *out, struct arena *a, const struct snapshot *s, const struct task *t,
		       const char *how)
{
	struct strbuf b = { 0 };
	enum keep_kind kind = t->wait && t->wait->kind == WAIT_SERVER_CLOSE ? KEEP_SERVER : KEEP_TASK;
	shape_name(&b, t->name, t->id);
	strbuf_str(&b, how);
	say_standing(&b, s, t);
	return keep(out, a, (struct keep){ .kind = kind, .task = t->id, .thread = t->thread }, &b);
}

static const struct thread_stack *thread_of(const struct snapshot *s, pid_t tid)
{
	for (size_t i = 0; i < s->nthreads; i++)
		if (s->threads[i].tid == tid)
			return &s->threads[i];
	return NULL;
}

/* asyncio.run() has cancelled all tasks, and waits until they have ended. */
static err_t cancelled_ones(struct keeps *out, struct arena *a, const struct snapshot *s, uint64_t loop)
{
	for (size_t i = 0; i < s->ntasks; i++) {
		const struct task *t = &s->tasks[i];
		if (t->loop == loop && task_alive(t))
			TRY(keep_task(out, a, s, t, " was cancelled by asyncio.run() and has not ended: it "));
	}
	return NULL;
}

/* A task that asyncio.run() makes for its last steps; NULL: it has not come to them. */
static const struct task *last_step(const struct snapshot *s, uint64_t loop)
{
	for (size_t i = 0; i < s->ntasks; i++) {
		const struct task *t = &s->tasks[i];
		if (t->loop == loop && task_alive(t) &&
		    (coro_is(t, "shutdown_default_executor") || coro_is(t, "shutdown_asyncgens")))
			return t;
	}
	return NULL;
}

/* The tasks that none awaits: when they have ended, so have the others. */
static err_t roots_of(struct keeps *out, struct arena *a, const struct snapshot *s, uint64_t loop)
{
	size_t n = 0, more = 0;
	for (size_t i = 0; i < s->ntasks; i++) {
		const struct task *t = &s->tasks[i];
		if (t->loop != loop || !task_alive(t) || t->nawaited_by)
			continue;
		if (n++ < TASKS_NAMED)
			TRY(keep_task(out, a, s, t, " "));
		else
			more++;
	}
	if (!more)
		return NULL;
	struct strbuf b = { 0 };
	say_count(&b, more);
	strbuf_str(&b, more == 1 ? " more task that none awaits lives" : " more tasks that none awaits live");
	return keep(out, a, (struct keep){ .kind = KEEP_TASK }, &b);
}

static err_t keep_loop(struct keeps *out, struct arena *a, const struct snapshot *s, const struct loop *l)
{
	const struct thread_stack *th = thread_of(s, l->thread);
	const struct task *step = last_step(s, l->id);
	bool cancelling = th && is_in(th, "asyncio/runners.py", "_cancel_all_tasks");
	struct strbuf b = { 0 };
	strbuf_fmt(&b, "The loop in thread %d ", (int)l->thread);
	if (cancelling)
		strbuf_str(&b, "has ended its main task; asyncio.run() waits for the tasks that it has cancelled");
	else if (step)
		strbuf_fmt(&b, "has ended its main task; asyncio.run() is in %s()", strrchr(step->coro, '.')
			   ? strrchr(step->coro, '.') + 1 : step->coro);
	else
		strbuf_str(&b, "runs on");
	TRY(keep(out, a, (struct keep){ .kind = KEEP_LOOP, .thread = l->thread }, &b));
	if (cancelling)
		return cancelled_ones(out, a, s, l->id);
	return step ? keep_task(out, a, s, step, " ") : roots_of(out, a, s, l->id);
}

static bool is_worker(const struct thread_stack *t)
{
	return is_in(t, "concurrent/futures/thread.py", "_worker");
}

/* An executor's thread that runs a call: it is joined when the interpreter ends. */
static bool is_busy(const struct thread_stack *t)
{
	return is_worker(t) && is_in(t, "concurrent/futures/thread.py", "run");
}

static bool runs_loop(const struct snapshot *s, const struct thread_stack *t)
{
	for (size_t i = 0; i < s->nloops; i++)
		if (s->loops[i].running && s->loops[i].thread == t->tid)
			return true;
	return false;
}

static err_t keep_thread(struct keeps *out, struct arena *a, const struct snapshot *s, const struct thread_stack *t)
{
	bool main = t->tid == s->pid, worker = is_worker(t);
	struct strbuf b = { 0 };
	if (main ? runs_loop(s, t) : worker ? !is_busy(t) : t->daemon != 0)
		return NULL;
	say_waiter(&b, (struct waiter){ .thread = t });
	if (main && is_in(t, "threading.py", "_shutdown"))
		strbuf_str(&b, " has ended the program, and waits for the threads that are no daemons");
	else if (worker)
		strbuf_str(&b, " runs a call of an executor, which is waited for");
	else
		strbuf_str(&b, main ? " has not ended the program" : " is no daemon");
	if (t->wait) {
		strbuf_str(&b, "; it waits for ");
		say_thread_wait(&b, s, t->wait);
	}
	say_thread_place(&b, s, t);
	return keep(out, a, (struct keep){ .kind = worker ? KEEP_EXECUTOR : KEEP_THREAD, .thread = t->tid }, &b);
}

err_t keeps_make(struct keeps *out, struct arena *a, const struct snapshot *s)
{
	for (size_t i = 0; i < s->nloops; i++)
		if (s->loops[i].running)
			TRY(keep_loop(out, a, s, &s->loops[i]));
	for (size_t i = 0; i < s->nthreads; i++)
		if (s->threads[i].python && s->threads[i].tid)
			TRY(keep_thread(out, a, s, &s->threads[i]));
	return NULL;
}

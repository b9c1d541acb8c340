/* What a thread that is blocked in the kernel waits for, and what the frames of threads are
 * inside of.
 *
 * Threads wait for each other through one thing: a lock of _thread's, which Condition,
 * Event, Queue and Future are all made of. The thread sleeps for a semaphore of the C
 * library, whose address its system call names. That belongs to the lock, or lies beside the
 * address of the lock's mutex (some builds of 3.13, all of 3.14 on). So the lock is told for
 * certain, and the frames around say what it belongs to.
 *
 * Sources: Modules/_threadmodule.c (lockobject, rlockobject), Python/thread_pthread.h
 * (USE_SEMAPHORES), Python/lock.c, Lib/threading.py, Lib/concurrent/futures/_base.py. */
#include "objects/locals.h"
#include "tasks/walk.h"
#include "unwind/pystack.h"

#include <string.h>
#include <sys/syscall.h>

#define SLOTS_SCAN 64            /* values of a frame's stack that are looked at */
#define REACH 6                  /* frames of the standard library around a lock */
#define READY_MAX 4096           /* handles of a loop that are looked through */
#define CALLBACKS_MAX 16
#define CELLS_MAX 16

static const struct { const char *file, *function; enum thread_wait_kind kind; } rules[] = {
	{ "concurrent/futures/_base.py", "result", THREAD_WAIT_FUTURE },
	{ "concurrent/futures/_base.py", "exception", THREAD_WAIT_FUTURE },
	{ "/threading.py", "wait", THREAD_WAIT_EVENT },
	{ "/threading.py", "wait_for", THREAD_WAIT_EVENT },
	{ "/threading.py", "acquire", THREAD_WAIT_EVENT },
	{ "/threading.py", "__enter__", THREAD_WAIT_EVENT },
	{ "/threading.py", "join", THREAD_WAIT_THREAD },
	{ "/threading.py", "_wait_for_tstate_lock", THREAD_WAIT_THREAD },
	{ "/queue.py", "get", THREAD_WAIT_QUEUE },
	{ "/queue.py", "put", THREAD_WAIT_QUEUE },
	{ "/queue.py", "join", THREAD_WAIT_QUEUE },
};

static bool ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

/* Of the standard library only, so that no class of somebody's is taken for one of it. */
static bool rule_of(struct walk *w, const struct code *c, enum thread_wait_kind *kind)
{
	if (!c->file || !c->name || code_owner(&w->s->folders, c->file) != CODE_STDLIB)
		return false;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strcmp(c->name, rules[i].function) == 0 && ends(c->file, rules[i].file)) {
			*kind = rules[i].kind;
			return true;
		}
	return false;
}

static const char *type_of(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	return t ? t->name : "";
}

static const char *class_of(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	return t ? type_short_name(&w->r, t) : NULL;
}

/* ---- the lock ---- */

static bool is_lock(struct walk *w, uint64_t obj)
{
	const char *type = type_of(w, obj);
	return strcmp(type, "_thread.lock") == 0 || strcmp(type, "_thread.RLock") == 0;
}

/* A lock, or that whose method it is. */
static uint64_t lock_behind(struct walk *w, uint64_t v)
{
	if (object_kind(&w->r, v) == KIND_CFUNCTION)
		v = field_at(&w->r, v, w->r.l->cfunction_self);
	return v && is_lock(w, v) ? v : 0;
}

/* The lock among all the frame's values that keeps this pointer. How many of them are in use
 * is not known while a frame runs, nor needed. */
static uint64_t lock_with(struct walk *w, const struct pyframe *f, uint64_t pointer)
{
	for (size_t i = 0; pointer && i < SLOTS_SCAN; i++) {
		uint64_t lock = lock_behind(w, frame_stack_slot(&w->r, f, i));
		if (lock && field_at(&w->r, lock, w->r.l->object_size) == pointer)
			return lock;
	}
	return 0;
}

/* The lock has a pointer to the semaphore that the thread sleeps for; or that semaphore is
 * part of an entry on the thread's own stack, struct wait_entry { park_arg, addr, sema, … }
 * (Python/parking_lot.c), and addr is that of a mutex which the lock has, or points to. */
static uint64_t lock_of(struct walk *w, const struct thread *th, const struct pyframe *f)
{
	uint64_t semaphore = th->regs.rdi, addr, head = (uint64_t)w->r.l->object_size;
	uint64_t lock = lock_with(w, f, semaphore);
	if (lock || w->r.l->parked_locks != 1 || semaphore < 8 || !image_u64(w->r.img, semaphore - 8, &addr) ||
	    addr < head)
		return lock;
	return is_lock(w, addr - head) ? addr - head : lock_with(w, f, addr);
}

/* ---- what it belongs to ---- */

static const struct pythread *thread_of_ident(struct walk *w, uint64_t ident)
{
	for (size_t i = 0; ident && i < w->threads.n; i++)
		if (w->threads.v[i].pthread_id == ident)
			return &w->threads.v[i];
	return NULL;
}

static pid_t tid_of_ident(struct walk *w, uint64_t ident)
{
	const struct pythread *t = thread_of_ident(w, ident);
	return t && t->thread ? t->thread->tid : 0;
}

/* rlockobject: the lock, its owner's identity, how often it has it. */
static void lock_holders(struct walk *w, struct thread_wait *out)
{
	out->holders = walk_lock_holders(w, out->id, &out->nholders);
	if (out->holders || strcmp(type_of(w, out->id), "_thread.RLock") != 0)
		return;
	pid_t owner = tid_of_ident(w, field_at(&w->r, out->id, w->r.l->object_size + 8));
	if (!owner)
		return;
	out->holders = arena_dup(w->arena, &(struct holder){ .thread = owner }, sizeof *out->holders);
	out->nholders = out->holders ? 1 : 0;
}

/* run_coroutine_threadsafe(): a callback of the future knows the task. */
static uint64_t task_of_future(struct walk *w, uint64_t future)
{
	uint64_t callbacks = attr_get(&w->r, future, "_done_callbacks");
	int64_t n = seq_len(&w->r, callbacks);
	for (int64_t i = 0; i < n && i < CALLBACKS_MAX; i++) {
		uint64_t cb = seq_item(&w->r, callbacks, i);
		if (object_kind(&w->r, cb) != KIND_FUNCTION ||
		    !str_is(&w->r, field_at(&w->r, cb, w->r.l->function_name), "_call_check_cancel"))
			continue;
		uint64_t task = closure_get(w, cb, "source");
		if (is_task(object_kind(&w->r, task)))
			return task;
	}
	return 0;
}

static bool closure_has(struct walk *w, uint64_t function, uint64_t obj)
{
	uint64_t cells = field_at(&w->r, function, w->r.l->function_closure);
	int64_t n = seq_len(&w->r, cells);
	for (int64_t i = 0; i < n && i < CELLS_MAX; i++)
		if (field_at(&w->r, seq_item(&w->r, cells, i), w->r.l->cell_ref) == obj)
			return true;
	return false;
}

/* What it was to run: run_coroutine_threadsafe()'s callback has it as `coro`. */
static const char *given(struct walk *w, uint64_t callback)
{
	uint64_t coro = closure_get(w, callback, "coro");
	struct pyframe f;
	uint64_t at = walk_root_frame(w, coro);
	return at && frame_read(&w->r, at, &f) && f.code ? f.code->qualname : NULL;
}

/* The loop among whose ready callbacks is one that is to complete the future. */
static void loop_of_future(struct walk *w, struct thread_wait *out)
{
	struct deque_iter it;
	uint64_t handle;
	for (size_t i = 0; i < w->s->nloops && !out->loop; i++) {
		if (!deque_begin(&w->r, attr_get(&w->r, w->s->loops[i].id, "_ready"), &it))
			continue;
		for (int n = 0; n < READY_MAX && deque_next(&w->r, &it, &handle); n++) {
			uint64_t cb = attr_get(&w->r, handle, "_callback");
			if (object_kind(&w->r, cb) != KIND_FUNCTION || !closure_has(w, cb, out->id))
				continue;
			out->kind = THREAD_WAIT_LOOP;
			out->loop = w->s->loops[i].id;
			out->what = given(w, cb);
			break;
		}
	}
}

static bool describe_future(struct walk *w, struct thread_wait *out)
{
	const struct job *job = walk_job(w, out->id);
	uint64_t state = attr_get(&w->r, out->id, "_state");
	if (!str_is(&w->r, state, "PENDING") && !str_is(&w->r, state, "RUNNING"))
		return false;
	if (job) {
		out->kind = THREAD_WAIT_CALL;
		out->executor = w->s->executors[job->executor].id;
		out->thread = job->running ? job->thread : 0;
		out->what = job->name;
		return true;
	}
	out->task = task_of_future(w, out->id);
	if (out->task)
		out->kind = THREAD_WAIT_TASK;
	else
		loop_of_future(w, out);
	return true;
}

static bool describe(struct walk *w, struct thread_wait *out)
{
	int64_t ident;
	if (!out->id)
		return false;
	out->what = class_of(w, out->id);
	switch (out->kind) {
	case THREAD_WAIT_FUTURE:
		return describe_future(w, out);
	case THREAD_WAIT_LOCK:
		lock_holders(w, out);
		return true;
	case THREAD_WAIT_THREAD:
		if (int_at(&w->r, attr_get(&w->r, out->id, "_ident"), &ident))
			out->thread = tid_of_ident(w, (uint64_t)ident);
		return true;
	default:
		return true;
	}
}

/* A wait with a timeout that a stop has interrupted before goes on as another call, with the
 * same arguments. */
static bool sleeps(const struct thread *th)
{
	long call = (long)th->regs.orig_rax;
	return th->have_regs && (call == SYS_futex || call == SYS_restart_syscall);
}

const struct thread_wait *walk_thread_wait(struct walk *w, struct pythread *t)
{
	const struct thread *th = t->thread;
	struct pystack ps;
	if (!th || !sleeps(th) || !walk_thread_frames(w, t, &ps))
		return NULL;
	size_t i = 0;
	while (i < ps.n && !ps.frames[i].code)
		i++;
	if (i == ps.n)
		return NULL;
	struct thread_wait found = { .kind = THREAD_WAIT_LOCK, .id = lock_of(w, th, &ps.frames[i]),
				     .timed = th->regs.r10 != 0 };
	/* Thread.join() waits for an event of C's own from 3.13 on. */
	enum thread_wait_kind kind;
	bool joins = rule_of(w, ps.frames[i].code, &kind) && kind == THREAD_WAIT_THREAD;
	if (!found.id && !joins)
		return NULL;
	for (size_t k = i; k < ps.n && k < i + REACH; k++) {
		if (!ps.frames[k].code || !rule_of(w, ps.frames[k].code, &kind))
			continue;
		found.kind = kind;
		found.id = local_get(&w->r, &ps.frames[k], "self");
	}
	return describe(w, &found) ? arena_dup(w->arena, &found, sizeof found) : NULL;
}

/* An identity is unique within an interpreter: one thread may have a Thread in several. */
static uint64_t thread_key(uint64_t interp, uint64_t ident)
{
	return ident ^ interp;
}

/* threading._active: identity → Thread. It is gone through once for all threads. */
static void know_thread_objects(struct walk *w)
{
	struct dict_iter it;
	uint64_t key, value;
	int64_t ident;
	w->thread_objects_known = true;
	for (size_t i = 0; i < w->interps.n; i++) {
		uint64_t active = dict_get(&w->r, walk_module_dict(w, i, "threading"), "_active");
		if (!active || !dict_begin(&w->r, active, &it))
			continue;
		while (dict_next(&w->r, &it, &key, &value))
			if (int_at(&w->r, key, &ident))
				map_add(&w->thread_objects, thread_key(w->interps.v[i].addr, (uint64_t)ident), value);
	}
	w->nomem |= w->thread_objects.failed;
}

static uint64_t thread_object(struct walk *w, const struct pythread *t)
{
	uint64_t object = 0;
	if (!w->thread_objects_known)
		know_thread_objects(w);
	map_get(&w->thread_objects, thread_key(t->interp, t->pthread_id), &object);
	return object;
}

void walk_thread_object(struct walk *w, const struct pythread *t, struct thread_stack *out)
{
	uint64_t thread = thread_object(w, t);
	int64_t daemon;
	out->title = thread ? str_at(&w->r, attr_get(&w->r, thread, "_name")) : NULL;
	out->daemon = int_at(&w->r, attr_get(&w->r, thread, "_daemonic"), &daemon) ? daemon != 0 : -1;
}

/* ---- what threads are inside of ---- */

/* The outermost frames of the coroutines that are run now. */
static void running_frames(struct walk *w, struct map *roots)
{
	for (size_t i = 0; i < w->s->ntasks; i++) {
		const struct task *t = &w->s->tasks[i];
		uint64_t root = t->state == TASK_RUNNING ? walk_root_frame(w, t->coro_id) : 0;
		if (root && !map_set(roots, root, 1))
			w->nomem = true;
	}
}

/* How many of a thread's frames, from the innermost on, are those of tasks that it runs. */
static size_t frames_of_tasks(const struct pystack *ps, const struct map *roots)
{
	size_t n = 0;
	for (size_t k = 0; k < ps->n; k++)
		if (map_get(roots, ps->frames[k].addr, NULL))
			n = k + 1;
	return n;
}

void walk_thread_holds(struct walk *w)
{
	struct map roots = { 0 };
	running_frames(w, &roots);
	for (size_t i = 0; i < w->threads.n && !walk_stop(w); i++) {
		struct pythread *t = &w->threads.v[i];
		struct pystack ps;
		if (!t->thread || !walk_thread_frames(w, t, &ps))
			continue;
		w->holds.who = (struct holder){ .thread = t->thread->tid };
		for (size_t k = frames_of_tasks(&ps, &roots); k < ps.n; k++)
			if (ps.frames[k].code)
				walk_contexts(w, &ps.frames[k], false, 0,
					      walk_frame(w, ps.frames[k].code, ps.frames[k].lasti));
		w->contexts.n = 0;
	}
	w->holds.who = (struct holder){ 0 };
	map_free(&roots);
}

/* ---- anyio's worker threads ---- */

static void find_workers(struct walk *w)
{
	struct pystack ps;
	for (size_t i = 0; i < w->threads.n && !walk_stop(w); i++) {
		struct pythread *t = &w->threads.v[i];
		if (!t->thread || !walk_thread_frames(w, t, &ps))
			continue;
		for (size_t k = 0; k < ps.n; k++) {
			const struct code *c = ps.frames[k].code;
			if (!c || !c->name || !c->file || strcmp(c->name, "run") != 0 ||
			    !ends(c->file, "anyio/_backends/_asyncio.py"))
				continue;
			uint64_t future = local_get(&w->r, &ps.frames[k], "future");
			if (future && !map_set(&w->workers, future, (uint64_t)t->thread->tid))
				w->nomem = true;
		}
	}
}

pid_t walk_worker_thread(struct walk *w, uint64_t future)
{
	uint64_t tid;
	if (!w->workers_known)
		find_workers(w);
	w->workers_known = true;
	return future && map_get(&w->workers, future, &tid) ? (pid_t)tid : 0;
}

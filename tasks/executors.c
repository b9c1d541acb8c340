/* Pools of concurrent.futures: how many workers, how many busy, how much is queued,
 * and which call each future stands for. Found through the modules' own tables of
 * threads: concurrent.futures.thread._threads_queues (thread → queue) and
 * concurrent.futures.process._threads_wakeups (thread → …), both WeakKeyDictionary. */
#include "objects/locals.h"
#include "tasks/walk.h"
#include "unwind/pystack.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_LIMIT (1 << 24)
#define CALL_DEPTH 6

const char *callable_name(struct walk *w, uint64_t fn)
{
	const struct py_layout *l = w->r.l;
	for (int depth = 0; depth < CALL_DEPTH && fn; depth++) {
		const struct type_info *t = object_type(&w->r, fn);
		uint64_t args, name;
		if (!t)
			return NULL;
		switch (t->kind) {
		case KIND_FUNCTION:
			return str_at(&w->r, field_at(&w->r, fn, l->function_qualname));
		case KIND_METHOD:
			fn = field_at(&w->r, fn, l->method_function);
			break;
		case KIND_CFUNCTION: { /* PyMethodDef.ml_name */
			name = field_at(&w->r, field_at(&w->r, fn, l->cfunction_def), 0);
			const char *s = name ? image_str(w->r.img, name, 256) : NULL;
			return s ? arena_str(w->arena, s) : NULL;
		}
		case KIND_PARTIAL: /* functools.partial: fn, args after the header */
			args = field_at(&w->r, fn, l->object_size + 8);
			fn = field_at(&w->r, fn, l->object_size);
			/* to_thread() makes one of Context.run. */
			if (object_kind(&w->r, fn) == KIND_CFUNCTION && seq_len(&w->r, args) > 0) {
				uint64_t self = field_at(&w->r, fn, l->cfunction_self);
				const struct type_info *st = object_type(&w->r, self);
				if (st && strstr(st->name, "Context"))
					fn = seq_item(&w->r, args, 0);
			}
			break;
		default:
			return type_short_name(&w->r, t);
		}
	}
	return NULL;
}

/* thread: that runs it, where it runs and that is known. */
static void job_add(struct walk *w, uint64_t item, size_t executor, bool running, pid_t thread)
{
	uint64_t future = attr_get(&w->r, item, "future");
	if (is_none(&w->r, future))
		return;
	if (w->jobs.n == ITEMS_LIMIT) {
		w->cut_lists += !w->cut_lists;
		return;
	}
	uint64_t fn = attr_get(&w->r, item, "fn");
	if (!fn) /* 3.14 and later: task = (fn, args, kwargs) */
		fn = seq_item(&w->r, attr_get(&w->r, item, "task"), 0);
	if (!vec_push(&w->jobs, (struct job){ executor, callable_name(w, fn), running, thread }) ||
	    !map_set(&w->job_index, future, w->jobs.n))
		w->nomem = true;
}

const struct job *walk_job(struct walk *w, uint64_t future)
{
	uint64_t i;
	return future && map_get(&w->job_index, future, &i) ? &w->jobs.v[i - 1] : NULL;
}

/* _queue.SimpleQueue (Modules/_queuemodule.c). Up to 3.12: lock, locked, a list and
 * where in it the queue begins; from 3.13 on: a byte, then a ring { put_idx, get_idx,
 * items, items_cap, num_items }. None tells the workers to end. */
static int64_t simple_queue(struct walk *w, uint64_t q, size_t executor)
{
	uint64_t at = q + (uint64_t)w->r.l->object_size;
	int64_t queued = 0;
	if (!w->r.l->simple_queue_ring) {
		uint64_t list = field_at(&w->r, at, 16);
		int64_t first = (int64_t)field_at(&w->r, at, 24), n = seq_len(&w->r, list);
		if (first < 0 || n < 0 || first > n)
			return -1;
		for (int64_t i = first; i < n && queued < ITEMS_LIMIT && !walk_stop(w); i++) {
			uint64_t item = seq_item(&w->r, list, i);
			if (is_none(&w->r, item))
				continue;
			job_add(w, item, executor, false, 0);
			queued++;
		}
		return queued;
	}
	uint64_t items = field_at(&w->r, at, 24);
	int64_t get = (int64_t)field_at(&w->r, at, 16), cap = (int64_t)field_at(&w->r, at, 32);
	int64_t n = (int64_t)field_at(&w->r, at, 40);
	if (!items || cap <= 0 || cap > (int64_t)ITEMS_MAX || n < 0 || n > cap || get < 0 || get >= cap)
		return n == 0 ? 0 : -1;
	for (int64_t i = 0; i < n && i < ITEMS_LIMIT && !walk_stop(w); i++) {
		uint64_t item = field_at(&w->r, items + 8 * (uint64_t)((get + i) % cap), 0);
		if (is_none(&w->r, item))
			continue;
		job_add(w, item, executor, false, 0);
		queued++;
	}
	return queued;
}

static int64_t queue_items(struct walk *w, uint64_t q, size_t executor)
{
	const struct type_info *t = object_type(&w->r, q);
	struct deque_iter it;
	uint64_t item;
	int64_t queued = 0;
	if (t && strcmp(t->name, "_queue.SimpleQueue") == 0)
		return simple_queue(w, q, executor);
	uint64_t deque = attr_get(&w->r, q, "queue"); /* queue.Queue */
	if (!deque)
		deque = attr_get(&w->r, q, "_queue");   /* the pure-Python SimpleQueue */
	if (!deque_begin(&w->r, deque, &it))
		return -1;
	while (queued < ITEMS_LIMIT && deque_next(&w->r, &it, &item)) {
		job_add(w, item, executor, false, 0);
		queued += !is_none(&w->r, item);
	}
	return queued;
}

/* Its index; out of memory 0, and w->nomem is set. */
static size_t executor_new(struct walk *w, uint64_t id, uint64_t executor)
{
	struct snapshot *s = w->s;
	struct executor *e = vec_add(&w->executors);
	if (!e) {
		w->nomem = true;
		return 0;
	}
	s->executors = w->executors.v;
	s->nexecutors = w->executors.n;
	*e = (struct executor){ .id = executor ? executor : id, .kind = "executor", .max_workers = -1,
				.queued = -1 };
	if (executor) {
		const struct type_info *t = object_type(&w->r, executor);
		e->kind = t ? type_short_name(&w->r, t) : e->kind;
		e->name = str_at(&w->r, attr_get(&w->r, executor, "_thread_name_prefix"));
		int_at(&w->r, attr_get(&w->r, executor, "_max_workers"), &e->max_workers);
	}
	return s->nexecutors - 1;
}

/* The executor that a worker thread was given weakly, as one of its arguments. */
static uint64_t executor_of(struct walk *w, uint64_t thread)
{
	uint64_t args = attr_get(&w->r, thread, "_args");
	int64_t n = seq_len(&w->r, args);
	for (int64_t i = 0; i < n && i < 4; i++)
		if (object_kind(&w->r, seq_item(&w->r, args, i)) == KIND_WEAKREF)
			return weakref_get(&w->r, seq_item(&w->r, args, i));
	return weakref_get(&w->r, attr_get(&w->r, thread, "executor_reference"));
}

/* A worker is busy while _WorkItem.run() is on its stack. */
static void worker(struct walk *w, uint64_t thread, size_t executor)
{
	struct executor *e = &w->s->executors[executor];
	int64_t ident;
	struct pystack ps;
	e->workers++;
	if (!int_at(&w->r, attr_get(&w->r, thread, "_ident"), &ident))
		return;
	for (size_t i = 0; i < w->threads.n; i++) {
		if (w->threads.v[i].pthread_id != (uint64_t)ident)
			continue;
		if (!walk_thread_frames(w, &w->threads.v[i], &ps))
			return;
		for (size_t k = ps.n; k-- > 0;) {
			const struct code *c = ps.frames[k].code;
			if (!c || !c->name || !c->file || strcmp(c->name, "run") != 0 ||
			    !strstr(c->file, "concurrent/futures/thread.py"))
				continue;
			e->busy++;
			job_add(w, local_get(&w->r, &ps.frames[k], "self"), executor, true,
				w->threads.v[i].thread ? w->threads.v[i].thread->tid : 0);
			return;
		}
		return;
	}
}

/* The pairs of a WeakKeyDictionary. */
static bool weak_begin(struct walk *w, size_t interp, const char *module, const char *name,
		       struct dict_iter *it)
{
	uint64_t dict = walk_module_dict(w, interp, module);
	return dict && dict_begin(&w->r, attr_get(&w->r, dict_get(&w->r, dict, name), "data"), it);
}

static void thread_pools(struct walk *w, size_t interp)
{
	struct dict_iter it;
	struct map queues = { 0 };
	uint64_t key, queue, known;
	if (!weak_begin(w, interp, "concurrent.futures.thread", "_threads_queues", &it))
		return;
	while (!walk_stop(w) && dict_next(&w->r, &it, &key, &queue)) {
		uint64_t thread = weakref_get(&w->r, key);
		if (!thread)
			continue;
		if (!map_get(&queues, queue, &known)) {
			known = executor_new(w, queue, executor_of(w, thread));
			if (w->nomem || !map_set(&queues, queue, known))
				break;
			int64_t queued = queue_items(w, queue, known);
			w->s->executors[known].queued = queued;
		}
		worker(w, thread, known);
	}
	map_free(&queues);
}

/* Processes: an item is pending until its result is back, and is handed to a process
 * from the first `max_workers` (and one ahead) on. */
static void process_pools(struct walk *w, size_t interp)
{
	struct dict_iter it, items;
	uint64_t key, value, id, item;
	if (!weak_begin(w, interp, "concurrent.futures.process", "_threads_wakeups", &it))
		return;
	while (!walk_stop(w) && dict_next(&w->r, &it, &key, &value)) {
		uint64_t executor = executor_of(w, weakref_get(&w->r, key));
		if (!executor)
			continue;
		size_t at = executor_new(w, executor, executor);
		if (w->nomem)
			return;
		struct executor *e = &w->s->executors[at];
		int64_t pending = 0;
		e->workers = dict_len(&w->r, attr_get(&w->r, executor, "_processes"));
		if (!dict_begin(&w->r, attr_get(&w->r, executor, "_pending_work_items"), &items)) {
			e->busy = -1;
			continue;
		}
		while (pending < ITEMS_LIMIT && dict_next(&w->r, &items, &id, &item))
			job_add(w, item, at, e->max_workers < 0 || pending++ < e->max_workers, 0);
		e->busy = e->max_workers >= 0 && pending > e->max_workers ? e->max_workers : pending;
		e->queued = pending - e->busy;
	}
}

/* Which threads are busy, by pool. */
static void name_threads(struct walk *w)
{
	struct executor *all = w->executors.v;
	for (size_t i = 0; i < w->jobs.n; i++)
		all[w->jobs.v[i].executor].nthreads += w->jobs.v[i].thread != 0;
	for (size_t i = 0; i < w->executors.n; i++) {
		all[i].threads = arena_array(w->arena, all[i].nthreads + 1, sizeof *all[i].threads);
		w->nomem |= !all[i].threads;
		all[i].nthreads = 0;
	}
	for (size_t i = 0; i < w->jobs.n && !w->nomem; i++) {
		struct executor *e = &all[w->jobs.v[i].executor];
		if (w->jobs.v[i].thread)
			((pid_t *)(uintptr_t)e->threads)[e->nthreads++] = w->jobs.v[i].thread;
	}
}

void walk_executors(struct walk *w)
{
	for (size_t i = 0; i < w->interps.n && !walk_stop(w); i++) {
		thread_pools(w, i);
		process_pools(w, i);
	}
	if (!w->nomem)
		name_threads(w);
}

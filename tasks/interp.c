/* Interpreters, their thread states, their modules. Sources: pycore_runtime.h,
 * pycore_interp.h, cpython/pystate.h. */
#include "tasks/walk.h"

#include <stdlib.h>
#include <string.h>

#define INTERPS_MAX 4096
#define THREADS_MAX (1 << 17)

struct thread *thread_by_pthread(struct walk *w, uint64_t pthread_id)
{
	struct target *t = w->r.py->target;
	for (size_t i = 0; pthread_id && i < t->nthreads; i++)
		if (t->threads[i].fs_base == pthread_id)
			return &t->threads[i];
	return NULL;
}

/* pthread_self() of glibc and musl on x86-64 is the thread's fs base. */
static struct thread *find_thread(struct walk *w, uint64_t tstate, uint64_t pthread_id)
{
	struct target *t = w->r.py->target;
	if (w->r.l->tstate_native_thread_id >= 0) {
		uint64_t native = field_at(&w->r, tstate, w->r.l->tstate_native_thread_id);
		for (size_t i = 0; native && i < t->nthreads; i++)
			if ((uint64_t)t->threads[i].ns_tid == native)
				return &t->threads[i];
	}
	struct thread *found = thread_by_pthread(w, pthread_id);
	return found || t->nthreads != 1 ? found : &t->threads[0];
}

/* The loop that runs in a thread: a field of the thread state from 3.13 on, before that
 * an entry of its dict (Modules/_asynciomodule.c): 3.12 the loop itself, up to 3.11 a
 * _RunningLoopHolder, whose loop and process follow the header. A child of fork() has its
 * parent's loop there: another process's. */
static uint64_t running_loop(struct walk *w, uint64_t tstate)
{
	const struct py_layout *l = w->r.l;
	if (l->tstate_running_loop >= 0)
		return field_at(&w->r, tstate, l->tstate_running_loop);
	uint64_t dict = field_at(&w->r, tstate, l->tstate_dict);
	uint64_t loop = dict_get(&w->r, dict, "__asyncio_running_event_loop__");
	const struct type_info *t = loop ? object_type(&w->r, loop) : NULL;
	if (t && strstr(t->name, "_RunningLoopHolder")) {
		const struct target *process = w->r.py->target;
		int32_t pid;
		bool known = image_i32(w->r.img, loop + (uint64_t)l->object_size + 8, &pid);
		loop = field_at(&w->r, loop, l->object_size);
		if (known && process->kind == TARGET_PROCESS && process->ns_pid && pid != process->ns_pid)
			return 0;
	}
	return is_none(&w->r, loop) ? 0 : loop;
}

static void walk_thread_states(struct walk *w, uint64_t interp, int64_t id)
{
	const struct py_layout *l = w->r.l;
	size_t n = 0;
	for (uint64_t ts = field_at(&w->r, interp, l->interp_threads_head); ts && n < THREADS_MAX;
	     ts = field_at(&w->r, ts, l->tstate_next), n++) {
		if (!map_add(&w->thread_states, ts, 1)) {
			w->nomem |= w->thread_states.failed;
			walk_torn(w, "the list of thread states leads back into itself");
			break;
		}
		/* New states are linked before they are whole (3.11+: interp is set last). */
		if (field_at(&w->r, ts, l->tstate_interp) != interp) {
			walk_torn(w, "a thread state is being made");
			break;
		}
		struct pythread *t = vec_add(&w->threads);
		if (!t) {
			w->nomem = true;
			return;
		}
		*t = (struct pythread){ .tstate = ts, .interp = interp, .interp_id = id };
		t->pthread_id = field_at(&w->r, ts, l->tstate_thread_id);
		t->thread = find_thread(w, ts, t->pthread_id);
		t->running_loop = running_loop(w, ts);
		t->running_task = field_at(&w->r, ts, l->tstate_running_task);
		t->eval_frame = field_at(&w->r, interp, l->interp_eval_frame);
	}
	if (n == THREADS_MAX)
		walk_torn(w, "the list of thread states does not end");
}

void walk_interpreters(struct walk *w)
{
	const struct py_layout *l = w->r.l;
	uint64_t interp = field_at(&w->r, w->r.py->runtime, l->runtime_interpreters_head);
	if (!interp)
		walk_torn(w, "the list of interpreters could not be read");
	for (; interp && w->interps.n < INTERPS_MAX && !w->nomem;
	     interp = field_at(&w->r, interp, l->interp_next)) {
		struct interp *i = vec_add(&w->interps);
		if (!i) {
			w->nomem = true;
			return;
		}
		*i = (struct interp){ interp, (int64_t)field_at(&w->r, interp, l->interp_id),
				      field_at(&w->r, interp, l->interp_modules) };
		walk_thread_states(w, interp, i->id);
	}
	if (w->interps.n == INTERPS_MAX)
		walk_torn(w, "the list of interpreters does not end");
}

uint64_t walk_module(struct walk *w, size_t interp, const char *name)
{
	return dict_get(&w->r, w->interps.v[interp].modules, name);
}

uint64_t walk_module_dict(struct walk *w, size_t interp, const char *name)
{
	uint64_t module = walk_module(w, interp, name);
	return object_kind(&w->r, module) == KIND_MODULE
		       ? field_at(&w->r, module, w->r.l->module_dict) : 0;
}

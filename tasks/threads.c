/* Every thread's Python stack. */
#include "tasks/walk.h"
#include "unwind/pystack.h"

#include <stdlib.h>
#include <string.h>

/* Who holds the GIL: 3.12+ the interpreter's own gil, before the runtime's current
 * thread state (the gil itself says no more than that). */
static int holds_gil(struct walk *w, const struct pythread *t)
{
	const struct py_layout *l = w->r.l;
	if (l->free_threaded)
		return -1;
	if (l->interp_gil >= 0) {
		uint64_t gil = field_at(&w->r, t->interp, l->interp_gil), holder;
		int32_t locked;
		if (!gil || !image_u64(w->r.img, gil + (uint64_t)l->gil_last_holder, &holder) ||
		    !image_i32(w->r.img, gil + (uint64_t)l->gil_locked, &locked))
			return -1;
		return locked > 0 && holder == t->tstate;
	}
	uint64_t current;
	if (l->runtime_tstate_current < 0 ||
	    !image_u64(w->r.img, w->r.py->runtime + (uint64_t)l->runtime_tstate_current, &current))
		return -1;
	return current == t->tstate;
}

/* A rehearsal has no C stacks: registers of an earlier stop say nothing of a thread that
 * runs. What else they need is that which Python's need. */
static bool with_native(const struct walk *w)
{
	return w->what & SNAPSHOT_NATIVE && !(w->what & WALK_REHEARSAL);
}

static void thread_python(struct walk *w, struct pythread *t, struct thread_stack *out)
{
	struct pystack ps;
	out->python = true;
	out->gil = holds_gil(w, t);
	walk_thread_object(w, t, out);
	if (w->what & SNAPSHOT_THREADS)
		out->wait = walk_thread_wait(w, t);
	if (with_native(w) && t->thread)
		return; /* native.c reads them with the C frames */
	if (!walk_thread_frames(w, t, &ps))
		return;
	struct thread_frame *frames = arena_array(w->arena, ps.n ? ps.n : 1, sizeof *frames);
	if (!frames) {
		w->nomem = true;
		return;
	}
	size_t n = 0;
	for (size_t i = ps.n; i-- > 0;) {
		const struct frame *f = ps.frames[i].code
			? walk_frame(w, ps.frames[i].code, ps.frames[i].lasti) : NULL;
		if (f)
			frames[n++] = (struct thread_frame){
				.kind = FRAME_PYTHON, .function = f->function, .file = f->file, .line = f->line,
				.first = f->first,
			};
	}
	out->frames = frames;
	out->nframes = n;
	out->broken = ps.broken ? arena_fmt(w->arena, "the stack ends early: %s", ps.broken) : NULL;
}

/* Of several loops, each inside a step of the one before, the innermost is what the thread
 * is doing. */
static void thread_asyncio(struct walk *w, const struct thread *thread, struct thread_stack *out)
{
	for (size_t i = 0; thread && i < w->s->nloops; i++)
		if (w->s->loops[i].inner && w->s->loops[i].thread == thread->tid)
			out->loop = w->s->loops[i].id;
	for (size_t i = 0; thread && i < w->s->ntasks; i++)
		if (w->s->tasks[i].state == TASK_RUNNING && w->s->tasks[i].thread == thread->tid &&
		    w->s->tasks[i].loop == out->loop)
			out->task = w->s->tasks[i].id;
}

static int thread_order(const void *a, const void *b)
{
	const struct thread_stack *x = a, *y = b;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

void walk_threads(struct walk *w)
{
	struct target *t = w->r.py->target;
	struct thread_stack *all = arena_array(w->arena, t->nthreads + w->threads.n + 1, sizeof *all);
	size_t n = 0;
	struct native_look *native = with_native(w) ? native_begin(w) : NULL;
	if (!all || (with_native(w) && !native)) {
		native_end(w, native);
		w->nomem = true;
		return;
	}
	for (size_t i = 0; i < t->nthreads; i++) {
		struct thread_stack *out = &all[n];
		*out = (struct thread_stack){ .tid = t->threads[i].tid, .gil = -1 };
		size_t name = strnlen(t->threads[i].comm, sizeof t->threads[i].comm);
		out->name = name ? arena_strn(w->arena, t->threads[i].comm, name) : NULL;
		for (size_t k = 0; k < w->threads.n; k++)
			if (w->threads.v[k].thread == &t->threads[i])
				thread_python(w, &w->threads.v[k], out);
		thread_asyncio(w, &t->threads[i], out);
		if (!(w->what & SNAPSHOT_THREADS) && !out->task)
			continue;
		if (native)
			native_unwind_thread(w, native, &t->threads[i], out);
		if (out->python || w->what & SNAPSHOT_NATIVE)
			n++;
	}
	if (native)
		native_name_threads(w, native);
	native_end(w, native);
	/* The main thread first. The others of a core come in no order. */
	if (n > 1) {
		size_t main = all[0].tid == t->pid;
		qsort(all + main, n - main, sizeof *all, thread_order);
	}
	/* Thread states whose thread could not be told. */
	for (size_t k = 0; k < w->threads.n && w->what & SNAPSHOT_THREADS; k++) {
		if (w->threads.v[k].thread)
			continue;
		all[n] = (struct thread_stack){ .gil = -1 };
		thread_python(w, &w->threads.v[k], &all[n]);
		all[n].loop = w->threads.v[k].running_loop;
		all[n].task = w->threads.v[k].running_task;
		if (all[n].nframes)
			n++;
	}
	w->s->threads = all;
	w->s->nthreads = n;
}

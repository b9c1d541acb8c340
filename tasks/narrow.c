#include "tasks/narrow.h"

#include <stdint.h>

static bool is_done(const struct task *t)
{
	return t->state == TASK_FINISHED || t->state == TASK_FAILED || t->state == TASK_CANCELLED;
}

static void drop_done(struct snapshot *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->ntasks; i++)
		if (!is_done(&s->tasks[i]))
			s->tasks[n++] = s->tasks[i];
	s->ntasks = n;
}

/* Arrays of a snapshot are its own; const is for those who read it. */
#define MUTABLE(type, p) ((type *)(uintptr_t)(p))

static void drop_locals(const struct stack *st)
{
	for (size_t i = 0; i < st->n; i++) {
		struct frame *f = MUTABLE(struct frame, st->frames[i]);
		f->locals = NULL;
		f->nlocals = 0;
	}
}

static size_t python_only(const struct thread_frame *frames, size_t n)
{
	struct thread_frame *v = MUTABLE(struct thread_frame, frames);
	size_t left = 0;
	for (size_t i = 0; i < n; i++)
		if (v[i].kind == FRAME_PYTHON)
			v[left++] = v[i];
	return left;
}

/* Threads that run no Python are shown with their C frames only. */
static void drop_native(struct snapshot *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->nthreads; i++) {
		struct thread_stack *t = &s->threads[i];
		t->nframes = python_only(t->frames, t->nframes);
		if (t->python)
			s->threads[n++] = *t;
	}
	s->nthreads = n;
	for (size_t i = 0; i < s->ntasks; i++)
		s->tasks[i].nnative = 0;
}

/* With the threads goes what only a look that has them tells: who could end the wait at a queue. */
static void drop_threads(struct snapshot *s)
{
	s->nthreads = 0;
	for (size_t i = 0; i < s->ntasks; i++) {
		struct wait *w = MUTABLE(struct wait, s->tasks[i].wait);
		if (!w)
			continue;
		w->wakers = NULL;
		w->nwakers = 0;
	}
}

void snapshot_narrow(struct snapshot *s, unsigned what)
{
	if (!(what & (SNAPSHOT_DONE | SNAPSHOT_DONE_IF_CAN)))
		drop_done(s);
	if (!(what & SNAPSHOT_LOCALS))
		for (size_t i = 0; i < s->ntasks; i++)
			drop_locals(&s->tasks[i].stack);
	if (!(what & SNAPSHOT_NATIVE))
		drop_native(s);
	if (!(what & SNAPSHOT_THREADS))
		drop_threads(s);
	if (!(what & SNAPSHOT_ENDED))
		s->nended = 0;
	if (what & SNAPSHOT_DONE && s->done_unseen)
		snapshot_lacks(s, "Tasks that are done are not listed: they could not be found when the look was saved.");
	if (what & SNAPSHOT_LOCALS && s->no_locals)
		snapshot_lacks(s, "Arguments and locals were left out when the look was saved.");
}

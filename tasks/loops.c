/* Event loops: which there are, in which thread, how much waits in them. Attribute
 * names: Lib/asyncio/base_events.py; uvloop keeps its own in C, of which the first
 * deque is the ready queue (uvloop/loop.pxd). */
#include "attach/proc.h"
#include "objects/locals.h"
#include "tasks/walk.h"
#include "unwind/pystack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define LOOP_WORDS 256

static int64_t queue_len(struct walk *w, uint64_t obj)
{
	if (object_kind(&w->r, obj) == KIND_DEQUE) {
		int64_t n = (int64_t)field_at(&w->r, obj, w->r.l->var_size);
		return n >= 0 ? n : -1;
	}
	return seq_len(&w->r, obj);
}

/* uvloop: no attributes; look through the object's words. */
static void foreign_queues(struct walk *w, struct loop *l, const struct type_info *t)
{
	int64_t words = t->basicsize / 8;
	for (int64_t i = 2; i < words && i < LOOP_WORDS; i++) {
		uint64_t p = field_at(&w->r, l->id, (int32_t)(8 * i));
		if (!p || p % 8 || !image_range_at(w->r.img, p) || object_kind(&w->r, p) != KIND_DEQUE)
			continue;
		l->ready = queue_len(w, p);
		return;
	}
}

/* What a thread's stack says of a loop. */
struct on_stack {
	struct pystack ps;
	size_t once;             /* that of its _run_once(); ps.n: none */
	bool found, inner;       /* inner: no other loop's frame is further in */
};

/* Whose method it is and in which file does not matter: nest_asyncio and others put in their
 * own. */
uint64_t walk_runs_loop(struct walk *w, const struct pyframe *f)
{
	static const char *const names[] = { "_run_once", "run_forever", "run_until_complete" };
	const char *name = f->code ? f->code->name : NULL;
	uint64_t self = 0;
	int64_t thread;
	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			self = local_get(&w->r, f, "self");
	/* What is no loop, or does not run, has no such number. */
	return self && int_at(&w->r, attr_get(&w->r, self, "_thread_id"), &thread) ? self : 0;
}

static void look_on_stack(struct walk *w, uint64_t loop, struct pythread *t, struct on_stack *out)
{
	*out = (struct on_stack){ .inner = true };
	if (!walk_thread_frames(w, t, &out->ps))
		return;
	out->once = out->ps.n;
	for (size_t i = 0; i < out->ps.n && out->once == out->ps.n; i++) {
		uint64_t runs = walk_runs_loop(w, &out->ps.frames[i]);
		if (runs != loop) {
			out->inner &= !runs;
			continue;
		}
		out->found = true;
		/* The method that called it comes next; of a loop that is entered again, the
		 * innermost turn counts. */
		if (strcmp(out->ps.frames[i].code->name, "_run_once") == 0)
			out->once = i;
		else
			break;
	}
}

/* The locals of BaseEventLoop._run_once() (Lib/asyncio/base_events.py): `end_time` is
 * made anew in every turn, once the loop has waited; `i` counts the callbacks of one. */
static void loop_turn(struct walk *w, struct loop *l, const struct on_stack *on)
{
	double turn;
	bool turns = on->once < on->ps.n;
	walk_callback(w, l, turns ? local_get(&w->r, &on->ps.frames[on->once], "handle") : 0);
	if (!turns)
		return;
	l->turns = true;
	if (!float_at(&w->r, local_get(&w->r, &on->ps.frames[on->once], "end_time"), &turn))
		return;
	l->turn = turn;
	int_at(&w->r, local_get(&w->r, &on->ps.frames[on->once], "i"), &l->turn_step);
}

/* A loop that only its own attribute says to be running, with its frames on the stack: one
 * inside a step of which another loop runs, or, where the turn that it is in began before
 * this process did, one of the parent's. */
static bool came_by_fork(const struct walk *w, const struct loop *l)
{
	return l->turn < w->born + PROC_TICK_S; /* false where either is unknown */
}

/* Whether a thread was stopped in a system call that sleeps until there are events. A loop
 * that has work asks for events with a timeout of 0, which is no sleep. False also where
 * registers are not known, or the timeout lies in memory. */
static bool waits_for_events(const struct thread *t)
{
	if (!t || !t->have_regs)
		return false;
	switch ((long)t->regs.orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int)t->regs.r10 != 0;
	case SYS_poll:
		return (int)t->regs.rdx != 0;
	case SYS_select:
	case SYS_pselect6:
		return t->regs.r8 == 0;
	case SYS_ppoll:
		return t->regs.rdx == 0;
	default:
		return false;
	}
}

/* Which thread the loop runs in. A thread's state names the loop that runs in it. The
 * loop's own `_thread_id` names a thread too, but outlives a fork(), where the identity of a
 * thread is the same in the child: it is believed where the loop's frames are there. */
static void loop_thread(struct walk *w, struct loop *l)
{
	struct pythread *in = NULL;
	struct on_stack on = { 0 };
	int64_t id;
	bool has_id = int_at(&w->r, attr_get(&w->r, l->id, "_thread_id"), &id), named = false;
	for (size_t i = 0; i < w->threads.n && !named; i++) {
		struct pythread *t = &w->threads.v[i];
		struct on_stack now;
		named = t->running_loop == l->id;
		if (!named && !(has_id && t->pthread_id == (uint64_t)id))
			continue;
		look_on_stack(w, l->id, t, &now);
		/* A thread has a state for each interpreter that it has been in. */
		if (named || now.found || (now.ps.broken && !in)) {
			in = t;
			on = now;
		}
	}
	if (in)
		loop_turn(w, l, &on);
	l->copied = !named && (in ? came_by_fork(w, l) : has_id && w->born == w->born);
	l->running = in && !l->copied;
	if (!l->running)
		return;
	l->inner = on.inner;
	l->interpreter = in->interp_id;
	/* Of loops that share a thread only the inner one can sleep in its system call. */
	l->asleep = l->inner && waits_for_events(in->thread);
	if (in->thread)
		l->thread = in->thread->tid;
	if (w->what & SNAPSHOT_WATCHED)
		walk_watched(w, l);
}

struct loop *walk_loop(struct walk *w, uint64_t addr)
{
	struct snapshot *s = w->s;
	uint64_t known;
	if (map_get(&w->loop_index, addr, &known))
		return known ? &s->loops[known - 1] : NULL;
	const struct type_info *t = object_type(&w->r, addr);
	if (!t || is_none(&w->r, addr)) {
		map_set(&w->loop_index, addr, 0);
		return NULL;
	}
	struct loop *l = vec_add(&w->loops);
	if (!l) {
		w->nomem = true;
		return NULL;
	}
	s->loops = w->loops.v;
	s->nloops = w->loops.n;
	*l = (struct loop){ .id = addr, .ready = -1, .timers = -1, .turn_step = -1 };
	l->turn = l->overdue = __builtin_nan("");
	l->type = type_full_name(&w->r, t);
	loop_thread(w, l);
	l->ready = queue_len(w, attr_get(&w->r, addr, "_ready"));
	uint64_t scheduled = attr_get(&w->r, addr, "_scheduled");
	l->timers = queue_len(w, scheduled);
	walk_timers(w, l, scheduled);
	if (l->ready < 0)
		foreign_queues(w, l, t);
	map_set(&w->loop_index, addr, s->nloops);
	return l;
}

void walk_loops_finish(struct walk *w)
{
	size_t copied = 0;
	for (size_t i = 0; i < w->threads.n; i++)
		if (!is_none(&w->r, w->threads.v[i].running_loop))
			walk_loop(w, w->threads.v[i].running_loop);
	for (size_t i = 0; i < w->s->nloops; i++)
		copied += w->s->loops[i].copied;
	if (copied)
		snapshot_note(w->s, "%zu %s copied from the parent process by fork(): %s tasks do not run here.", copied,
			      copied == 1 ? "loop was" : "loops were", copied == 1 ? "its" : "their");
}

/* Event loops: which there are, in which thread, how much waits in them. Attribute
 * names: Lib/asyncio/base_events.py; uvloop keeps its own in C, of which the first
 * deque is the ready queue (uvloop/loop.pxd). */
#include "objects/locals.h"
#include "tasks/walk.h"
#include "unwind/pystack.h"

#include <stdlib.h>
#include <string.h>

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

static void loop_thread(struct walk *w, struct loop *l)
{
	for (size_t i = 0; i < w->threads.n; i++) {
		if (w->threads.v[i].running_loop != l->id)
			continue;
		l->running = true;
		if (w->threads.v[i].thread)
			l->thread = w->threads.v[i].thread->tid;
	}
	int64_t id;
	if (l->running || !int_at(&w->r, attr_get(&w->r, l->id, "_thread_id"), &id))
		return;
	l->running = true;
	for (size_t i = 0; i < w->threads.n; i++)
		if (w->threads.v[i].pthread_id == (uint64_t)id && w->threads.v[i].thread)
			l->thread = w->threads.v[i].thread->tid;
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

/* The locals of BaseEventLoop._run_once() (Lib/asyncio/base_events.py): `end_time` is
 * made anew in every turn, `i` counts the callbacks of one. */
static void loop_turn(struct walk *w, struct loop *l, struct pythread *t)
{
	struct pystack ps;
	if (!walk_thread_frames(w, t, &ps))
		return;
	for (size_t i = ps.n; i-- > 0;) {
		const struct code *c = ps.frames[i].code;
		if (!c || !c->name || !c->file || strcmp(c->name, "_run_once") != 0 ||
		    !strstr(c->file, "asyncio/base_events.py"))
			continue;
		double turn;
		l->turn_step = -1;
		l->turns = true;
		if (float_at(&w->r, local_get(&w->r, &ps.frames[i], "end_time"), &turn) &&
		    int_at(&w->r, local_get(&w->r, &ps.frames[i], "i"), &l->turn_step))
			l->turn = turn;
		return;
	}
}

static struct pythread *loops_thread(struct walk *w, const struct loop *l)
{
	for (size_t i = 0; i < w->threads.n; i++) {
		struct pythread *t = &w->threads.v[i];
		if (t->running_loop == l->id || (l->thread && t->thread && t->thread->tid == l->thread))
			return t;
	}
	return NULL;
}

void walk_loops_finish(struct walk *w)
{
	for (size_t i = 0; i < w->threads.n; i++)
		if (!is_none(&w->r, w->threads.v[i].running_loop))
			walk_loop(w, w->threads.v[i].running_loop);
	for (size_t i = 0; i < w->s->nloops; i++) {
		struct loop *l = &w->s->loops[i];
		struct pythread *t = l->running ? loops_thread(w, l) : NULL;
		if (!t)
			continue;
		l->interpreter = t->interp_id;
		loop_turn(w, l, t);
	}
}

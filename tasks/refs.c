/* Whether a waiting task is kept alive by nothing but itself: the loop knows its tasks
 * weakly, so such a one may be collected before it ends (see the note on
 * asyncio.create_task in Python's documentation).
 *
 * Counted, not guessed: every reference to the task, to the future it waits for and to
 * its coroutines must be one that is found inside. The task is held by the future
 * (its wakeup among the callbacks; 3.14: as awaiter), the future by the task, by the
 * iterator of its innermost frame, and by frames' locals. One count more anywhere and
 * somebody else holds on. */
#include "objects/locals.h"
#include "tasks/walk.h"

#define CALLBACKS_MAX 4
#define SLOTS_MAX 256

static int64_t refs(struct walk *w, uint64_t obj)
{
	uint32_t n;
	/* 3.14 and later: the low half of the word; before it has no need of the upper. */
	return image_u32(w->r.img, obj + (uint64_t)w->r.l->object_refcnt, &n) ? (int64_t)n : -1;
}

/* How often the slots of a frame hold obj; -1: by way of a cell, which others may see. */
static int64_t in_slots(struct walk *w, const struct pyframe *f, uint64_t obj)
{
	struct locals_iter it;
	int64_t found = 0;
	if (!locals_begin(&w->r, f, &it))
		return -1;
	int64_t n = it.n[0] + it.n[1] + it.n[2];
	for (int64_t i = 0; i < n && i < SLOTS_MAX; i++) {
		uint64_t raw = field_at(&w->r, it.slots + 8 * (uint64_t)i, 0), v = stackref_ptr(&w->r, raw);
		if (v == obj)
			found += v == raw; /* a tagged one is borrowed */
		else if (v && object_kind(&w->r, v) == KIND_CELL && field_at(&w->r, v, w->r.l->cell_ref) == obj)
			return -1;
	}
	return found;
}

static int64_t wakeups(struct walk *w, uint64_t future, uint64_t task)
{
	const struct py_layout *l = w->r.l;
	struct callback_iter it;
	uint64_t cb;
	int64_t found = 0, n = 0;
	callbacks_begin(w, future, &it);
	while (n++ < CALLBACKS_MAX && callbacks_next(w, &it, &cb)) {
		int32_t self = object_kind(&w->r, cb) == KIND_CFUNCTION ? l->cfunction_self
			     : object_kind(&w->r, cb) == KIND_METHOD ? l->method_self : l->stepwrapper_task;
		/* One that others hold too can call the task back without the future. */
		if (field_at(&w->r, cb, self) == task && refs(w, cb) == 1)
			found++;
	}
	return found;
}

bool walk_unreferenced(struct walk *w, const struct task *t)
{
	const struct py_layout *l = w->r.l;
	uint64_t f = t->fut_waiter;
	/* Free-threaded counts are split between threads. Before 3.11 a frame does not
	 * tell its coroutine, so only the outermost one's count is known. */
	if (l->free_threaded || l->object_refcnt < 0 || object_kind(&w->r, f) != KIND_FUTURE || !w->chain.n ||
	    (l->gen_iframe < 0 && w->chain.n != 1) || refs(w, t->id) > 2)
		return false;
	int64_t to_task = wakeups(w, f, t->id), to_future = 2;
	if (to_task != 1)
		return false;
	if (l->future_awaited_by >= 0 && field_at(&w->r, f, l->future_awaited_by) == t->id)
		to_task++;
	if (refs(w, t->id) != to_task || refs(w, t->coro_id) != 1)
		return false;
	for (size_t i = 0; i < w->chain.n; i++) {
		if (!w->chain.v[i].addr) /* of Cython: what its closure holds is not counted */
			return false;
		int64_t n = in_slots(w, &w->chain.v[i], f);
		if (n < 0 || (l->gen_iframe >= 0 && refs(w, w->chain.v[i].addr - (uint64_t)l->gen_iframe) != 1))
			return false;
		to_future += n;
	}
	return refs(w, f) == to_future;
}

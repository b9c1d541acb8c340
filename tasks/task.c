/* One task: name, state, coroutine, loop, stack. */
#include "base/pages.h"
#include "tasks/walk.h"

/* Classes derived from _asyncio.Future are futures in C and tasks in Python. */
static uint64_t task_field(struct walk *w, uint64_t task, int32_t offset, const char *name)
{
	if (object_kind(&w->r, task) != KIND_FUTURE)
		return future_field(w, task, offset, name);
	uint64_t v = attr_get(&w->r, task, name);
	return is_none(&w->r, v) ? 0 : v;
}

static const char *task_name(struct walk *w, uint64_t task)
{
	uint64_t name = task_field(w, task, w->r.l->task_name, "_name");
	const char *s = str_once(&w->r, name);
	int64_t n;
	/* 3.12 and later make the default name when it is first asked for. */
	if (!s && int_at(&w->r, name, &n))
		s = arena_fmt(w->arena, "Task-%lld", (long long)n);
	return s;
}

static const char *coro_name(struct walk *w, uint64_t coro)
{
	const struct py_layout *l = w->r.l;
	const struct type_info *t = object_type(&w->r, coro);
	if (!t)
		return NULL;
	if (t->kind == KIND_CORO_WRAPPER)
		return coro_name(w, field_at(&w->r, coro, l->coro_wrapper_coro));
	if (t->kind == KIND_CORO || t->kind == KIND_GEN || t->kind == KIND_ASYNCGEN) {
		const char *q = str_at(&w->r, field_at(&w->r, coro, l->gen_qualname));
		return q ? q : str_at(&w->r, field_at(&w->r, coro, l->gen_name));
	}
	struct cython_coroutine cython;
	if (t->kind == KIND_OTHER && cython_read(w, coro, &cython))
		return cython.qualname;
	return type_full_name(&w->r, t);
}

static void task_cancelling(struct walk *w, struct task *t, bool in_c)
{
	const struct py_layout *l = w->r.l;
	if (in_c) {
		int32_t n;
		uint32_t must = 0;
		if (l->task_num_cancels >= 0 &&
		    image_i32(w->r.img, t->id + (uint64_t)l->task_num_cancels, &n) && n >= 0)
			t->cancelling = n;
		if (l->task_must_cancel >= 0)
			image_read(w->r.img, t->id + (uint64_t)l->task_must_cancel, &must, 1);
		t->must_cancel = must & (uint32_t)(l->task_must_cancel_mask ? l->task_must_cancel_mask : 1);
		return;
	}
	int64_t must;
	int_at(&w->r, attr_get(&w->r, t->id, "_num_cancels_requested"), &t->cancelling);
	t->must_cancel = int_at(&w->r, attr_get(&w->r, t->id, "_must_cancel"), &must) && must;
}

/* The flag that makes a future complain when it is collected. */
static bool unretrieved(struct walk *w, uint64_t task, bool in_c)
{
	const struct py_layout *l = w->r.l;
	int64_t v;
	if (!in_c)
		return int_at(&w->r, attr_get(&w->r, task, "_Future__log_traceback"), &v) && v;
	uint32_t bits = 0;
	if (l->future_log_tb < 0 || !image_read(w->r.img, task + (uint64_t)l->future_log_tb, &bits, 1))
		return false;
	return bits & (uint32_t)(l->future_log_tb_mask ? l->future_log_tb_mask : 1);
}

static enum task_state done_state(struct walk *w, struct task *t, enum future_state fs)
{
	if (fs == FUTURE_CANCELLED)
		return TASK_CANCELLED;
	uint64_t exception = future_field(w, t->id, w->r.l->future_exception, "_exception");
	if (!exception || !object_type(&w->r, exception))
		return TASK_FINISHED;
	t->exception = walk_exception(w, exception);
	t->unretrieved = unretrieved(w, t->id, object_kind(&w->r, t->id) == KIND_TASK);
	return TASK_FAILED;
}

/* Tasks are stored one after the other; room for `all` was made at the start. */
bool walk_tasks_reserve(struct walk *w, size_t all)
{
	w->tasks_cap = all;
	w->s->tasks = all ? pages_alloc(all * sizeof *w->s->tasks) : NULL;
	w->s->tasks_room = all * sizeof *w->s->tasks;
	if (all && !w->s->tasks)
		w->nomem = true;
	return !w->nomem && map_reserve(&w->task_index, all);
}

/* A task that its loop is in: its stack and its thread. current: see struct walk. */
static void running(struct walk *w, struct task *t, uint64_t current)
{
	t->state = TASK_RUNNING;
	/* Of a thread that could not be told, any may be the one. */
	bool known = current <= w->threads.n;
	for (size_t i = known ? current - 1 : 0; i < (known ? current : w->threads.n) && !t->stack.n; i++) {
		t->stack = walk_running(w, &w->threads.v[i], t->coro_id);
		if (w->threads.v[i].thread && (known || t->stack.n))
			t->thread = w->threads.v[i].thread->tid;
	}
}

/* Whether nothing is left that a task waits for. */
static bool may_step(struct walk *w, const struct task *t)
{
	if (!t->fut_waiter || !is_future(object_kind(&w->r, t->fut_waiter)))
		return !t->fut_waiter;
	enum future_state state = future_state(w, t->fut_waiter);
	return state == FUTURE_CANCELLED || state == FUTURE_FINISHED;
}

void walk_task(struct walk *w, uint64_t addr)
{
	const struct py_layout *l = w->r.l;
	const struct type_info *type = object_type(&w->r, addr);
	if (!type) {
		w->lost_tasks++;
		return;
	}
	bool in_c = type->kind == KIND_TASK;
	enum future_state fs = future_state(w, addr);
	bool done = fs == FUTURE_CANCELLED || fs == FUTURE_FINISHED;
	if ((done && !(w->what & (SNAPSHOT_DONE | SNAPSHOT_DONE_IF_CAN))) || w->s->ntasks == w->tasks_cap)
		return;
	struct task *t = &w->s->tasks[w->s->ntasks];
	t->id = addr;
	t->serial = -1;
	t->type = type_full_name(&w->r, type);
	t->name = walk_text(w, task_name(w, addr));
	t->coro_id = task_field(w, addr, l->task_coro, "_coro");
	t->coro = walk_text(w, coro_name(w, t->coro_id));
	if ((in_c && !t->name) || (t->coro_id && !t->coro))
		w->lost_fields++;
	t->loop = future_field(w, addr, l->future_loop, "_loop");
	task_cancelling(w, t, in_c);
	t->fut_waiter = task_field(w, addr, l->task_fut_waiter, "_fut_waiter");

	w->holds.who = (struct holder){ .task = addr };
	struct loop *loop = t->loop ? walk_loop(w, t->loop) : NULL;
	t->thread = loop ? loop->thread : 0;
	t->copied = loop && loop->copied;
	uint64_t current;
	if (done)
		t->state = done_state(w, t, fs);
	else if (map_get(&w->current, addr, &current))
		running(w, t, current);
	else
		t->state = may_step(w, t) ? TASK_RUNNABLE : TASK_WAITING;
	if (!done && !t->stack.n) {
		struct stack_end end;
		t->stack = walk_coroutine(w, t->coro_id, &end);
		t->body = walk_body(w);
		t->cleaning = end.cleaning;
	}
	if (!done)
		walk_group(w, t);
	if (t->state == TASK_WAITING) {
		walk_wait(w, t);
		t->unreferenced = walk_unreferenced(w, t);
	}
	map_set(&w->task_index, addr, ++w->s->ntasks);
}

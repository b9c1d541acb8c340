/* Waits for locks, queues, groups: asyncio's and anyio's. Attribute names:
 * Lib/asyncio/locks.py and queues.py, anyio/_core/_synchronization.py and
 * anyio/_backends/_asyncio.py. */
#include "tasks/waits.h"

#include <string.h>

/* ", 3 others wait too" */
static const char *others(struct waiting *x, int64_t all)
{
	if (all <= 1)
		return "";
	return arena_fmt(x->w->arena, ", %lld other%s too", (long long)(all - 1), all == 2 ? " waits" : "s wait");
}

static int64_t int_attr(struct waiting *x, uint64_t obj, const char *name, int64_t otherwise)
{
	int64_t v;
	return int_at(&x->w->r, attr_get(&x->w->r, obj, name), &v) ? v : otherwise;
}

/* anyio's locks know who holds them: a task, or (version 3) a TaskInfo with its id. */
static void lock_holder(struct waiting *x)
{
	struct walk *w = x->w;
	uint64_t owner = attr_get(&w->r, x->thing, "_owner_task");
	int64_t id;
	if (is_none(&w->r, owner))
		return;
	if (!is_task(object_kind(&w->r, owner))) {
		/* The id of a task that may be gone and its address used again. */
		if (int_at(&w->r, attr_get(&w->r, owner, "id"), &id))
			x->wait->holder_name = str_at(&w->r, attr_get(&w->r, owner, "name"));
		return;
	}
	enum future_state fs = future_state(w, owner);
	x->wait->holder = owner;
	x->wait->holder_name = str_at(&w->r, future_field(w, owner, w->r.l->task_name, "_name"));
	x->wait->holder_ended = fs == FUTURE_CANCELLED || fs == FUTURE_FINISHED;
}

/* asyncio's BoundedSemaphore and anyio's Semaphore may know how many slots there are in all. */
static void slots_of_semaphore(struct waiting *x)
{
	x->wait->kind = WAIT_SEMAPHORE;
	x->wait->left = int_attr(x, x->thing, "_value", -1);
	x->wait->total = int_attr(x, x->thing, "_bound_value", -1);
	if (x->wait->total < 0)
		x->wait->total = int_attr(x, x->thing, "_max_value", -1);
}

bool describe_lock(struct waiting *x)
{
	struct reader *r = &x->w->r;
	const char *held = "";
	if (!x->thing)
		return false;
	/* CapacityLimiter.acquire() only passes on. */
	if (attr_get(r, x->thing, "_borrowers"))
		return false;
	if (attr_get(r, x->thing, "_value"))
		slots_of_semaphore(x);
	lock_holder(x);
	if (x->wait->holder_name)
		held = arena_fmt(x->w->arena, " held by %s", x->wait->holder_name);
	x->wait->detail = arena_fmt(x->w->arena, "%s%s%s", class_of(x, x->thing), held,
				    others(x, items_in(r, attr_get(r, x->thing, "_waiters"))));
	return true;
}

/* Event.wait(), Condition.wait(), and Barrier.wait() around them. */
bool describe_locks_wait(struct waiting *x)
{
	struct reader *r = &x->w->r;
	if (!attr_get(r, x->thing, "_waiters"))
		return false;
	x->wait->kind = attr_get(r, x->thing, "_lock") ? WAIT_CONDITION : WAIT_EVENT;
	x->wait->detail = arena_fmt(x->w->arena, "%s%s", class_of(x, x->thing),
				    others(x, items_in(r, attr_get(r, x->thing, "_waiters"))));
	return true;
}

bool describe_barrier(struct waiting *x)
{
	int64_t parties = int_attr(x, x->thing, "_parties", -1), count = int_attr(x, x->thing, "_count", 0);
	if (parties < 0)
		return false;
	x->wait->total = parties;
	x->wait->left = count <= parties ? parties - count : -1;
	x->wait->detail = arena_fmt(x->w->arena, "%s (%lld of %lld there)", class_of(x, x->thing),
				    (long long)count, (long long)parties);
	return true;
}

/* Of `all` slots so many are in use; -1 unknown, 0 of them: there is no limit. */
static void slots(struct waiting *x, int64_t all, int64_t used)
{
	if (all <= 0)
		return;
	x->wait->total = all;
	x->wait->left = used < 0 ? -1 : used < all ? all - used : 0;
}

bool describe_queue_of(struct waiting *x, uint64_t queue)
{
	struct reader *r = &x->w->r;
	int64_t max = int_attr(x, queue, "_maxsize", 0);
	int64_t size = items_in(r, attr_get(r, queue, "_queue"));
	const char *class = class_of(x, queue);
	if (x->wait->kind == WAIT_QUEUE_JOIN) {
		x->wait->left = int_attr(x, queue, "_unfinished_tasks", -1);
		x->wait->detail = arena_fmt(x->w->arena, "%s (%lld unfinished)", class, (long long)x->wait->left);
		return true;
	}
	bool get = x->wait->kind == WAIT_QUEUE_GET;
	const char *more = others(x, items_in(r, attr_get(r, queue, get ? "_getters" : "_putters")));
	slots(x, max, size);
	if (max > 0)
		x->wait->detail = arena_fmt(x->w->arena, "%s (%lld/%lld)%s", class, (long long)size,
					    (long long)max, more);
	else /* of a class that keeps its items elsewhere, the size is not known */
		x->wait->detail = size >= 0
			? arena_fmt(x->w->arena, "%s (%lld)%s", class, (long long)size, more)
			: arena_fmt(x->w->arena, "%s%s", class, more);
	return true;
}

bool describe_queue(struct waiting *x)
{
	return attr_get(&x->w->r, x->thing, "_getters") && describe_queue_of(x, x->thing);
}

static void group_detail(struct waiting *x, uint64_t tasks)
{
	tasks_among(x, tasks);
	x->wait->left = items_in(&x->w->r, tasks);
	const char *name = str_at(&x->w->r, attr_get(&x->w->r, x->thing, "_name"));
	x->wait->detail = arena_fmt(x->w->arena, "%s%s%s, %lld left%s", class_of(x, x->thing), name ? " " : "",
				    name ? name : "", (long long)x->wait->left,
				    int_attr(x, x->thing, "_aborting", 0) ? ", aborting" : "");
}

/* Any class that waits for its children in a future of its own, which it keeps. */
bool describe_group(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t tasks = attr_get(r, x->thing, "_tasks");
	if (!x->thing || attr_get(r, x->thing, "_on_completed_fut") != x->t->fut_waiter || items_in(r, tasks) < 0)
		return false;
	group_detail(x, tasks);
	return true;
}

bool describe_anyio_group(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t scope = attr_get(r, x->thing, "cancel_scope"), tasks = attr_get(r, x->thing, "_tasks");
	if (!scope)
		return false;
	x->timer = scope;
	/* Version 3 counts the host task among the scope's tasks until it waits here. */
	group_detail(x, items_in(r, tasks) >= 0 ? tasks : attr_get(r, scope, "_tasks"));
	return true;
}

bool describe_limiter(struct waiting *x)
{
	struct reader *r = &x->w->r;
	int64_t total = int_attr(x, x->thing, "_total_tokens", -1);
	int64_t used = items_in(r, attr_get(r, x->thing, "_borrowers"));
	if (used < 0)
		return false;
	slots(x, total, used);
	x->wait->detail = total < 0 ? class_of(x, x->thing)
		: arena_fmt(x->w->arena, "%s (%lld of %lld borrowed)", class_of(x, x->thing), (long long)used,
			    (long long)total);
	return true;
}

bool describe_memory_stream(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t state = attr_get(r, x->thing, "_state");
	int64_t size = items_in(r, attr_get(r, state, "buffer"));
	if (size < 0)
		return false;
	slots(x, int_attr(x, state, "max_buffer_size", -1), size);
	x->wait->detail = arena_fmt(x->w->arena, "%s (%lld)", class_of(x, x->thing), (long long)size);
	return true;
}

/* The life of a record: alive, then in the ring of those that ended, then (while a
 * descendant is kept) an ancestor, then free for another task. All under the lock. */
#include "agent/agent.h"

#include <string.h>

static uint32_t index_of(const struct agent_task *t)
{
	return (uint32_t)(t - task_at(0));
}

static void set_state(struct agent_task *t, enum agent_state s)
{
	__atomic_store_n(&t->state, (uint8_t)s, __ATOMIC_RELEASE);
}

/* Lists are for the agent alone; the reader walks the pool. */
static void list_add(struct list *l, struct agent_task *t)
{
	uint32_t i = index_of(t);
	t->next = 0;
	t->prev = l->tail;
	if (l->tail)
		task_at(l->tail)->next = i;
	else
		l->head = i;
	l->tail = i;
}

static void list_remove(struct list *l, struct agent_task *t)
{
	if (t->prev)
		task_at(t->prev)->next = t->next;
	else
		l->head = t->next;
	if (t->next)
		task_at(t->next)->prev = t->prev;
	else
		l->tail = t->prev;
}

/* Tasks made together lie together, and are 200 bytes and more: neighbours there are
 * neighbours here, so that a program's tasks use few cache lines of the table. */
static uint32_t *bucket_of(uint64_t task)
{
	return &agent_private->task_buckets[(task >> 7 ^ task >> 27) & agent_private->task_mask];
}

struct agent_task *task_find(const void *task, uint32_t *index)
{
	uint64_t key = (uint64_t)(uintptr_t)task;
	for (uint32_t i = *bucket_of(key); i; i = task_at(i)->hash_next) {
		if (task_at(i)->task == key) {
			*index = i;
			return task_at(i);
		}
	}
	return NULL;
}

bool task_may_be_found(const void *task)
{
	return __atomic_load_n(bucket_of((uint64_t)(uintptr_t)task), __ATOMIC_RELAXED) != 0;
}

static void unhash(struct agent_task *t)
{
	uint32_t *link = bucket_of(t->task), i = index_of(t);
	while (*link && *link != i)
		link = &task_at(*link)->hash_next;
	if (*link)
		*link = t->hash_next;
}

static void free_cancels(struct agent_task *t)
{
	uint32_t i = t->cancels;
	t->cancels = 0;
	while (i) {
		struct agent_cancel *c = cancel_at(i);
		uint32_t next = c->next;
		c->owner = 0;
		string_drop(c->by_name);
		string_drop(c->message);
		stack_drop(c->stack);
		pool_give(POOL_CANCELS, i);
		i = next;
	}
}

void exceptions_drop(uint32_t i)
{
	while (i) {
		struct agent_exception *e = exception_at(i);
		uint32_t next = e->next;
		e->owner = 0;
		string_drop(e->type);
		string_drop(e->message);
		string_drop(e->repr);
		stack_drop(e->stack);
		pool_give(POOL_EXCEPTIONS, i);
		i = next;
	}
}

/* The parent's record, if it is still that of the parent. */
static struct agent_task *parent_of(const struct agent_task *t)
{
	if (!t->parent_serial || !t->parent)
		return NULL;
	struct agent_task *p = task_at(t->parent);
	return p->state != AGENT_FREE && p->serial == t->parent_serial ? p : NULL;
}

static void free_record(struct agent_task *t)
{
	while (t) {
		struct agent_task *p = parent_of(t), *next = NULL;
		set_state(t, AGENT_FREE);
		free_cancels(t);
		string_drop(t->name);
		string_drop(t->coro);
		exceptions_drop(t->exception);
		stack_drop(t->created_stack);
		stack_drop(t->end_stack);
		pool_give(POOL_TASKS, index_of(t));
		if (p && --p->children == 0 && p->state == AGENT_ANCESTOR) {
			list_remove(&agent_private->ancestors, p);
			agent->counters[AGENT_ANCESTORS]--;
			next = p;
		}
		t = next;
	}
}

static bool cut_ancestor(void)
{
	uint32_t i = agent_private->ancestors.head;
	if (!i)
		return false;
	list_remove(&agent_private->ancestors, task_at(i));
	agent->counters[AGENT_ANCESTORS]--;
	count(AGENT_DROPPED_ANCESTORS);
	free_record(task_at(i));
	return true;
}

/* The oldest of a ring makes room. */
static bool evict(struct list *ring, enum agent_counter now, enum agent_counter dropped)
{
	uint32_t i = ring->head;
	if (!i)
		return false;
	struct agent_task *t = task_at(i);
	list_remove(ring, t);
	/* The next but one to go was written long ago: out of every cache by now. */
	const struct agent_task *soon = task_at(task_at(ring->head)->next);
	__builtin_prefetch(soon, 1);
	__builtin_prefetch((const char *)soon + 64, 1);
	agent->counters[now]--;
	count(dropped);
	if (t->children == 0) {
		free_record(t);
		return true;
	}
	set_state(t, AGENT_ANCESTOR);
	list_add(&agent_private->ancestors, t);
	count(AGENT_ANCESTORS);
	if (agent->counters[AGENT_ANCESTORS] > agent->ancestors_max)
		cut_ancestor();
	return true;
}

static uint32_t take(void)
{
	uint32_t i;
	/* Each turn makes the rings shorter, so this ends. */
	while (!(i = pool_take(POOL_TASKS))) {
		if (!evict(&agent_private->ended, AGENT_ENDED, AGENT_DROPPED_ENDED) &&
		    !cut_ancestor() &&
		    !evict(&agent_private->preserved, AGENT_PRESERVED, AGENT_DROPPED_PRESERVED))
			return 0;
	}
	return i;
}

uint32_t exception_take(void)
{
	uint32_t i;
	while (!(i = pool_take(POOL_EXCEPTIONS)))
		if (!evict(&agent_private->ended, AGENT_ENDED, AGENT_DROPPED_ENDED))
			break;
	return i;
}

struct agent_task *task_new(const struct task_birth *b, uint32_t *index)
{
	/* A record of that address is of a task that went away unseen. */
	struct agent_task *old = task_find(b->task, index);
	if (old)
		task_finish(old, &(struct task_end){ .outcome = AGENT_DESTROYED, .at = b->at });
	uint32_t i = take();
	count(AGENT_TASKS_SEEN);
	if (!i) {
		count(AGENT_DROPPED_TASKS);
		stack_drop(b->stack);
		return NULL;
	}
	struct agent_task *t = task_at(i);
	uint32_t *bucket = bucket_of((uint64_t)(uintptr_t)b->task);
	*t = (struct agent_task){
		.serial = agent->next_serial++,
		.task = (uint64_t)(uintptr_t)b->task,
		.created_at = b->at,
		.parent = b->parent,
		.parent_serial = b->parent_serial,
		.created_stack = b->stack,
		.flags = (uint8_t)b->flags,
		.profile = profile_of(b->code),
		.hash_next = *bucket,
	};
	*bucket = i;
	struct agent_task *p = parent_of(t);
	if (p)
		p->children++;
	count(AGENT_LIVE);
	set_state(t, AGENT_ALIVE);
	*index = i;
	return t;
}

void task_undo(struct agent_task *t)
{
	unhash(t);
	t->went = t->handled = 0;
	agent->counters[AGENT_LIVE]--;
	/* Its descendants, if an eager step made any, find no parent: it never was. */
	free_record(t);
}

void task_finish(struct agent_task *t, const struct task_end *end)
{
	unhash(t);
	set_state(t, AGENT_ENDING);
	stack_drop(t->end_stack);
	t->outcome = (uint8_t)end->outcome;
	t->ended_at = end->at;
	t->name = end->name;
	t->coro = end->coro;
	t->went = 0;
	t->exception = end->exception;
	for (uint32_t i = t->exception; i; i = exception_at(i)->next)
		exception_at(i)->owner = t->serial;
	t->end_stack = end->stack;
	set_state(t, AGENT_DONE);
	if (events_on(end->at))
		event_ended(t);
	agent->counters[AGENT_LIVE]--;
	bool kept = t->flags & AGENT_PERSISTENT;
	list_add(kept ? &agent_private->preserved : &agent_private->ended, t);
	count(kept ? AGENT_PRESERVED : AGENT_ENDED);
	if (agent->counters[AGENT_ENDED] > agent->ended_max)
		evict(&agent_private->ended, AGENT_ENDED, AGENT_DROPPED_ENDED);
	if (agent->counters[AGENT_PRESERVED] > agent->preserved_max)
		evict(&agent_private->preserved, AGENT_PRESERVED, AGENT_DROPPED_PRESERVED);
}

#define LAST_MAX 64              /* tasks that may end before the callbacks of one run */

static const struct agent_task *last_in(const struct list *l, uint64_t task)
{
	uint32_t i = l->tail;
	for (unsigned n = 0; i && n < LAST_MAX; n++, i = task_at(i)->prev)
		if (task_at(i)->task == task)
			return task_at(i);
	return NULL;
}

const struct agent_task *task_last(const void *task)
{
	uint64_t address = (uint64_t)(uintptr_t)task;
	const struct agent_task *t = last_in(&agent_private->ended, address);
	return t ? t : last_in(&agent_private->preserved, address);
}

void task_rename(struct agent_task *t, PyObject *name)
{
	uint32_t old = t->name;
	__atomic_store_n(&t->name, string_keep_name(name), __ATOMIC_RELEASE);
	string_drop(old);
}

/* The middle ones go when there are too many: the first says how it began, the last
 * how it ended. */
static uint32_t oldest_but_one(struct agent_task *t)
{
	uint32_t *link = &t->cancels;
	while (cancel_at(*link)->next && cancel_at(cancel_at(*link)->next)->next)
		link = &cancel_at(*link)->next;
	uint32_t i = *link;
	*link = cancel_at(i)->next;
	return i;
}

void task_cancel_asked(struct agent_task *t, const struct cancel_request *c)
{
	uint32_t i = 0;
	count(AGENT_CANCELS_SEEN);
	t->ncancels++;
	if (events_on(c->at))
		event_cancel(t, c);
	stack_drop(t->end_stack);
	t->end_stack = 0;
	if (t->ncancels > agent->cancels_max && t->cancels) {
		t->flags |= AGENT_CANCELS_CUT;
		i = oldest_but_one(t);
		struct agent_cancel *old = cancel_at(i);
		old->owner = 0;
		string_drop(old->by_name);
		string_drop(old->message);
		stack_drop(old->stack);
	} else {
		while (!(i = pool_take(POOL_CANCELS)))
			if (!evict(&agent_private->ended, AGENT_ENDED, AGENT_DROPPED_ENDED))
				break;
	}
	if (!i) {
		count(AGENT_DROPPED_CANCELS);
		string_drop(c->by_name);
		string_drop(c->message);
		stack_drop(c->stack);
		return;
	}
	*cancel_at(i) = (struct agent_cancel){
		.owner = t->serial,
		.at = c->at,
		.by = c->by,
		.by_serial = c->by_serial,
		.by_name = c->by_name,
		.message = c->message,
		.stack = c->stack,
		.next = t->cancels,
	};
	__atomic_store_n(&t->cancels, i, __ATOMIC_RELEASE);
}

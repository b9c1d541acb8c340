/* Events that are told with the help of Python objects: how a task is called, where it is
 * suspended and on what. What is looked at is looked at before the lock is taken. */
#include "agent/hooks.h"

static void add_name(struct event_more *m, PyObject *name)
{
	struct text t;
	int64_t n;
	text_clear(&t);
	if (name && !text_put_object(&t, name) && int_value(name, &n)) {
		text_put_str(&t, "Task-");
		text_put_int(&t, n);
	}
	event_add_text(m, &t);
}

static void add_coro(struct event_more *m, PyObject *coro)
{
	struct text t;
	coro_text(coro, &t);
	event_add_text(m, &t);
}

void event_birth_look(struct event_birth *b, PyObject *task, PyObject *coro, bool foreign)
{
	const struct py_layout *l = &agent_layout;
	PyObject *name = foreign ? foreign_attribute(task, agent_names.name_) : field(task, l->task_name);
	b->more.length = 0;
	b->loop = foreign ? 0 : (uint64_t)(uintptr_t)field(task, l->future_loop);
	add_name(&b->more, name);
	add_coro(&b->more, coro);
	if (foreign && name)
		Py_DecRef(name);
}

void event_created(const struct agent_task *t, const struct event_birth *b, unsigned how)
{
	event_put(&(struct agent_event){
		.kind = AGENT_EVENT_CREATED, .how = (uint8_t)how,
		.at = t->created_at, .serial = t->serial, .by = t->parent_serial,
		.object = t->task, .in = b->loop, .stack = t->created_stack,
	}, &b->more);
}

void event_met(const struct agent_task *t)
{
	struct event_birth b = { .more.length = 0 };
	PyObject *task = (PyObject *)(uintptr_t)t->task;
	/* Attributes of others are not to be had without a call. */
	PyObject *coro = t->flags & AGENT_FOREIGN ? NULL : field(task, agent_layout.task_coro);
	/* Under the lock: of another's coroutine only a look into its class's dict could tell. */
	if (!(t->flags & AGENT_FOREIGN))
		event_birth_look(&b, task, coro && is_generator(coro) ? coro : NULL, false);
	event_put(&(struct agent_event){
		.kind = AGENT_EVENT_MET,
		.at = t->created_at, .serial = t->serial, .object = t->task, .in = b.loop,
	}, &b.more);
}

void event_named(const struct current *c, PyObject *name)
{
	struct event_more m;
	m.length = 0;
	add_name(&m, name);
	event_put(&(struct agent_event){ .kind = AGENT_EVENT_NAMED, .at = agent_now(), .serial = c->serial }, &m);
}

void event_begun(const struct agent_task *t, uint64_t at, const void *future)
{
	event_put(&(struct agent_event){
		.kind = AGENT_EVENT_BEGUN, .at = at, .serial = t->serial, .object = (uint64_t)(uintptr_t)future,
	}, NULL);
}

#define FRAMES_MAX (1u + sizeof(((struct agent_event_more *)NULL)->frames) / 8)

void event_pause_look(struct event_pause *p, PyObject *task, PyObject *coro, bool foreign)
{
	uint64_t frames[FRAMES_MAX];
	unsigned n = coro ? suspended_frames(coro, frames, FRAMES_MAX) : 0;
	p->frame = n ? frames[0] : 0;
	p->more.length = n > 1 ? (n - 1) * 8 : 0;
	for (unsigned i = 1; i < n; i++)
		((uint64_t *)(void *)p->more.bytes)[i - 1] = frames[i];
	p->on = foreign ? NULL : field(task, agent_layout.task_fut_waiter);
	p->how = foreign			      ? AGENT_ON_UNKNOWN
		 : !p->on			      ? AGENT_ON_NOTHING
		 : is_c_future(p->on) && future_state(p->on) != FUTURE_PENDING ? AGENT_ON_DONE : AGENT_ON_FUTURE;
}

void event_paused(const struct agent_task *t, uint64_t at, const struct event_pause *p)
{
	uint32_t i;
	const struct agent_task *other = p->on && task_may_be_found(p->on) ? task_find(p->on, &i) : NULL;
	event_put(&(struct agent_event){
		.kind = AGENT_EVENT_SUSPENDED, .how = (uint8_t)p->how,
		.at = at, .serial = t->serial, .by = other ? other->serial : 0,
		.object = (uint64_t)(uintptr_t)p->on, .frame = p->frame,
	}, &p->more);
}

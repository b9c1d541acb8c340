/* A whole process made in memory: interpreter, thread, tables of tasks, over fake.h.
 * begin(), then tasks by new_task(), then list_tasks(). */
#ifndef ASYNCMON_TESTS_FAKEPROC_H
#define ASYNCMON_TESTS_FAKEPROC_H

#include "tests/unit/fake.h"

struct proc {
	struct fake f;
	uint64_t interp, tstate, task_type, future_type, table, waiter_code;
	uint64_t tasks[8];
	size_t ntasks;
};

static inline uint64_t new_future(struct proc *p, uint64_t type, int state)
{
	const struct py_layout *l = &p->f.py.layout;
	uint64_t o = fake_object(&p->f, type, 512);
	put(&p->f, o + (uint64_t)l->future_state, (uint64_t)state, 1);
	return o;
}

static inline uint64_t new_task(struct proc *p, const char *name, uint64_t coro, uint64_t waiter)
{
	const struct py_layout *l = &p->f.py.layout;
	uint64_t t = new_future(p, p->task_type, 0);
	put(&p->f, t + (uint64_t)l->task_name, fake_str(&p->f, name), 8);
	put(&p->f, t + (uint64_t)l->task_coro, coro, 8);
	put(&p->f, t + (uint64_t)l->task_fut_waiter, waiter, 8);
	p->tasks[p->ntasks++] = t;
	return t;
}

static inline uint64_t module(struct fake *f, uint64_t dict)
{
	uint64_t m = fake_object(f, f->py.module_type, 128);
	put(f, m + (uint64_t)f->py.layout.module_dict, dict, 8);
	return m;
}

static inline void begin(struct proc *p, uint8_t minor)
{
	*p = (struct proc){ 0 };
	fake_init(&p->f, minor);
	p->f.target.kind = TARGET_CORE;
	p->task_type = fake_type(&p->f, "_asyncio.Task", 0, 1 << 9);
	p->future_type = fake_type(&p->f, "_asyncio.Future", 0, 1 << 9);
	p->waiter_code = fake_code(&p->f, "work", "/srv/app.py", 42);
}

/* The tables, once all tasks are made. */
static inline void list_tasks(struct proc *p)
{
	struct fake *f = &p->f;
	const struct py_layout *l = &f->py.layout;
	bool lists = l->task_node >= 0;
	p->interp = fake_alloc(f, 1 << 20);
	p->tstate = fake_alloc(f, 1 << 14);
	f->py.runtime = fake_alloc(f, 1 << 18);
	put(f, f->py.runtime + (uint64_t)l->runtime_interpreters_head, p->interp, 8);
	put(f, p->interp + (uint64_t)l->interp_threads_head, p->tstate, 8);
	put(f, p->tstate + (uint64_t)l->tstate_interp, p->interp, 8);
	p->table = fake_set(f, p->tasks, lists ? 0 : p->ntasks);
	uint64_t names[] = { fake_str(f, l->version.minor <= 11 ? "_all_tasks" : "_scheduled_tasks") };
	uint64_t m = module(f, fake_dict(f, names, &p->table, 1, false));
	uint64_t c = module(f, fake_dict(f, NULL, NULL, 0, false));
	put(f, c + (uint64_t)l->module_state, fake_alloc(f, 512), 8);
	uint64_t modules[] = { fake_str(f, "asyncio.tasks"), fake_str(f, "_asyncio") }, values[] = { m, c };
	put(f, p->interp + (uint64_t)l->interp_modules, fake_dict(f, modules, values, 2, false), 8);
	if (!lists)
		return;
	uint64_t empty = p->interp + (uint64_t)l->interp_asyncio_tasks_head;
	put(f, empty, empty, 8);
	put(f, empty + 8, empty, 8);
	p->table = p->tstate + (uint64_t)l->tstate_asyncio_tasks_head;
	uint64_t prev = p->table;
	for (size_t i = 0; i < p->ntasks; i++) {
		uint64_t node = p->tasks[i] + (uint64_t)l->task_node;
		put(f, prev, node, 8);
		put(f, node + 8, prev, 8);
		prev = node;
	}
	put(f, prev, p->table, 8);
	put(f, p->table + 8, prev, 8);
}

#endif

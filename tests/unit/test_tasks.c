/* The walk over a whole process made in memory, for every version: tasks, states,
 * stacks, who awaits whom; tables met in the middle of a change; stacks without end. */
#include "tests/unit/fakeproc.h"

#include "symbols/modules.h"
#include "tasks/take.h"

static const uint8_t minors[] = { 8, 9, 10, 11, 12, 13, 14, 15 };

static struct snapshot *look(struct proc *p)
{
	struct snapshot *s = NULL;
	err_t found = p->f.py.modules ? NULL : modules_find(&p->f.target, &p->f.py.modules);
	assert_null(found);
	err_t e = snapshot_take(&p->f.py, 0, &s);
	modules_free(p->f.py.modules);
	p->f.py.modules = NULL;
	if (e)
		fail_msg("%s", e->msg);
	return s;
}

#define FOR_EACH_VERSION(p) \
	for (size_t v_ = 0; v_ < sizeof minors && (begin(&p, minors[v_]), 1); v_++, fake_free(&p.f))

static void test_tasks(void **state)
{
	(void)state;
	struct proc p;
	FOR_EACH_VERSION(p) {
		const struct py_layout *l = &p.f.py.layout;
		uint64_t fut = new_future(&p, p.future_type, 0), done = new_future(&p, p.future_type, 2);
		uint64_t inner = fake_coro(&p.f, fake_code(&p.f, "get", "/srv/q.py", 7), "get", fut);
		uint64_t a = new_task(&p, "a", fake_coro(&p.f, p.waiter_code, "work", inner), fut);
		uint64_t b = new_task(&p, "b\x1b[31m", fake_coro(&p.f, p.waiter_code, "work", a), a);
		uint64_t c = new_task(&p, "c", fake_coro(&p.f, p.waiter_code, "Class.work", done), done);
		if (l->future_awaited_by >= 0)
			put(&p.f, a + (uint64_t)l->future_awaited_by, b, 8);
		list_tasks(&p);
		struct snapshot *s = look(&p);
		assert_true(s->complete);
		assert_int_equal(s->ntasks, 3);
		const struct task *ta = snapshot_task(s, a), *tb = snapshot_task(s, b), *tc = snapshot_task(s, c);
		assert_non_null(ta);
		assert_non_null(tb);
		assert_non_null(tc);
		assert_string_equal(ta->name, "a");
		assert_string_equal(tb->name, "b\x1b[31m");
		assert_string_equal(tc->coro, "Class.work");
		assert_int_equal(ta->state, TASK_WAITING);
		assert_int_equal(tc->state, TASK_RUNNABLE);
		assert_int_equal(ta->stack.n, 2);
		assert_string_equal(ta->stack.frames[0]->function, "work");
		assert_int_equal(ta->stack.frames[0]->line, 42);
		assert_string_equal(ta->stack.frames[1]->file, "/srv/q.py");
		assert_int_equal(ta->stack.frames[1]->line, 7);
		assert_int_equal(ta->nawaited_by, 1);
		assert_true(ta->awaited_by[0] == b);
		assert_int_equal(tb->wait->kind, WAIT_TASK);
		assert_true(tb->wait->tasks[0] == a);
		snapshot_free(s);
	}
}

/* Linked on one side only, or counted but not there: said, and nothing passed off. */
static void test_torn(void **state)
{
	(void)state;
	struct proc p;
	FOR_EACH_VERSION(p) {
		uint64_t fut = new_future(&p, p.future_type, 0);
		for (int i = 0; i < 3; i++)
			new_task(&p, "t", fake_coro(&p.f, p.waiter_code, "work", fut), fut);
		list_tasks(&p);
		if (p.f.py.layout.task_node >= 0)
			put(&p.f, p.tasks[1] + (uint64_t)p.f.py.layout.task_node + 8, p.table, 8);
		else
			put(&p.f, p.table + (uint64_t)p.f.py.layout.set_used, 4, 8);
		struct snapshot *s = look(&p);
		assert_false(s->complete);
		assert_true(s->nnotes > 0);
		snapshot_free(s);
	}
}

/* Each thread state counts once, and what is said of a list that does not end is not
 * «whole». Every thread's name is looked for in a table of the target's, so a list that
 * went around would cost as many passes over that table. */
static void test_threads_circle(void **state)
{
	(void)state;
	struct proc p;
	FOR_EACH_VERSION(p) {
		uint64_t fut = new_future(&p, p.future_type, 0);
		new_task(&p, "t", fake_coro(&p.f, p.waiter_code, "work", fut), fut);
		list_tasks(&p);
		put(&p.f, p.tstate + (uint64_t)p.f.py.layout.tstate_next, p.tstate, 8);
		struct snapshot *s = look(&p);
		assert_false(s->complete);
		assert_int_equal(s->ntasks, 1);
		snapshot_free(s);
	}
}

/* A coroutine that awaits itself by way of another: the stack ends, and says so. */
static void test_await_circle(void **state)
{
	(void)state;
	struct proc p;
	FOR_EACH_VERSION(p) {
		const struct py_layout *l = &p.f.py.layout;
		uint64_t fut = new_future(&p, p.future_type, 0);
		uint64_t inner = fake_coro(&p.f, p.waiter_code, "work", fut);
		uint64_t outer = fake_coro(&p.f, p.waiter_code, "work", inner);
		uint64_t slot = l->gen_iframe >= 0
			? inner + (uint64_t)l->gen_iframe + (uint64_t)l->iframe_localsplus : 0;
		if (slot)
			put(&p.f, slot, outer, 8);
		else {
			uint64_t frame = 0;
			assert_true(image_u64(&p.f.img, inner + (uint64_t)l->gen_frame, &frame));
			put(&p.f, frame + (uint64_t)l->frame_localsplus, outer, 8);
		}
		uint64_t t = new_task(&p, "t", outer, fut);
		list_tasks(&p);
		struct snapshot *s = look(&p);
		assert_false(s->complete);
		assert_non_null(snapshot_task(s, t)->stack.broken);
		snapshot_free(s);
	}
}

/* Tens of thousands of nested awaits: whole, and without recursion. */
static void test_deep(void **state)
{
	(void)state;
	enum { DEPTH = 20000 };
	struct proc p;
	FOR_EACH_VERSION(p) {
		uint64_t fut = new_future(&p, p.future_type, 0), coro = fut;
		for (int i = 0; i < DEPTH; i++)
			coro = fake_coro(&p.f, p.waiter_code, "work", coro);
		uint64_t t = new_task(&p, "deep", coro, fut);
		list_tasks(&p);
		struct snapshot *s = look(&p);
		assert_true(s->complete);
		assert_int_equal(snapshot_task(s, t)->stack.n, DEPTH);
		snapshot_free(s);
	}
}

/* What a listed task points to is gone: one field is lost, said, and no more. */
static void test_bad_pointers(void **state)
{
	(void)state;
	struct proc p;
	FOR_EACH_VERSION(p) {
		const struct py_layout *l = &p.f.py.layout;
		uint64_t fut = new_future(&p, p.future_type, 0);
		uint64_t t = new_task(&p, "x", 0xDEAD0000, fut);
		put(&p.f, t + (uint64_t)l->task_name, 0x7777, 8);
		put(&p.f, t + (uint64_t)l->future_callbacks, FAKE_BASE + 8, 8);
		list_tasks(&p);
		struct snapshot *s = look(&p);
		assert_int_equal(s->ntasks, 1);
		assert_null(s->tasks[0].name);
		assert_null(s->tasks[0].coro);
		assert_int_equal(s->tasks[0].stack.n, 0);
		assert_false(s->complete);
		snapshot_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_threads_circle),
		cmocka_unit_test(test_await_circle),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_bad_pointers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

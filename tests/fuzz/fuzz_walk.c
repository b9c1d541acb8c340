/* The walk and all that reads objects, over a small CPython made in memory, of every
 * version; the input changes words of it. */
#include "tests/unit/fakeproc.h"

#include "symbols/modules.h"
#include "tests/fuzz/fuzz.h"

enum { MINORS = 8 };
#define WHAT (FUZZ_ALL & ~(unsigned)SNAPSHOT_NATIVE)

static struct proc made[MINORS];
static struct fuzz_words words[MINORS];

static void make(struct proc *p, uint8_t minor)
{
	begin(p, minor);
	struct fake *f = &p->f;
	const struct py_layout *l = &f->py.layout;
	uint64_t fut = new_future(p, p->future_type, 0), done = new_future(p, p->future_type, 2);
	uint64_t keys[2] = { fake_str(f, "_loop"), fake_str(f, "x") };
	uint64_t values[2] = { fake_int(f, 7), fake_str(f, "y") };
	uint64_t a = new_task(p, "a", fake_coro(f, p->waiter_code, "work",
						fake_coro(f, fake_code(f, "get", "/srv/q.py", 7), "get", fut)), fut);
	uint64_t b = new_task(p, "b", fake_coro(f, p->waiter_code, "work", a), a);
	new_task(p, "c", fake_coro(f, p->waiter_code, "Class.work", done), done);
	if (l->future_awaited_by >= 0)
		put(f, a + (uint64_t)l->future_awaited_by, fake_set(f, &b, 1), 8);
	put(f, fut + (uint64_t)l->future_callbacks, fake_tuple(f, values, 2), 8);
	put(f, a + (uint64_t)l->future_loop, fake_object(f, fake_type(f, "Loop", 0, 1 << 9), 256), 8);
	put(f, done + (uint64_t)l->future_exception, fake_object(f, fake_type(f, "E", 0, 1ull << 30), 256), 8);
	put(f, b + (uint64_t)l->task_name, fake_dict(f, keys, values, 2, true), 8);
	list_tasks(p);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (uint8_t i = 0; i < MINORS; i++) {
		make(&made[i], 8 + i);
		struct python *py = &made[i].f.py;
		if (modules_find(&made[i].f.target, &py->modules))
			abort();
		py->target = &made[i].f.target;
		fuzz_record(py, WHAT, &words[i]);
		fprintf(stderr, "3.%d: %zu words to change\n", 8 + i, words[i].n);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_undo undo[FUZZ_CHANGES];
	if (size < 9)
		return 0;
	size_t i = data[0] % MINORS;
	struct python *py = &made[i].f.py;
	size_t n = fuzz_change(py->target->image, &words[i], data + 1, size - 1, undo);
	fuzz_snapshot(py, WHAT);
	fuzz_restore(py->target->image, undo, n);
	return 0;
}

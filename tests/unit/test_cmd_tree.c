/* Trees: shared children, cycles, chains of any depth, groups. */
#include "snap.h"

#include "query/forest.h"

/* 1 ─ 2 ─ 4, 1 ─ 3 ─ 4; 5 ↔ 6 ─ 7; 8 awaits itself */
static struct snapshot *shapes(void)
{
	struct snapshot *s = snap_new(8);
	snap_awaited_by(s, 1, 0);
	snap_awaited_by(s, 2, 0);
	snap_awaited_by(s, 3, 1);
	snap_awaited_by(s, 3, 2);
	snap_awaited_by(s, 5, 4);
	snap_awaited_by(s, 4, 5);
	snap_awaited_by(s, 6, 5);
	snap_awaited_by(s, 7, 7);
	snap_awaited_by(s, 0, 4000); /* an awaiter that is not in the snapshot */
	return s;
}

static void drawn(void **state)
{
	struct ran r = run_line(shapes, "tree");
	(void)state;
	has(r.out, "Task-1  work  waiting  0x7f0000001000\n"
		   "├─ Task-2  work  waiting  0x7f0000001100\n"
		   "│  └─ Task-4  work  waiting  0x7f0000001300\n"
		   "└─ Task-3  work  waiting  0x7f0000001200\n"
		   "   └─ Task-4  work  (see above)\n"
		   "Task-5  work  waiting  0x7f0000001400\n"
		   "└─ Task-6  work  waiting  0x7f0000001500\n"
		   "   ├─ Task-5  work  (a cycle: see above)\n"
		   "   └─ Task-7  work  waiting  0x7f0000001600\n"
		   "Task-8  work  waiting  0x7f0000001700\n"
		   "└─ Task-8  work  (a cycle: see above)\n"
		   "2 cycles: these tasks wait for each other\n");
	ran_free(&r);
}

static void as_json(void **state)
{
	struct ran r = run_line(shapes, "tree --json");
	(void)state;
	has(r.out, "\"roots\":[{\"task\":\"0x7f0000001000\",\"name\":\"Task-1\",\"repeated\":false,\"children\":["
		   "{\"task\":\"0x7f0000001100\",\"name\":\"Task-2\",\"repeated\":false,\"children\":["
		   "{\"task\":\"0x7f0000001300\",\"name\":\"Task-4\",\"repeated\":false,\"children\":[]}]},"
		   "{\"task\":\"0x7f0000001200\",\"name\":\"Task-3\",\"repeated\":false,\"children\":["
		   "{\"task\":\"0x7f0000001300\",\"name\":\"Task-4\",\"repeated\":true,\"children\":[]}]}]},");
	has(r.out, "\"groups\":[],\"cycles\":[[\"0x7f0000001400\",\"0x7f0000001500\"],[\"0x7f0000001700\"]]}\n");
	ran_free(&r);
}

static void filtered(void **state)
{
	struct ran r = run_line(shapes, "tree -f Task-4");
	(void)state;
	has(r.out, "Task-4");
	has(r.out, "4 of 8 tasks\n");
	has_not(r.out, "Task-5");
	ran_free(&r);
	r = run_line(shapes, "tree -f Task-7");
	has(r.out, "3 of 8 tasks\n");
	ran_free(&r);
}

static struct snapshot *chain(void)
{
	struct snapshot *s = snap_new(50000);
	for (size_t i = 0; i + 1 < s->ntasks; i++)
		snap_awaited_by(s, i, i + 1);
	return s;
}

static struct snapshot *ring(void)
{
	struct snapshot *s = chain();
	snap_awaited_by(s, s->ntasks - 1, 0);
	return s;
}

static void deep(void **state)
{
	struct ran r = run_line(chain, "tree");
	(void)state;
	has(r.out, "Task-1  ");
	has(r.out, "(49999 deep) Task-1  ");
	assert_true(strlen(r.out) < 20000000);
	ran_free(&r);
	r = run_line(chain, "tree --json");
	assert_int_equal(count_of(r.out, "\"children\":["), 50000);
	ran_free(&r);
	r = run_line(chain, "tree -f Task-1 --json");
	assert_int_equal(r.status, 0);
	ran_free(&r);
	r = run_line(ring, "tree");
	has(r.out, "1 cycle: these tasks");
	ran_free(&r);
	r = run_line(chain, "ps --raw");
	assert_true(r.seconds < 5);
	ran_free(&r);
}

static struct snapshot *in_groups(void)
{
	struct snapshot *s = snap_new(5);
	uint64_t *a = arena_array(s->arena, 2, sizeof *a), *b = arena_array(s->arena, 1, sizeof *b);
	a[0] = ID(1);
	a[1] = ID(2);
	b[0] = ID(3);
	s->ngroups = 2;
	s->groups = calloc(2, sizeof *s->groups);
	s->groups[0] = (struct group){ 0x10, "TaskGroup", NULL, ID(0), a, 2, false, NULL };
	s->groups[1] = (struct group){ 0x20, "PersistentTaskGroup", "pool", ID(2), b, 1, true, NULL };
	return s;
}

static void groups(void **state)
{
	struct ran r = run_line(in_groups, "tree --groups");
	(void)state;
	has(r.out, "Task-1  work  waiting  0x7f0000001000\n"
		   "└─ TaskGroup  2 tasks  0x10\n"
		   "   ├─ Task-2  work  waiting  0x7f0000001100\n"
		   "   └─ Task-3  work  waiting  0x7f0000001200\n"
		   "      └─ PersistentTaskGroup pool  1 task, aborting  0x20\n"
		   "         └─ Task-4  work  waiting  0x7f0000001300\n"
		   "4 of 5 tasks\n");
	ran_free(&r);
	r = run_line(in_groups, "tree --json");
	has(r.out, "\"groups\":[{\"id\":\"0x10\",\"kind\":\"TaskGroup\",\"name\":null,\"owner\":\"0x7f0000001000\","
		   "\"tasks\":[\"0x7f0000001100\",\"0x7f0000001200\"]}");
	ran_free(&r);
	r = run_line(in_groups, "tree --groups -f Task-4");
	has(r.out, "Task-4");
	has_not(r.out, "Task-2");
	ran_free(&r);
}

static void count_step(void *ctx, const struct forest_step *s)
{
	size_t *n = ctx;
	n[s->leave]++;
}

/* Random graphs: every node is drawn, each entering has its leaving, and the nodes on
 * cycles are those that can reach themselves. */
static void random_graphs(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		enum { MOST = 12 };
		size_t n = 1 + (size_t)rand() % MOST, m = (size_t)rand() % 20, steps[2] = { 0 }, on_cycles = 0;
		struct edge e[20];
		bool reach[MOST][MOST] = { { false } }, cyclic[MOST] = { false };
		struct forest f;
		for (size_t i = 0; i < m; i++) {
			e[i] = (struct edge){ (uint32_t)((size_t)rand() % n), (uint32_t)((size_t)rand() % n) };
			reach[e[i].parent][e[i].child] = true;
		}
		for (size_t k = 0; k < n; k++)
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < n; j++)
					reach[i][j] = reach[i][j] || (reach[i][k] && reach[k][j]);
		assert_null(forest_make(&f, n, e, m, NULL));
		for (size_t i = 0; i < f.cycle_starts[f.ncycles]; i++)
			cyclic[f.cycles[i]] = true;
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(cyclic[i], reach[i][i]);
			on_cycles += cyclic[i];
		}
		assert_int_equal(f.cycle_starts[f.ncycles], on_cycles);
		assert_null(forest_walk(&f, count_step, steps));
		assert_int_equal(steps[0], m + f.nroots);
		assert_int_equal(steps[0], steps[1]);
		forest_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drawn), cmocka_unit_test(as_json), cmocka_unit_test(filtered),
		cmocka_unit_test(deep), cmocka_unit_test(groups), cmocka_unit_test(random_graphs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

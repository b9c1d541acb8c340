/* Every rule of check over snapshots made by hand: fires, does not fire, many at once. */
#include "snap.h"

#include "query/findings.h"

static struct snapshot *looked(struct snapshot *s, struct snapshot *before, const char *rule, size_t many)
{
	const struct rule *only[] = { rule_find(rule), NULL };
	assert_non_null(only[0]);
	snapshot_index(s);
	if (before)
		snapshot_index(before);
	assert_null(findings_make(s, before, &(struct findings_opts){ .only = only, .apart = 1, .many = many }));
	for (size_t i = 0; i < s->nfindings; i++) {
		assert_string_equal(s->findings[i].rule, rule);
		assert_true((int)s->findings[i].severity <= only[0]->severity);
		assert_int_equal(s->findings[i].message[strlen(s->findings[i].message) - 1], '.');
	}
	return s;
}

/* One finding with that in its message; frees both snapshots. */
static void fires(struct snapshot *s, struct snapshot *before, const char *rule, size_t ntasks, const char *text)
{
	looked(s, before, rule, 0);
	assert_int_equal(s->nfindings, 1);
	assert_int_equal(s->findings[0].ntasks, ntasks);
	has(s->findings[0].message, text);
	snapshot_free(s);
	snapshot_free(before);
}

static void silent(struct snapshot *s, struct snapshot *before, const char *rule)
{
	looked(s, before, rule, 0);
	assert_int_equal(s->nfindings, 0);
	snapshot_free(s);
	snapshot_free(before);
}

static void table(void **state)
{
	(void)state;
	assert_null(rule_find("no-such"));
	for (const struct rule *r = rules; r->name; r++) {
		assert_ptr_equal(rule_find(r->name), r);
		silent(snap_new(0), NULL, r->name);
		silent(snap_new(3), snap_new(3), r->name);
	}
}

static void cycles(void **state)
{
	(void)state;
	struct snapshot *s = snap_new(5);
	snap_awaited_by(s, 1, 0);
	snap_awaited_by(s, 2, 1);
	snap_awaited_by(s, 0, 2);
	snap_awaited_by(s, 0, 3);
	fires(s, NULL, "await-cycle", 3, "3 tasks wait for each other in a circle");
	s = snap_new(2);
	snap_awaited_by(s, 1, 1);
	fires(s, NULL, "await-cycle", 1, "Task Task-2 waits for itself");
	s = snap_new(5); /* a diamond is no circle */
	snap_awaited_by(s, 1, 0);
	snap_awaited_by(s, 2, 0);
	snap_awaited_by(s, 3, 1);
	snap_awaited_by(s, 3, 2);
	silent(s, NULL, "await-cycle");
	s = snap_new(40);
	for (size_t i = 0; i < 40; i++)
		snap_awaited_by(s, i, i ^ 1);
	fires(s, NULL, "await-cycle", 40, "20 circles of tasks wait for each other. The first: ");
	s = snap_new(100000); /* one long circle, without recursion */
	for (size_t i = 0; i < 100000; i++)
		snap_awaited_by(s, i, (i + 1) % 100000);
	fires(s, NULL, "await-cycle", 100000, "100,000 tasks wait for each other");
}

static struct snapshot *turning(double turn, int64_t step, bool turns)
{
	struct snapshot *s = snap_new(2);
	s->nloops = 1;
	s->loops = calloc(1, sizeof *s->loops);
	s->loops[0] = (struct loop){ .id = 0xABC0, .running = true, .thread = 99, .turns = turns, .turn = turn,
				     .turn_step = step, .overdue = NAN };
	for (size_t i = 0; i < 2; i++)
		s->tasks[i].loop = 0xABC0;
	s->tasks[0].state = TASK_RUNNING;
	s->tasks[0].stack = snap_stack(s, 2);
	return s;
}

static void blocked(void **state)
{
	(void)state;
	fires(turning(5, 3, true), turning(5, 3, true), "blocked-loop", 1,
	      "The loop 0xabc0 of thread 99 has been in one and the same step of task Task-1 for at least");
	silent(turning(5, 3, true), NULL, "blocked-loop");
	silent(turning(5, 4, true), turning(5, 3, true), "blocked-loop");
	silent(turning(6, 3, true), turning(5, 3, true), "blocked-loop");
	silent(turning(NAN, -1, true), turning(NAN, -1, true), "blocked-loop");
	/* Another make of loop: by the stack of what it runs, or the agent's count. */
	struct snapshot *s = looked(turning(NAN, -1, false), turning(NAN, -1, false), "blocked-loop", 0);
	assert_int_equal(s->nfindings, 1);
	assert_int_equal(s->findings[0].severity, FINDING_WARNING);
	has(s->findings[0].message, "was met twice on the same lines of task Task-1, after 1.0 s at level_1");
	snapshot_free(s);
	/* A loop that says the turn only: a task has one step in it, a callback many. */
	fires(turning(5, -1, true), turning(5, -1, true), "blocked-loop", 1, "one and the same step");
	s = turning(5, -1, true);
	s->tasks[0].state = TASK_WAITING;
	silent(s, turning(5, -1, true), "blocked-loop");
	s = turning(5, 3, true);
	s->stopped = true;
	silent(s, turning(5, 3, true), "blocked-loop");
	struct snapshot *before = turning(NAN, -1, false);
	s = turning(NAN, -1, false);
	before->tasks[0].stack = snap_stack(before, 1);
	silent(s, before, "blocked-loop");
	struct task_stats now = { 8, 1, 1, false }, then = { 7, 1, 1, false };
	s = turning(NAN, -1, false);
	before = turning(NAN, -1, false);
	s->tasks[0].stats = &now;
	before->tasks[0].stats = &then;
	silent(s, before, "blocked-loop");
	s = turning(5, 3, true); /* not running any more */
	s->loops[0].running = false;
	silent(s, turning(5, 3, true), "blocked-loop");
}

static void overdue(void **state)
{
	(void)state;
	static const struct { double late; bool running, fires; } cases[] = {
		{ 3.5, true, true }, { 0.2, true, false }, { NAN, true, false }, { 3.5, false, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct snapshot *s = turning(5, 3, true);
		s->loops[0].overdue = cases[i].late;
		s->loops[0].noverdue = 12;
		s->loops[0].running = cases[i].running;
		if (cases[i].fires)
			fires(s, NULL, "timer-overdue", 0, "12 timers of the loop 0xabc0 are due, the latest for 3.5 s");
		else
			silent(s, NULL, "timer-overdue");
	}
}

static struct snapshot *pool(int64_t max, int64_t busy, int64_t queued)
{
	struct snapshot *s = snap_new(3);
	s->nexecutors = 1;
	s->executors = calloc(1, sizeof *s->executors);
	s->executors[0] = (struct executor){ .id = 0xE0, .kind = "ThreadPoolExecutor", .name = "scan",
		.max_workers = max, .workers = max, .busy = busy, .queued = queued };
	for (size_t i = 0; i < 2; i++) {
		struct wait *w = snap_wait(s, WAIT_EXECUTOR);
		w->id = i ? 0xE0 : 0xE1;
		w->detail = "read() needs a worker";
		s->tasks[i].wait = w;
	}
	return s;
}

static void executors(void **state)
{
	(void)state;
	fires(pool(32, 32, 5968), NULL, "executor-saturated", 1,
	      "ThreadPoolExecutor 0xe0 (scan) has 32 of 32 workers busy and 5,968 calls queued; 1 task waits for it, "
	      "such as Task-2 for read()");
	silent(pool(32, 31, 1), NULL, "executor-saturated");
	silent(pool(32, 32, 0), NULL, "executor-saturated");
	silent(pool(-1, -1, -1), NULL, "executor-saturated");
	silent(pool(32, 32, -1), NULL, "executor-saturated");
}

static void origins(void **state)
{
	(void)state;
	struct snapshot *s = snap_new(1000);
	fires(s, NULL, "many-of-one-origin", 1000, "1,000 live tasks are of work()");
	s = snap_new(1000);
	s->tasks[5].state = TASK_FINISHED;
	silent(s, NULL, "many-of-one-origin");
	s = snap_new(20); /* by the line that made them, once that is known */
	for (size_t i = 0; i < 20; i++) {
		snap_created(s, i, 1, "/srv/app/pool.py", i < 12 ? 42 : 43);
		s->tasks[i].wait = snap_wait(s, WAIT_EVENT);
	}
	looked(s, NULL, "many-of-one-origin", 10);
	assert_int_equal(s->nfindings, 1);
	assert_int_equal(s->findings[0].ntasks, 12);
	has(s->findings[0].message, "12 live tasks are made by maker app/pool.py:42, 12 of them waiting (event)");
	snapshot_free(s);
}

static struct snapshot *cancelling(int64_t n, uint64_t waiter)
{
	struct snapshot *s = snap_new(2);
	s->tasks[0].cancelling = n;
	s->tasks[0].fut_waiter = waiter;
	s->tasks[0].stack = snap_stack(s, 2);
	return s;
}

static void cancels(void **state)
{
	(void)state;
	fires(cancelling(2, 7), cancelling(2, 7), "cancel-pending", 1,
	      "Task Task-1 was asked to cancel 2 times and is still alive, waiting at level_1 app/handlers.py:11");
	fires(cancelling(1, 7), NULL, "cancel-pending", 1, "was asked to cancel and is still alive");
	silent(cancelling(1, 8), cancelling(1, 7), "cancel-pending"); /* it moves: it cleans up */
	silent(cancelling(1, 7), cancelling(0, 7), "cancel-pending");
	silent(cancelling(0, 7), cancelling(1, 7), "cancel-pending");
	struct snapshot *s = cancelling(1, 7), *then = cancelling(1, 7);
	s->tasks[0].scoped = then->tasks[0].scoped = true; /* a scope may have left it */
	silent(s, then, "cancel-pending");
	s = cancelling(1, 7);
	then = cancelling(1, 7);
	s->scopes = then->scopes = "aiohttp";
	looked(s, then, "cancel-pending", 0);
	assert_int_equal(s->nfindings, 1);
	assert_int_equal(s->findings[0].severity, FINDING_INFO);
	has(s->findings[0].message, "or a scope of aiohttp has left the request counted");
	snapshot_free(s);
	snapshot_free(then);
	s = cancelling(1, 7);
	s->tasks[0].must_cancel = true;
	fires(s, cancelling(1, 7), "cancel-pending", 1, "it has not been told yet");
	s = cancelling(1, 7);
	s->tasks[0].cleaning = s->tasks[0].stack.frames[0];
	fires(s, cancelling(1, 7), "cancel-pending", 1, "it is still handling the cancellation in level_0");
	/* The agent saw who asked: a timeout does not count, where it is the only one. */
	struct cancel request = { .origin = CANCEL_TIMEOUT, .at = 1 };
	for (int origin = 0; origin < 2; origin++) {
		s = cancelling(1, 7);
		then = cancelling(1, 7);
		request.origin = origin ? CANCEL_SIGNAL : CANCEL_TIMEOUT;
		request.signal = origin ? 15 : 0;
		for (int i = 0; i < 2; i++) {
			struct task *t = i ? &s->tasks[0] : &then->tasks[0];
			t->serial = 1;
			t->cancels = &request;
			t->ncancels = 1;
		}
		if (origin)
			fires(s, then, "cancel-pending", 1, "was asked to cancel by signal SIGTERM");
		else
			silent(s, then, "cancel-pending");
	}
	s = cancelling(1, 7);
	s->tasks[0].state = TASK_CANCELLED;
	silent(s, NULL, "cancel-pending");
	/* It waits for another that was asked: that one is named, not both. */
	s = cancelling(1, 7);
	uint64_t on = ID(1);
	struct wait *w = snap_wait(s, WAIT_TASKGROUP);
	w->tasks = &on;
	w->ntasks = 1;
	s->tasks[0].wait = w;
	s->tasks[1].cancelling = 1;
	looked(s, NULL, "cancel-pending", 0);
	assert_int_equal(s->nfindings, 1);
	assert_true(s->findings[0].tasks[0] == on);
	snapshot_free(s);
}

static void exceptions(void **state)
{
	(void)state;
	static const struct exception e = { .type = "KeyError", .message = "missing" };
	for (int seen = 0; seen < 2; seen++) {
		struct snapshot *s = snap_new(2);
		s->tasks[1].state = TASK_FAILED;
		s->tasks[1].exception = &e;
		s->tasks[1].unretrieved = !seen;
		if (seen)
			silent(s, NULL, "exception-never-retrieved");
		else
			fires(s, NULL, "exception-never-retrieved", 1, "Task Task-2 (work) failed with KeyError: missing;");
	}
	struct snapshot *s = snap_new(9);
	for (size_t i = 0; i < 9; i++) {
		s->tasks[i].state = TASK_FAILED;
		s->tasks[i].unretrieved = true;
	}
	fires(s, NULL, "exception-never-retrieved", 9, "9 tasks failed with exceptions that nobody has fetched. ");
}

static void unreferenced(void **state)
{
	(void)state;
	struct snapshot *s = snap_new(2);
	s->tasks[1].unreferenced = true;
	fires(s, NULL, "unreferenced-task", 1, "Nothing refers to task Task-2 (work)");
}

static void locks(void **state)
{
	(void)state;
	for (int ended = 0; ended < 2; ended++) {
		struct snapshot *s = snap_new(2);
		struct wait *w = snap_wait(s, WAIT_LOCK);
		w->id = 0x10C0;
		w->holder = 0x77;
		w->holder_name = "holder";
		w->holder_ended = ended;
		s->tasks[0].wait = w;
		if (ended)
			fires(s, NULL, "orphaned-lock", 1, "for a lock (0x10c0) that task holder held when it ended");
		else
			silent(s, NULL, "orphaned-lock");
	}
}

static void groups(void **state)
{
	(void)state;
	static const struct exception e = { .type = "ConnectionError", .message = "gone" };
	static const uint64_t members[] = { ID(1), ID(2) };
	for (int how = 0; how < 4; how++) {
		struct snapshot *s = snap_new(3);
		s->ngroups = 1;
		s->groups = calloc(1, sizeof *s->groups);
		s->groups[0] = (struct group){ .id = 0x60, .kind = "TaskGroup", .owner = ID(0), .tasks = members,
					       .ntasks = how == 3 ? 0 : 2, .aborting = how != 1,
					       .error = how == 2 ? NULL : &e };
		if (how)
			silent(s, NULL, "group-aborting");
		else
			fires(s, NULL, "group-aborting", 2, "A child of the TaskGroup in task Task-1 failed with "
			      "ConnectionError (gone), so the group cancels all others (2 still to end)");
	}
}

static struct snapshot *with_cycle(void)
{
	struct snapshot *s = snap_new(2);
	s->tasks[0].name = "\x1b[31mred";
	snap_awaited_by(s, 0, 1);
	snap_awaited_by(s, 1, 0);
	return s;
}

static struct snapshot *nothing(void)
{
	return snap_new(2);
}

static struct snapshot *partial(void)
{
	struct snapshot *s = with_cycle();
	s->complete = false;
	return s;
}

static struct snapshot *part_of_nothing(void)
{
	struct snapshot *s = nothing();
	s->complete = false;
	return s;
}

static void command(void **state)
{
	(void)state;
	static const struct { struct snapshot *(*make)(void); const char *line; int status; const char *out; } runs[] = {
		{ with_cycle, "check --interval 0", 1, "error [await-cycle] 2 tasks wait" },
		{ with_cycle, "check --interval 0", 1, "[31mred" },
		{ with_cycle, "check --rule await-cycle --rule blocked-loop --interval 0", 1, "error [await-cycle]" },
		{ with_cycle, "check --rule timer-overdue", 0, "Nothing found by 1 rule in 2 tasks." },
		{ with_cycle, "check --interval 0 --json", 1, "\"findings\":[{\"rule\":\"await-cycle\",\"severity\":\"error\"" },
		{ nothing, "check --interval 0", 0, "Nothing found by 17 rules in 2 tasks." },
		{ nothing, "check --interval 0 --json", 0, "\"findings\":[]" },
		{ partial, "check --interval 0", 1, "error [await-cycle]" },
		{ part_of_nothing, "check --interval 0", 5, "Nothing found" },
		{ nothing, "check --fail-on none", 2, "" },
		{ nothing, "check --rule nope", 2, "" },
		{ nothing, "check --interval -1", 2, "" },
		{ nothing, "check --list-rules", 0, "await-cycle" },
	};
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		struct ran r = run_line(runs[i].make, runs[i].line);
		if (r.status != runs[i].status)
			fail_msg("%s: %d\n%s%s", runs[i].line, r.status, r.out, r.err);
		has(r.out, runs[i].out);
		has_not(r.out, "\x1b");
		ran_free(&r);
	}
}

/* Two tasks have what a pool gave out, two wait for it. */
static struct snapshot *with_pool(enum wait_kind kind, uint64_t future)
{
	struct snapshot *s = snap_new(4);
	struct holder *h = arena_array(s->arena, 2, sizeof *h);
	for (size_t i = 0; i < 4; i++) {
		struct wait *w = snap_wait(s, i < 2 ? WAIT_SLEEP : kind);
		s->tasks[i].state = TASK_WAITING;
		s->tasks[i].fut_waiter = i < 2 ? future + i : 0x9000 + i;
		s->tasks[i].wait = w;
		if (i < 2) {
			h[i] = (struct holder){ .task = s->tasks[i].id };
			continue;
		}
		w->id = 0x5000;
		w->detail = "a free one of Pool (2 of 2 in use)";
		w->total = 2;
		w->left = 0;
		w->holders = h;
		w->nholders = 2;
	}
	return s;
}

static struct snapshot *severity(struct snapshot *s, struct snapshot *before, int severity)
{
	looked(s, before, "pool-exhausted", 0);
	assert_int_equal(s->nfindings, 1);
	assert_int_equal((int)s->findings[0].severity, severity);
	snapshot_free(before);
	return s;
}

static void pools(void **state)
{
	(void)state;
	fires(with_pool(WAIT_POOL, 0x8000), with_pool(WAIT_POOL, 0x8000), "pool-exhausted", 2,
	      "2 tasks wait for a free one of Pool (2 of 2 in use)");
	snapshot_free(severity(with_pool(WAIT_POOL, 0x8000), with_pool(WAIT_POOL, 0x8000), FINDING_WARNING));
	/* One that has something has gone on meanwhile. */
	snapshot_free(severity(with_pool(WAIT_POOL, 0x8000), with_pool(WAIT_POOL, 0x7000), FINDING_INFO));
	snapshot_free(severity(with_pool(WAIT_POOL, 0x8000), NULL, FINDING_INFO));
	/* A semaphore with its permits in use, unless they are in threads that do not come back. */
	silent(with_pool(WAIT_SEMAPHORE, 0x8000), with_pool(WAIT_SEMAPHORE, 0x8000), "pool-exhausted");
	static const pid_t thread = 7;
	struct snapshot *s = with_pool(WAIT_SEMAPHORE, 0x8000);
	for (size_t i = 0; i < 2; i++) {
		struct wait *w = snap_wait(s, WAIT_THREAD);
		w->threads = &thread;
		w->nthreads = 1;
		s->tasks[i].wait = w;
	}
	fires(s, with_pool(WAIT_SEMAPHORE, 0x8000), "pool-exhausted", 2, "None of them has gone on meanwhile");
	/* Each has one and wants another. */
	s = with_pool(WAIT_POOL, 0x8000);
	s->tasks[0].wait = s->tasks[2].wait;
	s->tasks[1].wait = s->tasks[3].wait;
	fires(s, NULL, "pool-exhausted", 4, "wait for more of it");
}

/* A loop whose thread wanted so much of a second. */
static struct snapshot *with_loop(double wanted, double at, const char *callback, const struct watched_fd *x)
{
	struct snapshot *s = snap_new(2);
	s->nloops = 1;
	s->loops = calloc(1, sizeof *s->loops);
	s->loops[0] = (struct loop){ .id = 0x10, .running = true, .thread = 7, .turn = at, .callback = callback,
				     .wanted = wanted, .wanted_at = at, .watched = x, .nwatched = x ? 1 : 0 };
	for (size_t i = 0; i < 2; i++)
		s->tasks[i].loop = 0x10;
	return s;
}

static void spins(void **state)
{
	(void)state;
	static const struct watched_fd end = { .fd = 6, .handle = 0x60, .callback = "on_data", .ended = true };
	static const struct watched_fd more = { .fd = 6, .handle = 0x60, .callback = "on_data", .unread = 10 };
	static const struct watched_fd less = { .fd = 6, .handle = 0x60, .callback = "on_data", .unread = 9 };
	fires(with_loop(1.9, 2, NULL, &end), with_loop(1, 1, NULL, &end), "spin", 0, "take note that it is at its end");
	fires(with_loop(1.9, 2, NULL, &more), with_loop(1, 1, NULL, &more), "spin", 0, "does not read what is there");
	silent(with_loop(1.9, 2, NULL, &less), with_loop(1, 1, NULL, &more), "spin");
	silent(with_loop(1.2, 2, NULL, &end), with_loop(1, 1, NULL, &end), "spin");
	fires(with_loop(1.9, 2, "again", NULL), with_loop(1, 1, "again", NULL), "spin", 0, "about to call again()");
	silent(with_loop(1.9, 2, "one", NULL), with_loop(1, 1, "other", NULL), "spin");
	silent(with_loop(0, 0, "again", NULL), with_loop(0, 0, "again", NULL), "spin");
	/* One step: blocked-loop's. */
	struct snapshot *was = with_loop(1, 1, "again", NULL);
	was->loops[0].turn = 2;
	silent(with_loop(1.9, 2, "again", NULL), was, "spin");
	struct snapshot *s = with_loop(1.9, 2, NULL, NULL);
	was = with_loop(1, 1, NULL, NULL);
	s->tasks[1].state = TASK_RUNNABLE;
	was->tasks[1].state = TASK_RUNNING;
	s = looked(s, was, "spin", 0);
	assert_int_equal(s->nfindings, 1);
	assert_int_equal((int)s->findings[0].severity, FINDING_INFO);
	assert_int_equal(s->findings[0].tasks[0], s->tasks[1].id);
	snapshot_free(s);
	snapshot_free(was);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table), cmocka_unit_test(cycles), cmocka_unit_test(blocked),
		cmocka_unit_test(overdue), cmocka_unit_test(executors), cmocka_unit_test(origins),
		cmocka_unit_test(cancels), cmocka_unit_test(exceptions), cmocka_unit_test(unreferenced),
		cmocka_unit_test(locks), cmocka_unit_test(groups), cmocka_unit_test(pools), cmocka_unit_test(spins), cmocka_unit_test(command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Filters, sort, groups, cuts, and what a user may call a task. */
#include "snap.h"

#include "show/list_look.h"
#include "query/resolve.h"

static struct snapshot *twelve(void)
{
	struct snapshot *s = snap_new(12);
	s->tasks[1].state = TASK_RUNNING;
	s->tasks[2].state = TASK_RUNNABLE;
	s->tasks[3].coro = "Worker.run";
	s->tasks[4].coro = "Worker.run";
	s->tasks[5].coro = "other";
	s->tasks[6].name = "twin";
	s->tasks[7].name = "twin";
	s->tasks[8].serial = 17;
	s->tasks[8].persistent = true;
	s->tasks[9].wait = snap_wait(s, WAIT_SLEEP);
	s->tasks[10].wait = snap_wait(s, WAIT_SLEEP);
	snap_created(s, 3, 100, "/srv/app/pool.py", 42);
	snap_created(s, 4, 10, "/srv/app/pool.py", 43);
	snap_created(s, 5, NAN, "/usr/lib/python3.14/asyncio/tasks.py", 7);
	return s;
}

static void durations(void **state)
{
	static const struct { const char *text; double s; } good[] = {
		{ "90s", 90 }, { "5m", 300 }, { "2h", 7200 }, { "1d", 86400 }, { "1w", 604800 },
		{ "500ms", 0.5 }, { "1h30m", 5400 }, { "2.5", 2.5 }, { "0", 0 }, { "1.5m", 90 },
	};
	static const char *const bad[] = { "", "s", "5x", "-1s", "1h30", "5 m", "nan", "inf", "1e400s", "0x1p", "5S" };
	double v;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_null(duration_parse(good[i].text, &v));
		assert_true(fabs(v - good[i].s) < 1e-9);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err_t e = duration_parse(bad[i], &v);
		if (err_code(e) != E_USAGE)
			fail_msg("%s was taken for a duration", bad[i]);
		err_free(e);
	}
}

static void natural(void **state)
{
	(void)state;
	assert_true(natural_compare("Task-2", "Task-10") < 0);
	assert_true(natural_compare("Task-10", "Task-9") > 0);
	assert_int_equal(natural_compare("a007", "a7"), 0);
	assert_true(natural_compare("a", "a1") < 0);
	assert_true(natural_compare("", "") == 0);
	assert_true(natural_compare("x99999999999999999999999", "x100000000000000000000000") < 0);
}

/* The names that a raw list of NAMEs has, apart by commas. */
static void names_are(const char *options, const char *want)
{
	char line[256];
	snprintf(line, sizeof line, "ps --raw --noheadings -o name %s", options);
	struct ran r = run_line(twelve, line);
	/* Of most of the twelve, but not of the Workers, nothing is known of their making; one has a
	 * record of the agent's. */
	bool unknown = ((strstr(options, "--created") || strstr(options, "--older-than")) &&
			!strstr(options, "Worker")) || strstr(options, "-p");
	assert_int_equal(r.status, unknown ? 5 : 0);
	size_t n = strlen(r.out);
	if (n)
		r.out[n - 1] = '\0';
	for (char *p = r.out; (p = strchr(p, '\n')); )
		*p = ',';
	if (strcmp(r.out, want))
		fail_msg("%s: %s, not %s", options, r.out, want);
	ran_free(&r);
}

static void selected(void **state)
{
	(void)state;
	names_are("-f ask-1", "Task-1,Task-10,Task-11,Task-12");
	names_are("-f run", "Task-4,Task-5");
	names_are("--state running", "Task-2");
	names_are("--state running,runnable", "Task-2,Task-3");
	names_are("--coro Worker.*", "Task-4,Task-5");
	names_are("--coro Work", "");
	names_are("-p", "Task-9");
	names_are("--created */pool.py:42", "Task-4");
	names_are("--created pool.py:4?", "Task-4,Task-5");
	names_are("--created pool.py", "Task-4,Task-5");
	names_are("--created pool.py:4", "");
	names_are("--older-than 1m", "Task-4");
	names_are("--older-than 10s", "Task-4");
	names_are("--coro Worker.* --created *:43", "Task-5");
	names_are("--head 2", "Task-1,Task-2");
	names_are("--tail 2", "Task-11,Task-12");
	names_are("--head 3 --tail 1", "Task-3");
	names_are("--head 0", "");
	names_are("--head 99 --tail 99 -f twin", "twin,twin");
}

static void sorted(void **state)
{
	(void)state;
	names_are("--sort name --head 4", "Task-1,Task-2,Task-3,Task-4");
	names_are("--sort name --tail 3", "Task-12,twin,twin");
	names_are("--sort name:desc --head 3", "twin,twin,Task-12");
	names_are("--sort age --head 3", "Task-5,Task-4,Task-1");
	names_are("--sort AGE:desc --head 3", "Task-4,Task-5,Task-1");
	names_are("--sort state --head 2", "Task-2,Task-3");
	names_are("--sort coro --head 3", "Task-4,Task-5,Task-6");
	names_are("--sort id:desc --head 1", "Task-12");
}

/* Two makers of one name. */
static struct snapshot *makers(void)
{
	struct snapshot *s = snap_new(4);
	for (size_t i = 0; i < 3; i++) {
		snap_created(s, i, 1, "/srv/app/pool.py", 42);
		struct created *c = (struct created *)(uintptr_t)s->tasks[i].created;
		c->has_by = true;
		c->by = (struct task_ref){ .id = ID(9), .serial = i == 1 ? 8 : 7, .name = "boss" };
	}
	return s;
}

static void grouped(void **state)
{
	struct ran r = run_line(twelve, "ps --group-by coro --raw");
	(void)state;
	assert_string_equal(r.out, "COUNT CORO\n9 work\n2 Worker.run\n1 other\n");
	ran_free(&r);
	r = run_line(twelve, "ps --group-by waiting --sort key --raw --noheadings");
	assert_string_equal(r.out, "10 -\n2 sleep\n");
	ran_free(&r);
	r = run_line(twelve, "ps --group-by coro --json --head 1");
	has(r.out, "\"group_by\":\"coro\",\"counts\":[{\"key\":\"work\",\"count\":9}]");
	ran_free(&r);
	r = run_line(twelve, "ps --group-by created --noheadings");
	has(r.out, "      9 -\n      1 /srv/app/pool.py:42\n");
	ran_free(&r);
	r = run_line(twelve, "ps --group-by thread --raw --noheadings");
	assert_string_equal(r.out, "12 -\n");
	ran_free(&r);
	r = run_line(makers, "ps --group-by by --raw");
	assert_string_equal(r.out, "COUNT BY\n2 boss\\x20(#7)\n1 -\n1 boss\\x20(#8)\n");
	ran_free(&r);
}

static void counted(void **state)
{
	struct ran r = run_line(twelve, "ps -f twin");
	(void)state;
	has(r.out, "\n2 of 12 tasks\n");
	ran_free(&r);
	r = run_line(twelve, "ps");
	has_not(r.out, " of ");
	ran_free(&r);
	r = run_line(twelve, "ps --older-than 1s");
	has(r.err, "10 tasks are left out because what the filter asks for is not known of them");
	ran_free(&r);
	r = run_line(twelve, "ps --json -f twin");
	has(r.out, "\"shown\":2,\"total\":12,\"tasks\":[{\"id\":\"0x7f0000001600\"");
	ran_free(&r);
}

static void resolves(const struct snapshot *s, const char *word, size_t index)
{
	const struct task *t = NULL;
	assert_null(resolve_task(s, word, &t));
	assert_ptr_equal(t, &s->tasks[index]);
}

static void unresolved(const struct snapshot *s, const char *word, const char *part)
{
	const struct task *t = NULL;
	err_t e = resolve_task(s, word, &t);
	assert_int_equal(err_code(e), E_NOTFOUND);
	has(e->msg, part);
	err_free(e);
}

static void resolved(void **state)
{
	struct snapshot *s = twelve();
	char word[32];
	(void)state;
	s->tasks[10].name = "123";
	s->tasks[11].name = "";
	resolves(s, "0x7f0000001000", 0);
	resolves(s, "0X7F0000001100", 1);
	snprintf(word, sizeof word, "%llu", (unsigned long long)ID(2));
	resolves(s, word, 2);
	resolves(s, "#17", 8);
	resolves(s, "Task-4", 3);
	resolves(s, "123", 10);
	resolves(s, "", 11);
	unresolved(s, "twin", "2 tasks are called twin: 0x7f0000001600 (twin, work), 0x7f0000001700");
	unresolved(s, "Tsak-4", "like it are 0x7f0000001300 (Task-4, Worker.run)");
	unresolved(s, "r", ", ...");
	unresolved(s, "Worker", "Task-4");
	unresolved(s, "nothing like it", "there is no task nothing like it among 12");
	unresolved(s, "0x1", "there is no task 0x1");
	unresolved(s, "#18", "there is no task #18");
	unresolved(s, "0xffffffffffffffffff", "there is no task");
	snapshot_free(s);
}

/* A shell takes a name with blanks apart. */
static void resolved_words(void **state)
{
	struct snapshot *s = twelve();
	const struct task *out[2] = { NULL, NULL };
	const char *const name[] = { "hourly", "report" }, *const two[] = { "Task-4", "hourly" };
	const char *const both[] = { "Task-4", "hourly report" };
	size_t n = 2;
	(void)state;
	s->tasks[10].name = "hourly report";
	assert_null(resolve_tasks(s, name, &n, out));
	assert_int_equal(n, 1);
	assert_ptr_equal(out[0], &s->tasks[10]);
	n = 2;
	assert_null(resolve_tasks(s, both, &n, out));
	assert_int_equal(n, 2);
	assert_ptr_equal(out[1], &s->tasks[10]);
	err_t e = resolve_tasks(s, two, &n, out);
	has(e->msg, "there is no task hourly; did you mean \"hourly report\"?");
	err_free(e);
	/* Each word is a task: those are meant. */
	s->tasks[2].name = "hourly";
	s->tasks[11].name = "report";
	assert_null(resolve_tasks(s, name, &n, out));
	assert_int_equal(n, 2);
	assert_ptr_equal(out[0], &s->tasks[2]);
	s->tasks[2].name = "hourly report";
	e = resolve_tasks(s, name, &n, out);
	has(e->msg, "2 tasks are called hourly report: 0x7f0000001200 (hourly report, ");
	err_free(e);
	snapshot_free(s);
}

/* As a narrow table shows ids. */
static void resolved_tails(void **state)
{
	struct snapshot *s = twelve();
	(void)state;
	s->tasks[5].id = 0x7f00000ab340;
	resolves(s, "…1300", 3);
	resolves(s, "...1300", 3);
	resolves(s, "…b340", 5);
	resolves(s, "b340", 5);
	s->tasks[4].name = "b340";
	resolves(s, "b340", 4);
	/* Perhaps the name of a task that has ended. */
	unresolved(s, "1300", "there is no task 1300");
	unresolved(s, "…00", "there is no task");
	unresolved(s, "…", "there is no task");
	unresolved(s, "340", "there is no task 340");
	snapshot_free(s);
}

/* Of two crowds a few rows stay, the oldest first of all; a few alike are no crowd. */
static void folded(void **state)
{
	struct snapshot *s = snap_new(45);
	struct list l;
	size_t oldest = 0, cancelled = 0, rare = 0;
	(void)state;
	for (size_t i = 25; i < 38; i++)
		s->tasks[i].cancelling = 1;
	for (size_t i = 38; i < 45; i++)
		s->tasks[i].coro = "rare";
	snap_created(s, 20, 100, "/srv/app/pool.py", 42);
	snap_created(s, 4, 10, "/srv/app/pool.py", 42);
	assert_null(list_make(&l, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }));
	assert_null(list_fold(&l));
	assert_int_equal(l.n, 3 + 3 + 7);
	for (size_t i = 0; i < l.n; i++) {
		const struct task *t = l.rows[i];
		oldest += t == &s->tasks[20] || t == &s->tasks[4] || t == &s->tasks[0];
		cancelled += t->cancelling;
		rare += !strcmp(t->coro, "rare");
		assert_true(!i || (const struct task *)l.rows[i - 1] < t);
	}
	assert_int_equal(oldest, 3);
	assert_int_equal(cancelled, 3);
	assert_int_equal(rare, 7);
	assert_int_equal(l.folds.rows, 32);
	assert_int_equal(l.folds.n, 2);
	assert_int_equal(l.folds.v[0].more, 22);
	assert_string_equal(l.folds.v[0].text, "wait (work)");
	assert_int_equal(l.folds.v[1].more, 10);
	assert_string_equal(l.folds.v[1].text, "wait (work, asked to cancel)");
	list_free(&l);
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations), cmocka_unit_test(natural), cmocka_unit_test(selected),
		cmocka_unit_test(sorted), cmocka_unit_test(grouped), cmocka_unit_test(counted),
		cmocka_unit_test(resolved), cmocka_unit_test(resolved_words), cmocka_unit_test(resolved_tails),
		cmocka_unit_test(folded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

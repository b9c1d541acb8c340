/* Whatever stops or ends us while we hold a target, the target goes on. */
#include "tests/unit/child.h"

#include <sys/resource.h>

static const int ends[] = { SIGTERM, SIGABRT, SIGSEGV, SIGQUIT, SIGKILL };
#define ENDS_N (sizeof ends / sizeof *ends)

static pid_t held;

/* Holds that process until it is told to let go, as a command does. */
static void holder(int in, int out)
{
	struct target *t;
	struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY };
	setrlimit(RLIMIT_CORE, &most);
	for (size_t i = 0; i < ENDS_N; i++) /* cmocka handles some itself */
		signal(ends[i], SIG_DFL);
	if (target_open_process(held, NULL, &t) || target_stop(t))
		child_say(out, 'n');
	child_say(out, prctl(PR_GET_DUMPABLE) == 0 ? 'h' : 'd');
	child_hear(in);
	target_resume(t);
	child_say(out, prctl(PR_GET_DUMPABLE) == 1 ? 'f' : 'd');
	child_hear(in);
	target_close(t);
}

static bool wait_untraced(pid_t pid)
{
	struct proc_status st = { 0 };
	for (int i = 0; i < 10000 && proc_status_read(pid, &st) && st.tracer; i++)
		nap(1);
	return !st.tracer;
}

static bool wait_state(pid_t pid, char state)
{
	for (int i = 0; i < 10000 && proc_state(pid, pid) != state; i++)
		nap(1);
	return proc_state(pid, pid) == state;
}

static struct child hold(struct child *c)
{
	struct proc_status st;
	held = c->pid;
	struct child h = child_start(holder);
	assert_int_equal(h.first, 'h');
	assert_true(proc_status_read(c->pid, &st) && st.tracer);
	return h;
}

static void a_stop_of_ours_does_not_hold_it(void **state)
{
	(void)state;
	struct child c = child_start(child_idle), h = hold(&c);
	kill(h.pid, SIGSTOP);
	/* Nobody but the guardian continues the holder, so that it can keep its deadline. */
	assert_true(wait_untraced(c.pid));
	assert_int_equal(child_ask(&c, 'a'), 'a');
	assert_int_equal(write(h.to, "g", 1), 1);
	/* Whoever stopped it gets what he asked for once the target is free. */
	assert_true(wait_state(h.pid, 'T'));
	kill(h.pid, SIGCONT);
	assert_int_equal(child_wait(&h), 'f');
	child_kill(&h);
	child_kill(&c);
}

static void our_end_lets_it_go(void **state)
{
	(void)state;
	struct child c = child_start(child_idle);
	for (size_t i = 0; i < ENDS_N; i++) {
		int status;
		struct child h = hold(&c);
		kill(h.pid, ends[i]);
		assert_int_equal(waitpid(h.pid, &status, 0), h.pid);
		children_note(h.pid, false);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), ends[i]);
		assert_false(WCOREDUMP(status));
		assert_true(wait_untraced(c.pid));
		assert_int_equal(child_ask(&c, 'a'), 'a');
		close(h.to);
		close(h.from);
	}
	child_kill(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_stop_of_ours_does_not_hold_it, children_end),
		cmocka_unit_test_teardown(our_end_lets_it_go, children_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

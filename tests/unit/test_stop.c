/* Stopping and letting go: whatever the target does under our hands, it comes out
 * unharmed. */
#include "tests/unit/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define P IMAGE_PAGE

/* Shared with the children: what they have seen and done. */
static struct {
	_Atomic long ticks, signals, threads;
	_Atomic int tid;
} *shared;

static int shared_new(void **state)
{
	(void)state;
	shared = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

static int shared_free(void **state)
{
	children_end(state);
	return munmap(shared, P);
}

static err_t freeze_once(struct child *c, struct freeze_stats *st)
{
	struct target *t = NULL;
	err_t e = target_open_process(c->pid, NULL, &t);
	if (e)
		return e;
	e = target_freeze(t, &(struct freeze_opts){ .whole = true }, st);
	target_close(t);
	return e;
}

static void wait_state(pid_t pid, char want)
{
	for (int i = 0; i < 1000 && proc_state(pid, pid) != want; i++)
		nap(1);
	assert_int_equal(proc_state(pid, pid), want);
}

static void *sleeping(void *arg)
{
	(void)arg;
	shared->threads++;
	for (;;)
		pause();
	return NULL;
}

static void many_threads(int in, int out)
{
	pthread_t th;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (int i = 0; i < 150; i++)
		pthread_create(&th, &small, sleeping, NULL);
	while (shared->threads < 150)
		nap(1);
	child_idle(in, out);
}

static void all_threads_stand_still(void **state)
{
	(void)state;
	struct child c = child_start(many_threads);
	struct target *t = target_of(&c);
	assert_int_equal(t->nthreads, 151);
	assert_int_equal(t->threads[0].tid, c.pid);
	struct freeze_stats st = freeze(t, (struct freeze_opts){ 0 });
	assert_int_equal(st.threads, 151);
	for (size_t i = 0; i < t->nthreads; i++) {
		assert_true(t->threads[i].have_regs && t->threads[i].fs_base);
		assert_int_equal(tracer_of(t->threads[i].tid), 0);
	}
	target_close(t);
	child_kill(&c);
}

static void a_stopped_process_stays_stopped(void **state)
{
	(void)state;
	struct child c = child_start(many_threads);
	kill(c.pid, SIGSTOP);
	wait_state(c.pid, 'T');
	struct target *t = target_of(&c);
	for (int i = 0; i < 20; i++) {
		struct freeze_stats st = freeze(t, (struct freeze_opts){ .whole = true });
		assert_true(st.was_stopped);
		assert_int_equal(tracer_of(c.pid), 0);
		wait_state(c.pid, 'T');
	}
	kill(c.pid, SIGCONT);
	child_ask(&c, 'x');
	assert_false(freeze(t, (struct freeze_opts){ 0 }).was_stopped);
	target_close(t);
	child_kill(&c);
}

static void count_signal(int sig)
{
	(void)sig;
	shared->signals++;
}

static void counting_signals(int in, int out)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	sigaction(SIGRTMIN + 1, &sa, NULL);
	child_idle(in, out);
}

/* Real-time signals queue: each one sent is to be counted once. */
static void no_signal_is_lost_or_doubled(void **state)
{
	(void)state;
	struct child c = child_start(counting_signals);
	struct target *t = target_of(&c);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(sigqueue(c.pid, SIGRTMIN + 1, (union sigval){ 0 }), 0);
		if (i % 4 == 0)
			freeze(t, (struct freeze_opts){ 0 });
	}
	child_ask(&c, 'x');
	assert_int_equal(shared->signals, 2000);
	target_close(t);
	child_kill(&c);
}

static void *short_lived(void *arg)
{
	(void)arg;
	shared->threads++;
	return NULL;
}

static void churning(int in, int out)
{
	(void)in;
	child_say(out, 'r');
	for (;;) {
		pthread_t th[4];
		for (int i = 0; i < 4; i++)
			if (pthread_create(&th[i], NULL, short_lived, NULL))
				_exit(5);
		for (int i = 0; i < 4; i++)
			pthread_join(th[i], NULL);
		shared->ticks++;
	}
}

static void threads_may_come_and_go(void **state)
{
	(void)state;
	struct child c = child_start(churning);
	struct target *t = target_of(&c);
	for (int i = 0; i < 300; i++) {
		freeze(t, (struct freeze_opts){ .whole = i % 2 });
		assert_true(t->nthreads >= 1);
	}
	long ticks = shared->ticks;
	nap(50);
	assert_true(shared->ticks > ticks);
	assert_free(c.pid);
	target_close(t);
	child_kill(&c);
}

static void *leaderless(void *arg)
{
	int *fd = arg;
	shared->tid = (int)syscall(SYS_gettid);
	child_idle(fd[0], fd[1]);
	return NULL;
}

static int pipes[2];

static void leader_ends(int in, int out)
{
	pthread_t th;
	pipes[0] = in;
	pipes[1] = out;
	pthread_create(&th, NULL, leaderless, pipes);
	pthread_exit(NULL);
}

static void a_process_lives_on_without_its_main_thread(void **state)
{
	(void)state;
	struct child c = child_start(leader_ends);
	wait_state(c.pid, 'Z');
	struct target *t = target_of(&c);
	assert_true(t->exe[0] == '/');
	freeze(t, (struct freeze_opts){ .whole = true });
	assert_int_equal(t->nthreads, 1);
	assert_int_equal(t->threads[0].tid, shared->tid);
	assert_true(t->threads[0].have_regs);
	assert_non_null(image_at(t->image, (uintptr_t)&pipes, sizeof pipes));
	child_ask(&c, 'x');
	assert_int_equal(tracer_of(shared->tid), 0);
	target_close(t);
	child_kill(&c);
}

static void exec_on_demand(int in, int out)
{
	child_say(out, 'r');
	child_hear(in);
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	_exit(6);
}

static void another_program_is_noticed(void **state)
{
	(void)state;
	struct child c = child_start(exec_on_demand);
	struct target *t = target_of(&c);
	struct freeze_stats st;
	if (write(c.to, "x", 1) != 1)
		fail();
	for (int i = 0; i < 1000; i++) {
		struct proc_status s;
		if (proc_status_read(c.pid, &s) && strcmp(s.name, "sleep") == 0)
			break;
		nap(1);
	}
	nap(20);
	is_error(target_freeze(t, &(struct freeze_opts){ 0 }, &st), E_GONE, "another program");
	is_error(target_freeze(t, &(struct freeze_opts){ .no_pause = true }, &st), E_GONE, "");
	assert_free(c.pid);
	target_close(t);
	child_kill(&c);
}

/* Execs itself again and again, now from the main thread, now from another one. */
static void *exec_again(void *arg)
{
	(void)arg;
	shared->ticks++;
	execl("/bin/sh", "sh", "-c", "i=0; while [ $i -lt 400 ]; do i=$((i+1)); "
	      "exec $0 -c \"$1\" \"$0\" \"$1\"; done", "/bin/sh", "exec \"$0\" -c \"$1\" \"$0\" \"$1\"",
	      (char *)NULL);
	_exit(6);
}

static void exec_from_thread(int in, int out)
{
	pthread_t th;
	(void)in;
	child_say(out, 'r');
	pthread_create(&th, NULL, exec_again, NULL);
	for (;;)
		pause();
}

static void exec_under_our_hands(void **state)
{
	(void)state;
	int whole = 0, gone = 0;
	for (int i = 0; i < 10; i++) {
		struct child c = child_start(exec_from_thread);
		for (int k = 0; k < 20; k++) {
			struct freeze_stats st;
			err_t e = freeze_once(&c, &st);
			if (e && e->code != E_GONE)
				fail_msg("%s: %s", err_code_name(e->code), e->msg);
			*(e ? &gone : &whole) += 1;
			err_free(e);
		}
		assert_free(c.pid);
		child_kill(&c);
	}
	assert_int_equal(whole + gone, 200);
}

static void *busy(void *arg)
{
	(void)arg;
	for (;;)
		shared->ticks++;
	return NULL;
}

static void ends_soon(int in, int out)
{
	(void)in;
	pthread_t th;
	for (int i = 0; i < 3; i++)
		pthread_create(&th, NULL, busy, NULL);
	child_say(out, 'r');
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	nanosleep(&(struct timespec){ .tv_nsec = now.tv_nsec % 4000000 }, NULL);
	_exit(7);
}

static void exit_under_our_hands(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct child c = child_start(ends_soon);
		struct freeze_stats st;
		err_t e = freeze_once(&c, &st);
		if (e && e->code != E_GONE && e->code != E_NOPROC)
			fail_msg("%s", e->msg);
		err_free(e);
		children_note(c.pid, false);
		/* Its status is for its parent, not for its tracer. */
		int status;
		assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		close(c.to);
		close(c.from);
	}
}

/* Holds the calling thread in uninterruptible sleep, and ends with it. */
static void vfork_a_sleeper(void)
{
	if (vfork() == 0) {
		struct timespec ts = { .tv_sec = 60 };
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		syscall(SYS_nanosleep, &ts, NULL);
		_exit(0);
	}
}

static void vforking(int in, int out)
{
	child_say(out, 'r');
	child_hear(in);
	vfork_a_sleeper();
	child_idle(in, out);
}

static void a_vfork_parent_is_read_as_it_sleeps(void **state)
{
	(void)state;
	struct child c = child_start(vforking);
	struct target *t = target_of(&c);
	if (write(c.to, "x", 1) != 1)
		fail();
	wait_state(c.pid, 'D');
	struct freeze_stats st = freeze(t, (struct freeze_opts){ .whole = true });
	assert_true(st.paused_us >= 0);
	assert_int_equal(st.threads, 1);
	assert_int_equal(tracer_of(c.pid), 0);
	assert_false(t->threads[0].have_regs);
	assert_non_null(image_at(t->image, (uintptr_t)&pipes, sizeof pipes));
	target_close(t);
	child_kill(&c);
}

#define SLEEPERS 100

static void *vfork_once(void *arg)
{
	(void)arg;
	shared->threads++;
	vfork_a_sleeper();
	return NULL;
}

static void vforking_often(int in, int out)
{
	pthread_t th;
	shared->threads = 0;
	for (int i = 0; i < SLEEPERS; i++)
		pthread_create(&th, NULL, vfork_once, NULL);
	while (shared->threads < SLEEPERS)
		nap(1);
	nap(20);
	child_idle(in, out);
}

/* Threads that cannot halt are all counted, and all let go, again and again. */
static void many_that_sleep_are_read_as_they_sleep(void **state)
{
	(void)state;
	struct child c = child_start(vforking_often);
	struct freeze_stats st;
	for (int i = 0; i < 5; i++) {
		ok(freeze_once(&c, &st));
		assert_in_range(st.threads, SLEEPERS, SLEEPERS + 1);
		assert_true(st.paused_us >= 0);
		assert_int_equal(tracer_of(c.pid), 0);
	}
	child_kill(&c);
}

static void ticking(int in, int out)
{
	(void)in;
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	sigaction(SIGRTMIN + 1, &sa, NULL);
	pthread_t th;
	pthread_create(&th, NULL, busy, NULL);
	child_idle(in, out);
}

static pid_t victim;

static void freezing(int in, int out)
{
	(void)in;
	struct child c = { .pid = victim };
	child_say(out, 'r');
	for (;;) {
		struct freeze_stats st;
		err_free(freeze_once(&c, &st));
	}
}

static void our_death_leaves_the_target_running(void **state)
{
	(void)state;
	struct child c = child_start(ticking);
	victim = c.pid;
	long sent = 0;
	for (int i = 0; i < 60; i++) {
		struct child killer = child_start(freezing);
		for (int k = 0; k < 10; k++, sent++) {
			sigqueue(c.pid, SIGRTMIN + 1, (union sigval){ 0 });
			nanosleep(&(struct timespec){ .tv_nsec = (i * 37 + k * 11) % 500 * 1000 }, NULL);
		}
		child_kill(&killer);
		assert_free(c.pid);
	}
	child_ask(&c, 'x');
	assert_int_equal(shared->signals, sent);
	long ticks = shared->ticks;
	nap(20);
	assert_true(shared->ticks > ticks);
	child_kill(&c);
}

static void two_at_once_take_turns(void **state)
{
	(void)state;
	struct child c = child_start(child_idle);
	struct target *a = target_of(&c), *b = target_of(&c);
	struct freeze_stats st;
	ok(target_stop(a));
	err_t e = target_freeze(b, &(struct freeze_opts){ 0 }, &st);
	assert_int_equal(err_code(e), E_BUSY);
	err_free(e);
	target_resume(a);
	ok(target_freeze(b, &(struct freeze_opts){ 0 }, &st));
	target_close(a);
	target_close(b);
	child_kill(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, shared_new, shared_free)
	const struct CMUnitTest tests[] = {
		T(all_threads_stand_still),
		T(a_stopped_process_stays_stopped),
		T(no_signal_is_lost_or_doubled),
		T(threads_may_come_and_go),
		T(a_process_lives_on_without_its_main_thread),
		T(another_program_is_noticed),
		T(exec_under_our_hands),
		T(exit_under_our_hands),
		T(a_vfork_parent_is_read_as_it_sleeps),
		T(many_that_sleep_are_read_as_they_sleep),
		T(our_death_leaves_the_target_running),
		T(two_at_once_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

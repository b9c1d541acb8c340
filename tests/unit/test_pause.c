/* The longest pause: whatever hangs or takes long, the target goes on in time. */
#include "tests/unit/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "attach/hands.h"

#define P IMAGE_PAGE
#define MS 1000000ll

static struct { _Atomic long ticks; } *shared;
static char *memory;
static size_t size;

static int memory_new(void **state)
{
	(void)state;
	shared = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size = 64 * P;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED || memory == MAP_FAILED;
}

static int memory_free(void **state)
{
	children_end(state);
	return munmap(memory, size) | munmap(shared, P);
}

/* Pages of `memory` that are touched would be served by whoever reads a descriptor
 * that nobody reads. Answers 'n' where the system has none for it. */
static void unserved(int in, int out)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)memory, size }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	memory[0] = 1;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		child_say(out, 'n');
		child_hear(in);
	}
	child_idle(in, out);
}

static void a_page_that_never_comes_does_not_hold_it(void **state)
{
	(void)state;
	struct child c = child_start(unserved);
	if (c.first == 'n')
		skip();
	struct target *t = target_of(&c);
	struct freeze_stats st;
	uint64_t there = (uintptr_t)memory, missing = there + 8 * P;
	uint8_t v;
	freeze(t, (struct freeze_opts){ 0 });
	image_u8(t->image, missing, &v);
	const struct freeze_opts o = { .around = P, .pause_ns = 50 * MS };
	is_error(target_freeze(t, &o, &st), E_BUSY, "does not come back");
	assert_free(c.pid);
	assert_int_equal(child_ask(&c, 'x'), 'x');
	/* All that exists can still be had, by the same target. */
	is_error(target_freeze(t, &o, &st), E_BUSY, "does not come back");
	target_close(t);
	t = target_of(&c);
	freeze(t, (struct freeze_opts){ .whole = true });
	assert_true(image_u8(t->image, there, &v));
	assert_int_equal(v, 1);
	assert_int_equal(child_ask(&c, 'y'), 'y');
	target_close(t);
	child_kill(&c);
}

static int said_so(const char *message)
{
	return strstr(message, "does not come back") ? 42 : 43;
}

/* Nor us, while it runs: there is an end to it. */
static void a_page_that_never_comes_ends_the_look(void **state)
{
	(void)state;
	struct child c = child_start(unserved);
	if (c.first == 'n')
		skip();
	pid_t looker = fork();
	if (looker == 0) {
		uint8_t v;
		struct target *t = target_of(&c);
		hang_watch(said_so);
		image_u8(t->image, (uintptr_t)memory + 8 * P, &v);
		_exit(1);
	}
	int status = 0;
	assert_int_equal(waitpid(looker, &status, 0), looker);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(child_ask(&c, 'x'), 'x');
	child_kill(&c);
}

static void large(int in, int out)
{
	size_t n = 64u << 20;
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(5);
	memset(p, 1, n);
	memory[3 * P] = 3;
	child_idle(in, out);
}

/* What was asked for is copied before the rest, and what is missing is not zeros. */
static void a_copy_ends_when_the_time_is_up(void **state)
{
	(void)state;
	struct child c = child_start(large);
	struct target *t = target_of(&c);
	uint8_t v;
	assert_true(image_u8(t->image, (uintptr_t)memory + 3 * P, &v));
	struct freeze_stats st = { 0 };
	/* Twice as long each time, until it gets that far. */
	for (int64_t ms = 2; ms < 10000; ms *= 2) {
		st = freeze(t, (struct freeze_opts){ .whole = true, .pause_ns = ms * MS });
		if (image_u8(t->image, (uintptr_t)memory + 3 * P, &v))
			break;
	}
	assert_true(image_u8(t->image, (uintptr_t)memory + 3 * P, &v));
	assert_int_equal(v, 3);
	size_t unknown = 0;
	for (size_t i = 0; i < t->nmappings; i++)
		for (uint64_t a = t->mappings[i].start; t->mappings[i].write && a < t->mappings[i].end; a += 64 * P)
			unknown += !image_u8(t->image, a, &v);
	assert_true(st.left ? unknown > 0 : unknown == 0);
	st = freeze(t, (struct freeze_opts){ .whole = true, .pause_ns = 10000 * MS });
	assert_int_equal(st.left, 0);
	assert_free(c.pid);
	target_close(t);
	child_kill(&c);
}

static void who_holds_it_too_long_loses_it(void **state)
{
	(void)state;
	for (int stopped = 0; stopped < 2; stopped++) {
		struct child c = child_start(child_idle);
		struct target *t = target_of(&c);
		char byte = 1;
		if (stopped)
			kill(c.pid, SIGSTOP);
		t->pause_ns = 30 * MS;
		ok(target_stop(t));
		for (int i = 0; i < 5000 && tracer_of(c.pid); i++)
			nap(1);
		assert_free(c.pid);
		if (stopped) {
			for (int i = 0; i < 5000 && proc_state(c.pid, c.pid) != 'T'; i++)
				nap(1);
			assert_int_equal(proc_state(c.pid, c.pid), 'T');
			kill(c.pid, SIGCONT);
		}
		assert_int_equal(child_ask(&c, 'x'), 'x');
		is_error(target_write(t, (uintptr_t)memory, &byte, 1), E_BUSY, "too long");
		target_resume(t);
		/* The next time it is held again. */
		t->pause_ns = 0;
		ok(target_stop(t));
		ok(target_write(t, (uintptr_t)memory, &byte, 1));
		target_resume(t);
		assert_int_equal(child_ask(&c, 'x'), 'x');
		target_close(t);
		child_kill(&c);
	}
}

static void pin(void)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof one, &one);
}

static void idler(int in, int out)
{
	(void)in;
	pin();
	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
	child_say(out, 'r');
	for (;;)
		shared->ticks++;
}

static void hog(int in, int out)
{
	(void)in;
	pin();
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	child_say(out, 'r');
	for (;;)
		;
}

/* It cannot come to a halt, yet it stands still from the stop to the end of it. */
static void a_thread_that_gets_no_processor_stands_still(void **state)
{
	(void)state;
	struct child c = child_start(idler), h = child_start(hog);
	struct target *t = target_of(&c);
	for (int i = 0; i < 3; i++) {
		ok(target_stop(t));
		long ticks = shared->ticks;
		nap(150);
		assert_int_equal(shared->ticks, ticks);
		target_resume(t);
	}
	freeze(t, (struct freeze_opts){ .whole = true });
	child_kill(&h);
	long ticks = shared->ticks;
	for (int i = 0; i < 5000 && shared->ticks == ticks; i++)
		nap(1);
	assert_true(shared->ticks > ticks);
	assert_free(c.pid);
	target_close(t);
	child_kill(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, memory_new, memory_free)
	const struct CMUnitTest tests[] = {
		T(a_page_that_never_comes_does_not_hold_it),
		T(a_page_that_never_comes_ends_the_look),
		T(a_copy_ends_when_the_time_is_up),
		T(who_holds_it_too_long_loses_it),
		T(a_thread_that_gets_no_processor_stands_still),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A living process as a target: what its image shows, before, at and after a freeze,
 * its files, and what is said when it cannot be had. */
#include "tests/unit/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define P IMAGE_PAGE

static volatile uint64_t counter = 1;
static uint8_t *pages; /* 64 pages that the test and its children share the address of */
enum { PAGES = 64 };

static void pages_new(int flags)
{
	pages = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	/* Away from its neighbours, so that it is a mapping of its own. */
	mprotect(pages, P, PROT_NONE);
	mprotect(pages + (PAGES - 1) * P, P, PROT_NONE);
	for (unsigned i = 1; i < PAGES / 2; i++)
		pages[i * P] = (uint8_t)i;
}

static void pages_free(void)
{
	munmap(pages, PAGES * P);
}

static uint64_t at(unsigned page)
{
	return (uintptr_t)pages + page * (uint64_t)P;
}

static void counting(int in, int out)
{
	for (char c = 'r';; c = child_hear(in)) {
		counter++;
		child_say(out, c);
	}
}

static uint64_t seen_counter(struct target *t)
{
	uint64_t v = 0;
	assert_true(image_u64(t->image, (uintptr_t)&counter, &v));
	return v;
}

static void what_was_looked_at_is_copied_again(void **state)
{
	(void)state;
	struct child c = child_start(counting);
	struct target *t = target_of(&c);
	assert_int_equal(seen_counter(t), 2);
	child_ask(&c, 'x');
	struct freeze_stats st = freeze(t, (struct freeze_opts){ 0 });
	assert_int_equal(seen_counter(t), 3);
	assert_int_equal(st.threads, 1);
	assert_true(st.paused_us >= 0);
	assert_false(st.was_stopped);
	assert_in_range(st.bytes, P, 4 * P);
	child_ask(&c, 'x');
	assert_int_equal(seen_counter(t), 3); /* one instant, until the next */
	freeze(t, (struct freeze_opts){ 0 });
	assert_int_equal(seen_counter(t), 4);
	child_ask(&c, 'x');
	ok(target_thaw(t));
	assert_int_equal(seen_counter(t), 5);
	assert_free(c.pid);
	target_close(t);
	child_kill(&c);
}

static void what_was_missed_comes_with_the_next_freeze(void **state)
{
	(void)state;
	pages_new(MAP_PRIVATE);
	struct child c = child_start(child_idle);
	struct target *t = target_of(&c);
	uint8_t v;
	freeze(t, (struct freeze_opts){ 0 });
	assert_false(image_u8(t->image, at(5), &v));
	assert_int_equal(t->image->misses, 1);
	assert_int_equal(t->image->first_miss, at(5));
	freeze(t, (struct freeze_opts){ 0 });
	assert_int_equal(t->image->misses, 0);
	assert_true(image_u8(t->image, at(5), &v));
	assert_int_equal(v, 5);
	/* With those around it: 64 KiB, aligned. */
	uint64_t low = at(5) & ~0xffffull, high = low + 0xffff;
	low = low < at(1) ? at(1) : low;
	assert_non_null(image_at(t->image, low, high - low));
	/* As far as it is wanted. */
	freeze(t, (struct freeze_opts){ .around = P });
	assert_non_null(image_at(t->image, at(5), P));
	assert_null(image_at(t->image, at(7), P));
	target_close(t);
	child_kill(&c);
	pages_free();
}

static void a_whole_copy_knows_untouched_pages(void **state)
{
	(void)state;
	pages_new(MAP_PRIVATE);
	struct child c = child_start(child_idle);
	struct target *t = target_of(&c);
	uint8_t v = 1;
	assert_in_range(t->ops->whole_size(t), 20 * P, 1u << 30);
	freeze(t, (struct freeze_opts){ .whole = true });
	for (unsigned i = 1; i < PAGES - 1; i++) {
		assert_true(image_u8(t->image, at(i), &v));
		assert_int_equal(v, i < PAGES / 2 ? i : 0);
	}
	assert_null(image_at(t->image, at(0), 1)); /* not readable: not in the image */
	/* What the child has is what we have: it is our fork. */
	const void *code = (const void *)(uintptr_t)what_was_missed_comes_with_the_next_freeze;
	const void *got = image_at(t->image, (uintptr_t)code, 100);
	assert_non_null(got);
	assert_memory_equal(got, code, 100);
	assert_null(image_at(t->image, 8, 1));
	target_close(t);
	child_kill(&c);
	pages_free();
}

static void dropping(int in, int out)
{
	child_say(out, 'r');
	child_hear(in);
	madvise(pages + P, 8 * P, MADV_DONTNEED);
	child_idle(in, out);
}

static void dropped_pages_read_as_zeros_again(void **state)
{
	(void)state;
	pages_new(MAP_PRIVATE);
	struct child c = child_start(dropping);
	struct target *t = target_of(&c);
	uint8_t v = 0;
	freeze(t, (struct freeze_opts){ .whole = true });
	assert_true(image_u8(t->image, at(3), &v));
	assert_int_equal(v, 3);
	child_ask(&c, 'd');
	freeze(t, (struct freeze_opts){ .whole = true });
	assert_true(image_u8(t->image, at(3), &v));
	assert_int_equal(v, 0);
	assert_true(image_u8(t->image, at(9), &v));
	assert_int_equal(v, 9);
	target_close(t);
	child_kill(&c);
	pages_free();
}

static uint8_t *volatile *grown; /* shared: where the child put its new memory */

static void growing(int in, int out)
{
	for (char c = 'r';; c = child_hear(in)) {
		if (c == 'g') {
			uint8_t *p = mmap(NULL, 256 * P, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(p, 7, 256 * P);
			*grown = p;
		} else if (c == 'f') {
			munmap((void *)*grown, 256 * P);
		}
		child_say(out, c);
	}
}

static void mappings_come_and_go_between_freezes(void **state)
{
	(void)state;
	grown = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child c = child_start(growing);
	struct target *t = target_of(&c);
	uint8_t v = 0;
	freeze(t, (struct freeze_opts){ .whole = true });
	for (int round = 0; round < 5; round++) {
		child_ask(&c, 'g');
		freeze(t, (struct freeze_opts){ .whole = true });
		const uint8_t *got = image_at(t->image, (uintptr_t)*grown, 256 * P);
		assert_non_null(got);
		assert_int_equal(got[100 * P], 7);
		assert_non_null(target_mapping(t, (uintptr_t)*grown));
		child_ask(&c, 'f');
		freeze(t, (struct freeze_opts){ .whole = round % 2 });
		assert_false(image_u8(t->image, (uintptr_t)*grown + 5 * P, &v));
	}
	target_close(t);
	child_kill(&c);
	munmap((void *)grown, P);
}

static void no_pause_stops_nobody(void **state)
{
	(void)state;
	pages_new(MAP_PRIVATE);
	struct child c = child_start(counting);
	struct target *t = target_of(&c);
	uint8_t v;
	seen_counter(t);
	child_ask(&c, 'x');
	struct freeze_stats st = freeze(t, (struct freeze_opts){ .no_pause = true });
	assert_int_equal(st.paused_us, -1);
	assert_int_equal(seen_counter(t), 3);
	assert_true(image_u8(t->image, at(5), &v)); /* still read on demand */
	assert_false(t->threads[0].have_regs);
	target_close(t);
	child_kill(&c);
	pages_free();
}

static void shared_memory_is_shown_when_asked_for(void **state)
{
	(void)state;
	pages_new(MAP_SHARED);
	struct child c = child_start(child_idle);
	struct target *t = target_of(&c);
	uint8_t v = 0;
	assert_true(image_u8(t->image, at(5), &v));
	assert_int_equal(v, 5);
	freeze(t, (struct freeze_opts){ .whole = true });
	assert_true(image_u8(t->image, at(5), &v));
	assert_false(image_u8(t->image, at(6), &v));
	target_close(t);
	child_kill(&c);
	pages_free();
}

static void registers_and_stacks_are_taken(void **state)
{
	(void)state;
	struct child c = child_start(child_idle);
	struct target *t = target_of(&c);
	freeze(t, (struct freeze_opts){ .stack_bytes = 64 << 10 });
	assert_int_equal(t->nthreads, 1);
	const struct thread *th = &t->threads[0];
	assert_true(th->have_regs);
	assert_int_equal(th->fs_base, pthread_self()); /* glibc: the fork keeps it */
	assert_int_equal(th->tid, c.pid);
	assert_non_null(image_at(t->image, th->regs.rsp, 512));
	const struct mapping *m = target_mapping(t, th->regs.rip);
	assert_true(m && m->exec);
	assert_string_equal(th->comm, "test_process");
	target_close(t);
	child_kill(&c);
}

/* Waits for the test with a stack pointer near the start of its memory. */
static void at_the_edge(int in, int out)
{
	child_say(out, 'r');
	char c;
	long call = SYS_read;
	register uint64_t sp __asm__("r12") = at(1) + 64;
	__asm__ volatile("xchg %%rsp, %%r12\n\tsyscall\n\txchg %%rsp, %%r12"
			 : "+r"(sp), "+a"(call) : "D"(in), "S"(&c), "d"(1) : "rcx", "r11", "memory");
}

static void a_stack_at_the_edge_of_its_memory(void **state)
{
	(void)state;
	uint8_t v = 0;
	pages_new(MAP_PRIVATE);
	struct child c = child_start(at_the_edge);
	struct target *t = target_of(&c);
	do
		freeze(t, (struct freeze_opts){ .stack_bytes = 64 << 10 });
	while (t->threads[0].regs.rsp != at(1) + 64);
	assert_true(image_u8(t->image, at(3), &v));
	assert_int_equal(v, 3);
	target_close(t);
	child_kill(&c);
	pages_free();
}

static void it_can_be_stopped_written_and_resumed(void **state)
{
	(void)state;
	struct child c = child_start(counting);
	struct target *t = target_of(&c);
	uint64_t v = 41, addr = (uintptr_t)&counter;
	is_error(target_write(t, addr, &v, sizeof v), E_UNSUPPORTED, "stopped");
	seen_counter(t);
	ok(target_stop(t));
	assert_int_equal(proc_state(c.pid, c.pid), 't');
	ok(target_write(t, addr, &v, sizeof v));
	assert_true(target_peek(t, addr, &v, sizeof v));
	assert_int_equal(v, 41);
	struct freeze_stats st = freeze(t, (struct freeze_opts){ 0 });
	assert_int_equal(st.paused_us, -1);
	assert_int_equal(seen_counter(t), 41);
	assert_int_equal(proc_state(c.pid, c.pid), 't');
	is_error(target_write(t, 8, &v, sizeof v), E_BADDATA, "0x8");
	target_resume(t);
	assert_free(c.pid);
	child_ask(&c, 'x');
	ok(target_thaw(t));
	assert_int_equal(seen_counter(t), 42);
	assert_true(target_pidfd(t) >= 0);
	ok(target_stop(t));
	target_close(t); /* lets go too */
	nap(5);
	assert_free(c.pid);
	child_kill(&c);
}

static void files_are_found_and_harmless(void **state)
{
	(void)state;
	char dir[] = "/tmp/asyncmon-files-XXXXXX", path[64], link[64];
	assert_non_null(mkdtemp(dir));
	struct child c = child_start(child_idle);
	struct target *t = target_of(&c);
	int fd;
	struct stat ours, theirs;
	const struct mapping *m =
		target_mapping(t, (uintptr_t)files_are_found_and_harmless);
	ok(t->ops->open_file(t, m, &fd));
	fstat(fd, &theirs);
	close(fd);
	assert_int_equal(stat("/proc/self/exe", &ours), 0);
	assert_int_equal(ours.st_ino, theirs.st_ino);
	snprintf(path, sizeof path, "%s/file", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	ok(t->ops->open_path(t, path, 0, &fd, &theirs));
	close(fd);
	snprintf(link, sizeof link, "%s/link", dir);
	assert_int_equal(symlink(path, link), 0);
	ok(t->ops->open_path(t, link, 0, &fd, &theirs));
	close(fd);
	unlink(path);
	assert_int_equal(err_code(t->ops->open_path(t, link, 0, &fd, &theirs)), E_NOTFOUND);
	assert_int_equal(err_code(t->ops->open_path(t, "relative", 0, &fd, &theirs)), E_NOTFOUND);
	mkfifo(path, 0600);
	is_error(t->ops->open_path(t, link, 0, &fd, &theirs), E_IO, "not a regular file");
	is_error(t->ops->open_path(t, "/dev/null", 0, &fd, &theirs), E_IO, "not a regular file");
	is_error(t->ops->open_path(t, "/proc/self", 0, &fd, &theirs), E_IO, "not a regular file");
	/* Whose environment would that be? */
	is_error(t->ops->open_path(t, "/proc/self/environ", 0, &fd, &theirs), E_IO, "not a regular file");
	unlink(link);
	unlink(path);
	rmdir(dir);
	target_close(t);
	child_kill(&c);
}

static void refusals_say_why(void **state)
{
	(void)state;
	struct target *t;
	struct child c = child_start(child_idle);
	is_error(target_open("99999999999", NULL, &t), E_NOPROC, "99999999999");
	is_error(target_open_process(getpid(), NULL, &t), E_UNSUPPORTED, "itself");
	kill(c.pid, SIGKILL);
	siginfo_t si;
	waitid(P_PID, (id_t)c.pid, &si, WEXITED | WNOWAIT);
	is_error(target_open_process(c.pid, NULL, &t), E_GONE, "has ended");
	child_kill(&c);
	is_error(target_open_process(c.pid, NULL, &t), E_NOPROC, "no process");
}

static void *sleeper(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	pause();
	return NULL;
}

static volatile pid_t *tid; /* shared with the child */

static void with_a_thread(int in, int out)
{
	pthread_t th;
	pthread_create(&th, NULL, sleeper, (void *)tid);
	while (!*tid)
		nap(1);
	child_idle(in, out);
}

static void a_thread_is_not_a_process(void **state)
{
	(void)state;
	tid = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child c = child_start(with_a_thread);
	struct target *t;
	char whose[32];
	snprintf(whose, sizeof whose, "of process %d", (int)c.pid);
	is_error(target_open_process(*tid, NULL, &t), E_NOPROC, whose);
	child_kill(&c);
	munmap((void *)tid, P);
}

static pid_t victim;

static void tracing(int in, int out)
{
	if (ptrace(PTRACE_SEIZE, victim, NULL, NULL) < 0)
		_exit(4);
	prctl(PR_SET_NAME, "the-tracer");
	child_idle(in, out);
}

static void a_tracer_is_named(void **state)
{
	(void)state;
	struct child c = child_start(child_idle);
	victim = c.pid;
	struct child other = child_start(tracing);
	struct target *t = target_of(&c);
	struct freeze_stats st;
	char who[64];
	snprintf(who, sizeof who, "by process %d (the-tracer)", (int)other.pid);
	is_error(target_freeze(t, &(struct freeze_opts){ 0 }, &st), E_TRACED, who);
	assert_int_equal(tracer_of(c.pid), other.pid);
	ok(target_freeze(t, &(struct freeze_opts){ .no_pause = true, .whole = true }, &st));
	child_kill(&other);
	freeze(t, (struct freeze_opts){ 0 });
	target_close(t);
	child_kill(&c);
}

static void as_nobody(int in, int out)
{
	struct target *t;
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(4);
	err_t e = target_open_process(victim, NULL, &t);
	bool said = err_code(e) == E_PERM && strstr(e->msg, "belongs to user root");
	child_say(out, said ? 'y' : 'n');
	child_hear(in);
}

static void another_user_is_refused(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	struct child c = child_start(child_idle);
	victim = c.pid;
	struct child other = child_start(as_nobody);
	assert_int_equal(other.first, 'y');
	child_kill(&other);
	child_kill(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, children_end)
	const struct CMUnitTest tests[] = {
		T(what_was_looked_at_is_copied_again),
		T(what_was_missed_comes_with_the_next_freeze),
		T(a_whole_copy_knows_untouched_pages),
		T(dropped_pages_read_as_zeros_again),
		T(mappings_come_and_go_between_freezes),
		T(no_pause_stops_nobody),
		T(shared_memory_is_shown_when_asked_for),
		T(registers_and_stacks_are_taken),
		T(a_stack_at_the_edge_of_its_memory),
		T(it_can_be_stopped_written_and_resumed),
		T(files_are_found_and_harmless),
		T(refusals_say_why),
		T(a_thread_is_not_a_process),
		T(a_tracer_is_named),
		T(another_user_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

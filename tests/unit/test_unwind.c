/* C stacks: of children that stand where the test put them, sound and with unwind data
 * that was damaged. */
#include "tests/unit/child.h"

#include "symbols/elf.h"
#include "unwind/names.h"
#include "unwind/native.h"

#define NOINLINE __attribute__((noinline))

static volatile int zero;
static int hear_fd, say_fd;

NOINLINE static void level3(void)
{
	if (!zero)
		child_idle(hear_fd, say_fd);
	zero++;
}

NOINLINE static int level2(const void *a, const void *b)
{
	(void)a, (void)b;
	level3();
	return zero;
}

NOINLINE static void level1(void)
{
	int v[2] = { 2, 1 };
	qsort(v, 2, sizeof *v, level2);
	zero++;
}

static void body_nested(int in, int out)
{
	hear_fd = in;
	say_fd = out;
	level1();
}

static void on_signal(int n)
{
	(void)n;
	level3();
	zero++;
}

static void body_signal(int in, int out)
{
	static char stack[1 << 16];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	hear_fd = in;
	say_fd = out;
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	zero++;
}

NOINLINE static void body_plain_signal(int in, int out)
{
	hear_fd = in;
	say_fd = out;
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	zero++;
}

NOINLINE static void body_bad_call(int in, int out)
{
	void (*volatile nothing)(void) = NULL;
	hear_fd = in;
	say_fd = out;
	signal(SIGSEGV, on_signal);
	nothing();
	zero++;
}

static int recurse(int n);
static int (*volatile again)(int) = recurse; /* not a loop, whatever the compiler thinks */

NOINLINE static int recurse(int n)
{
	volatile char room[512];
	room[0] = (char)n;
	if (!n)
		level3();
	else if (again(n - 1) == 1)
		return 2;
	return room[0];
}

static void body_deep(int in, int out)
{
	hear_fd = in;
	say_fd = out;
	recurse(2000 + zero);
}


struct seen {
	struct child child;
	struct target *t;
	struct modules *ms;
	struct arena *a;
	struct unwinder *u;
	struct names names;
	struct native_stack ns;
};

static struct seen look(void (*body)(int, int), size_t stack_bytes)
{
	struct seen s = { .child = child_start(body) };
	s.t = target_of(&s.child);
	freeze(s.t, (struct freeze_opts){ .stack_bytes = stack_bytes });
	ok(modules_find(s.t, &s.ms));
	ok(unwinder_new(s.t, s.ms, &s.u));
	s.a = arena_new();
	s.names = (struct names){ .modules = s.ms, .arena = s.a };
	assert_true(native_unwind(s.u, &s.t->threads[0], s.a, &s.ns));
	return s;
}

static void end(struct seen *s)
{
	names_free(&s->names);
	unwinder_free(s->u);
	modules_free(s->ms);
	arena_free(s->a);
	target_close(s->t);
	child_kill(&s->child);
}

/* The index of the innermost frame of that function, from `from` on. */
static size_t frame_of(struct seen *s, const char *function, size_t from)
{
	for (size_t i = from; i < s->ns.n; i++) {
		const struct native_name *n = name_of(&s->names, s->ns.frames[i].ip, s->ns.frames[i].exact);
		if (n && n->function && strcmp(n->function, function) == 0)
			return i;
	}
	fail_msg("no frame of %s among %zu (%s)", function, s->ns.n, s->ns.broken ? s->ns.broken : "whole");
	return 0;
}

static void a_stack_through_libc(void **state)
{
	(void)state;
	struct seen s = look(body_nested, 64 << 10);
	assert_null(s.ns.broken);
	size_t read_at = frame_of(&s, "read", 0);
	size_t three = frame_of(&s, "level3", read_at), two = frame_of(&s, "level2", three);
	size_t one = frame_of(&s, "level1", two);
	/* From 2.41 on glibc makes system calls that can be cancelled in functions of its own. */
	assert_true(read_at <= 2);
	assert_int_equal(two, three + 1);
	assert_true(one > two + 1); /* libc's between them */
	frame_of(&s, "main", one);
	assert_true(s.ns.frames[0].exact && !s.ns.frames[1].exact);
	for (size_t i = 0; i + 1 < s.ns.n; i++)
		assert_true(s.ns.frames[i].end == s.ns.frames[i + 1].sp);
	end(&s);
}

static void a_handler_on_its_own_stack(void **state)
{
	(void)state;
	struct seen s = look(body_signal, 64 << 10);
	size_t handler = frame_of(&s, "on_signal", 0);
	assert_true(s.ns.frames[handler + 1].signal && !s.ns.frames[handler].signal);
	assert_true(s.ns.frames[handler + 2].exact);
	/* Only the handler's stack is copied, which is the one in use. */
	if (!s.ns.broken)
		frame_of(&s, "body_signal", handler);
	else
		assert_non_null(strstr(s.ns.broken, "is not known"));
	end(&s);
}

/* Where the unwind data is a DWARF expression; libunwind keeps what it has read before. */
static void signal_frames_again(void **state)
{
	(void)state;
	struct seen s = look(body_plain_signal, 64 << 10);
	assert_null(s.ns.broken);
	frame_of(&s, "main", frame_of(&s, "body_plain_signal", frame_of(&s, "on_signal", 0)));
	for (int i = 0; i < 5; i++) {
		struct native_stack seen;
		assert_true(native_unwind(s.u, &s.t->threads[0], s.a, &seen));
		assert_null(seen.broken);
		assert_int_equal(seen.n, s.ns.n);
		for (size_t k = 0; k < seen.n; k++)
			assert_true(seen.frames[k].ip == s.ns.frames[k].ip && seen.frames[k].sp == s.ns.frames[k].sp);
	}
	end(&s);
}

static void a_call_of_no_code(void **state)
{
	(void)state;
	struct seen s = look(body_bad_call, 64 << 10);
	assert_null(s.ns.broken);
	size_t at = frame_of(&s, "on_signal", 0) + 2;
	assert_true(s.ns.frames[at - 1].signal && s.ns.frames[at].exact && !s.ns.frames[at].ip);
	assert_int_equal(frame_of(&s, "body_bad_call", at), at + 1);
	assert_true(!s.ns.frames[at + 1].exact && s.ns.frames[at].end == s.ns.frames[at + 1].sp);
	frame_of(&s, "main", at);
	/* Where no call left its return address, there is nothing to go on with. */
	struct thread th = { .have_regs = true, .regs.rsp = s.ns.frames[at + 1].sp };
	assert_true(native_unwind(s.u, &th, s.a, &s.ns));
	assert_true(s.ns.n == 1);
	assert_non_null(strstr(s.ns.broken, "no unwind data at 0x0"));
	end(&s);
}

static void too_little_was_copied(void **state)
{
	(void)state;
	struct seen s = look(body_deep, 8 << 10);
	uint64_t misses = s.t->image->misses;
	assert_true(s.ns.cut);

	assert_non_null(strstr(s.ns.broken, "is not known"));
	if (s.ns.n <= 5)
		fail_msg("%zu frames: %s", s.ns.n, s.ns.broken);
	assert_int_equal(s.t->image->misses, misses);
	end(&s);
	s = look(body_deep, 8 << 20);
	assert_null(s.ns.broken);
	assert_true(s.ns.n > 2000);
	end(&s);
}

static void no_registers(void **state)
{
	(void)state;
	struct seen s = look(body_nested, 64 << 10);
	struct thread th = { .tid = 1 };
	assert_true(native_unwind(s.u, &th, s.a, &s.ns));
	assert_true(s.ns.n == 0 && s.ns.broken);
	end(&s);
}

/* Registers that point anywhere: an end, and a reason. */
static void wild_registers(void **state)
{
	(void)state;
	struct seen s = look(body_nested, 64 << 10);
	struct thread th = s.t->threads[0];
	uint64_t ips[] = { 0, 1, UINT64_MAX, th.regs.rsp, (uint64_t)(uintptr_t)&zero, 0x7fffffffffff };
	for (size_t i = 0; i < sizeof ips / sizeof *ips; i++) {
		th.regs.rip = ips[i];
		assert_true(native_unwind(s.u, &th, s.a, &s.ns));
		assert_true(s.ns.n >= 1);
	}
	th = s.t->threads[0];
	for (size_t i = 0; i < sizeof ips / sizeof *ips; i++) {
		th.regs.rsp = ips[i];
		assert_true(native_unwind(s.u, &th, s.a, &s.ns));
		assert_true(s.ns.n >= 1 && s.ns.n < 1000);
	}
	end(&s);
}

#define ROUNDS 4000
#define CIE 32 /* bytes of the first one, which nearly all functions share */

/* Where this program's unwind data lies: its .eh_frame_hdr to the end of .eh_frame. */
static struct image_span unwind_data(struct modules *ms, uint64_t *cie)
{
	struct module *m = modules_by_addr(ms, (uint64_t)(uintptr_t)&level1);
	uint64_t hdr = 0, eh = 0, size = 0;
	assert_true(m && module_section(m, ".eh_frame_hdr", &hdr, NULL));
	assert_true(module_section(m, ".eh_frame", &eh, &size));
	*cie = eh;
	return (struct image_span){ hdr, eh + size };
}

/* The same with the program's unwind data damaged, in memory without a file. */
static void damaged_unwind_data(void **state)
{
	(void)state;
	struct seen s = look(body_nested, 64 << 10);
	uint64_t cie;
	struct image_span data = unwind_data(s.ms, &cie);
	size_t len = data.end - data.start;
	uint8_t *good = malloc(len), *bad = malloc(len);
	assert_true(good && bad && image_read(s.t->image, data.start, good, len));
	struct target no_files = *s.t;
	no_files.ops = NULL;
	uint64_t seed = 1;
	unsigned whole = 0;
	/* DW_CFA_register: rbp is in register 16383; in the place of that of the return address. */
	static const uint8_t wild[] = { 0x09, 6, 0xff, 0x7f };
	for (int round = 0; round <= ROUNDS + CIE * 256; round++) {
		struct modules *ms;
		struct unwinder *u;
		struct native_stack ns;
		struct arena *a = arena_new();
		memcpy(bad, good, len);
		if (round == ROUNDS + CIE * 256)
			memcpy(bad + (cie - data.start) + 20, wild, sizeof wild);
		else if (round >= ROUNDS) /* each byte of the CIE with each value */
			bad[cie - data.start + (size_t)(round - ROUNDS) / 256] = (uint8_t)(round - ROUNDS);
		for (int k = round && round < ROUNDS ? 1 << round % 10 : 0; k > 0; k--) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			bad[(seed >> 20) % len] = (uint8_t)(seed >> 56);
		}
		assert_true(image_put(s.t->image, data.start, bad, len));
		ok(modules_find(&no_files, &ms));
		ok(unwinder_new(&no_files, ms, &u));
		assert_true(native_unwind(u, &no_files.threads[0], a, &ns));
		assert_true(ns.n >= 1 && (round || !ns.broken));
		whole += !ns.broken;
		unwinder_free(u);
		modules_free(ms);
		arena_free(a);
	}
	assert_true(whole > 0 && whole < ROUNDS + CIE * 256);
	free(good);
	free(bad);
	end(&s);
}

static void names_demangled(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	assert_string_equal(demangled(a, "_ZN4grpc6Server4WaitEv"), "grpc::Server::Wait");
	assert_string_equal(demangled(a, "_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
	assert_string_equal(demangled(a, "_RNvCs15kBYyAo9fc_7mycrate7example"), "mycrate::example");
	assert_null(demangled(a, "main"));
	assert_null(without_lto(a, "main.constprop.0"));
	assert_string_equal(without_lto(a, "run_mod.lto_priv.0"), "run_mod");
	assert_string_equal(without_lto(a, "run_mod.lto_priv.12.cold"), "run_mod.cold");
	assert_null(demangled(a, "_Z"));
	assert_null(demangled(a, "_ZN"));
	/* Each part stands for two of the one before: 2^40 in all. */
	char text[1024] = "_Z1fIiE";
	strcpy(text, "_Z1fNSt4pairIiiEES_IS_S_ES0_IS0_S0_E");
	for (int i = 1; i < 36; i++) {
		char part[32], d = (char)(i < 10 ? '0' + i : 'A' + i - 10);
		snprintf(part, sizeof part, "St4pairIS%c_S%c_E", d, d);
		strcat(text, part);
	}
	demangled(a, text);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_stack_through_libc, children_end),
		cmocka_unit_test_teardown(a_handler_on_its_own_stack, children_end),
		cmocka_unit_test_teardown(a_call_of_no_code, children_end),
		cmocka_unit_test_teardown(signal_frames_again, children_end),
		cmocka_unit_test_teardown(too_little_was_copied, children_end),
		cmocka_unit_test_teardown(no_registers, children_end),
		cmocka_unit_test_teardown(wild_registers, children_end),
		cmocka_unit_test_teardown(damaged_unwind_data, children_end),
		cmocka_unit_test(names_demangled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

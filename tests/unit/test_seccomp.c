/* Seccomp filters: what they say of a call, and what they forbid our code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject/seccomp.h"

#define RUN(program, call, verdict) bpf_run(program, sizeof(program) / sizeof *(program), call, verdict)
#define NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(v) BPF_STMT(BPF_RET | BPF_K, v)

static const struct seccomp_data call = {
	.nr = SYS_mmap, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = 0x1122334455667788,
	.args = { 0xaaaabbbbccccdddd, 2, 3, 4, 5, 6 },
};

static void test_arithmetic(void **state)
{
	(void)state;
	static const struct { uint16_t op; uint32_t k, is; } cases[] = {
		{ BPF_ADD, 5, 105 }, { BPF_SUB, 101, 0xffffffff }, { BPF_MUL, 3, 300 }, { BPF_DIV, 7, 14 },
		{ BPF_AND, 0x24, 0x24 }, { BPF_OR, 3, 103 }, { BPF_XOR, 0xff, 0x9b }, { BPF_LSH, 4, 1600 },
		{ BPF_RSH, 2, 25 }, { BPF_NEG, 0, (uint32_t)-100 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct sock_filter by_k[] = {
			BPF_STMT(BPF_LD | BPF_IMM, 100),
			BPF_STMT(BPF_ALU | cases[i].op | BPF_K, cases[i].k),
			BPF_STMT(BPF_RET | BPF_A, 0),
		};
		const struct sock_filter by_x[] = {
			BPF_STMT(BPF_LD | BPF_IMM, cases[i].k),
			BPF_STMT(BPF_MISC | BPF_TAX, 0),
			BPF_STMT(BPF_LD | BPF_IMM, 100),
			BPF_STMT(BPF_ALU | cases[i].op | BPF_X, 0),
			BPF_STMT(BPF_RET | BPF_A, 0),
		};
		uint32_t v = 1;
		assert_true(RUN(by_k, &call, &v));
		assert_int_equal(v, cases[i].is);
		assert_true(RUN(by_x, &call, &v));
		assert_int_equal(v, cases[i].is);
	}
}

static void test_loads(void **state)
{
	(void)state;
	static const struct { struct sock_filter f; uint32_t is; } cases[] = {
		{ NR, SYS_mmap },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4), AUDIT_ARCH_X86_64 },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8), 0x55667788 },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16), 0xccccdddd },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20), 0xaaaabbbb },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), 0 },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), 64 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		/* Through the memory and X as well. */
		const struct sock_filter f[] = {
			cases[i].f, BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_IMM, 1),
			BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_STMT(BPF_RET | BPF_A, 0),
		};
		uint32_t v = 1;
		assert_true(RUN(f, &call, &v));
		assert_int_equal(v, cases[i].is);
	}
}

static void test_jumps(void **state)
{
	(void)state;
	static const struct { uint16_t op; uint32_t k; bool taken; } cases[] = {
		{ BPF_JEQ, 9, true }, { BPF_JEQ, 8, false }, { BPF_JGT, 8, true }, { BPF_JGT, 9, false },
		{ BPF_JGE, 9, true }, { BPF_JGE, 10, false }, { BPF_JSET, 8, true }, { BPF_JSET, 6, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct sock_filter f[] = {
			NR, BPF_JUMP(BPF_JMP | cases[i].op | BPF_K, cases[i].k, 1, 0), RETURN(0), RETURN(1),
		};
		uint32_t v = 2;
		assert_true(RUN(f, &call, &v));
		assert_int_equal(v, cases[i].taken);
	}
	const struct sock_filter over[] = { BPF_STMT(BPF_JMP | BPF_JA, 1), RETURN(1), RETURN(7) };
	uint32_t v;
	assert_true(RUN(over, &call, &v));
	assert_int_equal(v, 7);
}

/* What leads out of the program, or no kernel would take, is no answer. */
static void test_damaged(void **state)
{
	(void)state;
	const struct sock_filter bad[] = {
		BPF_STMT(BPF_JMP | BPF_JA, 0), BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 255), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffffffc),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		BPF_STMT(BPF_LD | BPF_MEM, 16), BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_STX, 0xffffffff),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_ALU | 0xf0, 0), BPF_STMT(BPF_MISC | 0x40, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), BPF_STMT(0xffff, 0),
	};
	uint32_t v;
	assert_false(bpf_run(bad, 0, &call, &v));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(bpf_run(&bad[i], 1, &call, &v));
}

static void test_division_by_nothing(void **state)
{
	(void)state;
	const struct sock_filter f[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RETURN(SECCOMP_RET_ALLOW) };
	uint32_t v = 1;
	assert_true(RUN(f, &call, &v));
	assert_int_equal(v, 0);
}

static void test_uses(void **state)
{
	(void)state;
	const struct sock_filter f[] = {
		NR, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 1, 0), RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_TRAP),
	};
	const struct sock_filter refused[] = { RETURN(SECCOMP_RET_ERRNO | EPERM) };
	const struct sock_filter logged[] = { RETURN(SECCOMP_RET_LOG) };
	const struct sock_filter none[] = { BPF_STMT(BPF_JMP | BPF_JA, 9) };
	uint32_t v = 0;
	assert_null(seccomp_forbidden(f, 4, USE_TEXT | USE_LINK, false, &v));
	assert_string_equal(seccomp_forbidden(f, 4, USE_TEXT | USE_AGENT, false, &v), "prctl");
	assert_int_equal(v, SECCOMP_RET_TRAP);
	assert_string_equal(seccomp_forbidden(refused, 1, USE_TEXT, false, &v), "memfd_create");
	assert_null(seccomp_forbidden(logged, 1, USE_TEXT | USE_LINK | USE_AGENT, true, &v));
	assert_string_equal(seccomp_forbidden(none, 1, USE_TEXT, false, &v), "");
}

/* The kernel's own answer, for a filter that decides by an argument: getpriority(which, 0)
 * fails with `which` as errno where a computation over it comes out so. */
static void test_as_the_kernel(void **state)
{
	(void)state;
	struct sock_filter f[] = {
		NR, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 1, 0), RETURN(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16), BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 63),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog prog = { sizeof f / sizeof *f, f };
	pid_t child = fork();
	if (!child) {
		int bad = 0;
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
			_exit(77);
		for (unsigned i = 0; i < 200; i++) {
			struct seccomp_data d = { .nr = SYS_getpriority, .arch = AUDIT_ARCH_X86_64, .args = { i } };
			uint32_t v = 0;
			errno = 0;
			long r = syscall(SYS_getpriority, i, 0);
			bad |= !RUN(f, &d, &v) || (v & SECCOMP_RET_DATA) != (uint32_t)(r < 0 ? errno : 0);
		}
		_exit(bad);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_division_by_nothing),
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_as_the_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

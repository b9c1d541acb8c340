#include "inject/bpf.h"

#include <string.h>

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
	const struct seccomp_data *call;
};

/* seccomp knows loads of whole, aligned words of struct seccomp_data, and its length. */
static bool load(struct machine *m, const struct sock_filter *f, uint32_t *into)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		*into = f->k;
		return true;
	case BPF_LEN:
		*into = sizeof *m->call;
		return true;
	case BPF_MEM:
		if (f->k >= BPF_MEMWORDS)
			return false;
		*into = m->memory[f->k];
		return true;
	case BPF_ABS:
		if (BPF_CLASS(f->code) != BPF_LD || f->k % 4 || f->k > sizeof *m->call - 4)
			return false;
		memcpy(into, (const char *)m->call + f->k, sizeof *into);
		return true;
	default:
		return false;
	}
}

/* False: the operation is not known. A division by nothing is the caller's. */
static bool compute(uint32_t *a, uint16_t operation, uint32_t v)
{
	switch (operation) {
	case BPF_ADD: *a += v; return true;
	case BPF_SUB: *a -= v; return true;
	case BPF_MUL: *a *= v; return true;
	case BPF_DIV: *a /= v; return true;
	case BPF_AND: *a &= v; return true;
	case BPF_OR: *a |= v; return true;
	case BPF_XOR: *a ^= v; return true;
	case BPF_LSH: *a <<= v & 31; return true;
	case BPF_RSH: *a >>= v & 31; return true;
	case BPF_NEG: *a = -*a; return true;
	default: return false;
	}
}

/* How many instructions are skipped; -1: the jump is not known. */
static int64_t jump(const struct machine *m, const struct sock_filter *f)
{
	uint32_t v = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
	bool yes;
	switch (BPF_OP(f->code)) {
	case BPF_JA: return f->k;
	case BPF_JEQ: yes = m->a == v; break;
	case BPF_JGT: yes = m->a > v; break;
	case BPF_JGE: yes = m->a >= v; break;
	case BPF_JSET: yes = m->a & v; break;
	default: return -1;
	}
	return yes ? f->jt : f->jf;
}

/* One instruction that neither jumps nor ends. */
static bool step(struct machine *m, const struct sock_filter *f)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		return BPF_SIZE(f->code) == BPF_W && load(m, f, &m->a);
	case BPF_LDX:
		return BPF_SIZE(f->code) == BPF_W && load(m, f, &m->x);
	case BPF_ST:
	case BPF_STX:
		if (f->k >= BPF_MEMWORDS)
			return false;
		m->memory[f->k] = BPF_CLASS(f->code) == BPF_ST ? m->a : m->x;
		return true;
	case BPF_ALU:
		return compute(&m->a, BPF_OP(f->code), BPF_SRC(f->code) == BPF_X ? m->x : f->k);
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else if (BPF_MISCOP(f->code) == BPF_TXA)
			m->a = m->x;
		else
			return false;
		return true;
	default:
		return false;
	}
}

bool bpf_run(const struct sock_filter *f, size_t n, const struct seccomp_data *call, uint32_t *verdict)
{
	struct machine m = { .call = call };
	for (size_t i = 0; i < n; i++) {
		uint16_t class = BPF_CLASS(f[i].code);
		if (class == BPF_RET) {
			*verdict = BPF_RVAL(f[i].code) == BPF_A ? m.a : f[i].k;
			return true;
		}
		if (class == BPF_JMP) {
			int64_t skipped = jump(&m, &f[i]);
			if (skipped < 0 || (uint64_t)skipped >= n - i)
				return false;
			i += (size_t)skipped;
			continue;
		}
		if (class == BPF_ALU && BPF_OP(f[i].code) == BPF_DIV &&
		    !(BPF_SRC(f[i].code) == BPF_X ? m.x : f[i].k)) {
			/* The kernel ends the program there, with nothing as its result. */
			*verdict = 0;
			return BPF_SRC(f[i].code) == BPF_X;
		}
		if (!step(&m, &f[i]))
			return false;
	}
	return false;
}

#include "unwind/native.h"

#include <libunwind.h>
#include <stdlib.h>

#include "base/oom.h"
#include "base/vec.h"
#include "unwind/ehframe.h"

#define FRAMES_MAX 65536u
/* Reads of memory: the longest real program of call frame instructions (CPython's
 * evaluation loop) needs some thousands for one step. */
#define STEP_READS 200000u
#define STACK_READS 4000000u
#define ALL_READS 200000000ull
/* How often one stack may go on at lower addresses: signal handlers on their own. */
#define JUMPS_MAX 16u
#define CACHE_FROM 64u /* frames of the first stack */

/* In libunwind's shared object, in none of its headers; perf declares it like this. */
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
int search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
			unw_proc_info_t *pi, int need_unwind_info, void *arg);

struct unwinder {
	unw_addr_space_t as;
	struct ehframes eh;
	const struct thread *thread;
	bool cached, begun;
	struct thread caller;    /* of an address that is no code: thread points to it then */
	uint64_t step_reads, stack_reads, all_reads;
	uint64_t lost_at;        /* the address of the last read that failed, 0 none */
	bool no_data;            /* the last frame has no unwind data */
	bool by_expression;      /* an expression was written in this step */
};

static bool too_much(const struct unwinder *u)
{
	return u->step_reads > STEP_READS || u->stack_reads > STACK_READS || u->all_reads > ALL_READS;
}

static void count_reads(struct unwinder *u, uint64_t n)
{
	u->step_reads += n;
	u->stack_reads += n;
	u->all_reads += n;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need,
			  void *arg)
{
	struct unwinder *u = arg;
	uint64_t walked = u->eh.cfi.walked;
	if (too_much(u))
		return -UNW_EINVAL;
	unw_dyn_info_t di = {
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.u.rti = {
			.segbase = EHFRAME_WRITTEN,
			.table_data = EHFRAME_WRITTEN,
			.table_len = 8 / sizeof(unw_word_t),
		},
	};
	/* It asserts that ip lies in [start_ip, end_ip). */
	bool fit = ehframe_write(&u->eh, ip, &di.start_ip, &di.end_ip);
	count_reads(u, u->eh.cfi.walked - walked);
	u->by_expression = u->by_expression || (fit && u->eh.row.by_expression);
	int ret = fit && !too_much(u) ? search_unwind_table(as, ip, &di, pi, need, arg) : -UNW_ENOINFO;
	if (ret < 0)
		u->no_data = true;
	return ret;
}

/* What it would free, libunwind allocated and frees itself. */
static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as, (void)pi, (void)arg;
}

static int no_dyn_info(unw_addr_space_t as, unw_word_t *addr, void *arg)
{
	(void)as, (void)addr, (void)arg;
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *v, int write, void *arg)
{
	struct unwinder *u = arg;
	(void)as;
	count_reads(u, 1);
	if (write || too_much(u))
		return -UNW_EINVAL;
	if (ehframe_written(&u->eh, addr, v) || bytes_read(&u->eh.bytes, addr, v, sizeof *v))
		return 0;
	u->lost_at = addr;
	return -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *v, int write, void *arg)
{
	const struct unwinder *u = arg;
	const struct user_regs_struct *r = &u->thread->regs;
	(void)as;
	if (write)
		return -UNW_EREADONLYREG;
	switch (reg) {
	case UNW_X86_64_RAX: *v = r->rax; return 0;
	case UNW_X86_64_RDX: *v = r->rdx; return 0;
	case UNW_X86_64_RCX: *v = r->rcx; return 0;
	case UNW_X86_64_RBX: *v = r->rbx; return 0;
	case UNW_X86_64_RSI: *v = r->rsi; return 0;
	case UNW_X86_64_RDI: *v = r->rdi; return 0;
	case UNW_X86_64_RBP: *v = r->rbp; return 0;
	case UNW_X86_64_RSP: *v = r->rsp; return 0;
	case UNW_X86_64_R8: *v = r->r8; return 0;
	case UNW_X86_64_R9: *v = r->r9; return 0;
	case UNW_X86_64_R10: *v = r->r10; return 0;
	case UNW_X86_64_R11: *v = r->r11; return 0;
	case UNW_X86_64_R12: *v = r->r12; return 0;
	case UNW_X86_64_R13: *v = r->r13; return 0;
	case UNW_X86_64_R14: *v = r->r14; return 0;
	case UNW_X86_64_R15: *v = r->r15; return 0;
	case UNW_X86_64_RIP: *v = r->rip; return 0;
	default: return -UNW_EBADREG;
	}
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *v, int write,
			void *arg)
{
	(void)as, (void)reg, (void)v, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *c, void *arg)
{
	(void)as, (void)c, (void)arg;
	return -UNW_EINVAL;
}

static int proc_name(unw_addr_space_t as, unw_word_t ip, char *buf, size_t len, unw_word_t *off,
		     void *arg)
{
	(void)as, (void)ip, (void)buf, (void)len, (void)off, (void)arg;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = no_dyn_info,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = proc_name,
};

err_t unwinder_new(struct target *t, struct modules *ms, struct unwinder **out)
{
	struct unwinder *u = oom_check(calloc(1, sizeof *u));
	if (!u)
		return ERR_NOMEM;
	u->as = ehframes_init(&u->eh, t, ms) ? unw_create_addr_space(&accessors, 0) : NULL;
	if (!u->as) {
		ehframes_free(&u->eh);
		free(u);
		return ERR_NOMEM;
	}
	*out = u;
	return NULL;
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	unw_destroy_addr_space(u->as);
	ehframes_free(&u->eh);
	free(u);
}

uint64_t native_function(struct unwinder *u, uint64_t addr, uint64_t *size)
{
	struct ehframe_function f;
	if (!ehframe_function(&u->eh, addr, &f))
		return 0;
	*size = f.part ? 0 : f.next - f.start;
	return f.start;
}

struct frames VEC(struct native_frame);

/* "at libm.so.6+0x1234" */
static const char *place(struct unwinder *u, struct arena *a, uint64_t ip)
{
	struct module *m = modules_by_addr(u->eh.bytes.modules, ip);
	if (!m)
		return arena_fmt(a, "at 0x%llx, outside of every module", (unsigned long long)ip);
	const char *path = module_path(m), *slash = strrchr(path, '/');
	return arena_fmt(a, "at %s+0x%llx", slash ? slash + 1 : path,
			 (unsigned long long)(ip - module_bias(m)));
}

/* Is addr in the stack that holds sp, above it: what freeze copies of a stack? */
static bool in_stack(const struct unwinder *u, uint64_t addr, uint64_t sp)
{
	const struct mapping *m = target_mapping(u->eh.bytes.target, sp);
	return m && m->write && addr >= sp && addr < m->end;
}

/* Why the step from frame f on failed (ret < 0) or could not go on (0); NULL: it is
 * the outermost one. */
static const char *why_ended(struct unwinder *u, struct arena *a, const struct native_frame *f,
			     int ret, struct native_stack *out)
{
	if (too_much(u))
		return arena_fmt(a, "the C stack ends early: its unwind data never ends, %s",
				 place(u, a, f->ip));
	/* Without unwind data it looks whether the code there is a PLT's. */
	if (ret < 0 && u->lost_at && !(u->no_data && u->lost_at - f->ip + 16 <= 32)) {
		out->cut = in_stack(u, u->lost_at, f->sp);
		out->stale = !target_mapping(u->eh.bytes.target, u->lost_at);
		return arena_fmt(a, "the C stack ends early: memory at 0x%llx is not known, %s",
				 (unsigned long long)u->lost_at, place(u, a, f->ip));
	}
	out->stale = u->no_data && !target_mapping(u->eh.bytes.target, f->ip);
	if (u->no_data)
		return arena_fmt(a, "the C stack ends early: no unwind data %s", place(u, a, f->ip));
	if (ret < 0)
		return arena_fmt(a, "the C stack ends early: bad unwind data %s", place(u, a, f->ip));
	return NULL;
}

/* Sets f->end of the frame that was stepped from. False: this is no next frame. */
static bool follows(struct native_frame *f, uint64_t ip, uint64_t sp, unsigned *jumps)
{
	if (sp > f->sp) {
		if (!f->signal)
			f->end = sp;
		return true;
	}
	return f->signal && (*jumps)++ < JUMPS_MAX && (sp != f->sp || ip != f->ip);
}

/* Do the 7 bytes end with a call instruction (near; direct, or indirect with any operand)? */
static bool is_call(const uint8_t b[7])
{
	if (b[2] == 0xe8)
		return true;
	for (int i = 0; i < 6; i++)
		if (b[i] == 0xff && (b[i + 1] & 0x38) == 0x10 && i != 2)
			return true;
	return false;
}

static bool executable(const struct unwinder *u, uint64_t addr)
{
	const struct mapping *m = target_mapping(u->eh.bytes.target, addr);
	return m && m->exec;
}

static void caller_regs(unw_cursor_t *c, struct user_regs_struct *r)
{
	unw_word_t v[16];
	for (int i = 0; i < 16; i++)
		if (unw_get_reg(c, UNW_X86_64_RAX + i, &v[i]) < 0)
			v[i] = 0;
	*r = (struct user_regs_struct){
		.rax = v[0], .rdx = v[1], .rcx = v[2], .rbx = v[3], .rsi = v[4], .rdi = v[5],
		.rbp = v[6], .rsp = v[7], .r8 = v[8], .r9 = v[9], .r10 = v[10], .r11 = v[11],
		.r12 = v[12], .r13 = v[13], .r14 = v[14], .r15 = v[15],
	};
}

/* From a frame that has pushed nothing: if what is on top of the stack was left by a call
 * instruction, the cursor goes to that, of which the unwind data says the same as of its
 * return address. */
static bool to_call(struct unwinder *u, unw_cursor_t *c, const struct native_frame *f)
{
	uint64_t ret;
	uint8_t code[7];
	struct user_regs_struct r;
	if (!bytes_read(&u->eh.bytes, f->sp, &ret, sizeof ret) || !executable(u, ret - 1) ||
	    !bytes_read(&u->eh.bytes, ret - sizeof code, code, sizeof code) || !is_call(code))
		return false;
	caller_regs(c, &r);
	r.rip = ret - 1;
	r.rsp += sizeof ret;
	u->caller = (struct thread){ .have_regs = true, .regs = r };
	u->thread = &u->caller;
	return unw_init_remote(c, u->as, u) >= 0;
}

static bool after_syscall(struct unwinder *u, uint64_t ip)
{
	uint8_t code[2];
	return bytes_read(&u->eh.bytes, ip - sizeof code, code, sizeof code) && code[0] == 0x0f && code[1] == 0x05;
}

/* libunwind 1.8 takes address 0 for the end of the stack. Under a signal handler it is
 * where the signal came: a NULL pointer was called. */
static bool came_at_zero(unw_cursor_t *c, const struct native_frame *f)
{
	unw_word_t ip, sp;
	return unw_is_signal_frame(c) > 0 && unw_get_reg(c, UNW_REG_IP, &ip) >= 0 && !ip &&
	       unw_get_reg(c, UNW_REG_SP, &sp) >= 0 && sp != f->sp;
}

enum { TO_CALL = 2 }; /* the cursor is at a call instruction, not after it */

/* As unw_step. */
static int step(struct unwinder *u, unw_cursor_t *c, const struct native_frame *f)
{
	unw_cursor_t here;
	u->step_reads = 0;
	u->lost_at = 0;
	u->no_data = false;
	/* A call of an address that is no code, as a NULL pointer is: nothing ran there. */
	if (f->exact && !executable(u, f->ip) && to_call(u, c, f))
		return TO_CALL;
	if (f->exact)
		here = *c;
	int ret = unw_step(c);
	/* It keeps the address of the expression, at which another will be written. */
	if (u->by_expression)
		unw_flush_cache(u->as, 0, 0);
	u->by_expression = false;
	/* Without unwind data it guesses by the frame pointer, and is wrong at trampolines
	 * of code made at run time (python -X perf). */
	if (!u->no_data)
		return ret == 0 && came_at_zero(c, f) ? 1 : ret;
	/* glibc's clone3() has none from its system call on. In a new thread, which has
	 * 0 from it, nothing is further out. */
	if (f->exact && after_syscall(u, f->ip)) {
		if (to_call(u, &here, f)) {
			*c = here;
			return TO_CALL;
		}
		u->no_data = u->thread->regs.rax != 0;
	}
	return !u->no_data ? 0 : ret < 0 ? ret : -UNW_ENOINFO;
}

/* For one stack of ordinary depth it costs more than it saves: memory, and two system calls
 * a frame. Where functions come again, their unwind data is read once with it. */
static void use_cache(struct unwinder *u)
{
	if (u->cached)
		return;
	u->cached = true;
	unw_set_caching_policy(u->as, UNW_CACHE_GLOBAL);
	unw_set_cache_size(u->as, 1024, 0);
}

static bool run(struct unwinder *u, struct arena *a, struct frames *fs, struct native_stack *out)
{
	unw_cursor_t c;
	unsigned jumps = 0;
	bool exact = true, at_call = false;
	u->step_reads = u->stack_reads = 0;
	u->lost_at = 0;
	if (unw_init_remote(&c, u->as, u) < 0) {
		out->broken = "the C stack cannot be unwound";
		return true;
	}
	for (;;) {
		unw_word_t ip, sp;
		if (unw_get_reg(&c, UNW_REG_IP, &ip) < 0 || unw_get_reg(&c, UNW_REG_SP, &sp) < 0 ||
		    (!ip && !exact))
			return true;
		ip += at_call;
		if (fs->n && !follows(&fs->v[fs->n - 1], ip, sp, &jumps)) {
			out->broken = arena_fmt(a, "the C stack ends early: its unwind data leads in a circle, %s",
						place(u, a, fs->v[fs->n - 1].ip));
			return true;
		}
		if (fs->n == FRAMES_MAX) {
			out->broken = arena_fmt(a, "the C stack ends early: more than %u frames", FRAMES_MAX);
			return true;
		}
		if (!vec_push(fs, (struct native_frame){ ip, sp, 0, exact, false }))
			return false;
		if (fs->n == CACHE_FROM)
			use_cache(u);
		int ret = step(u, &c, &fs->v[fs->n - 1]);
		at_call = ret == TO_CALL;
		if (ret <= 0) {
			out->broken = why_ended(u, a, &fs->v[fs->n - 1], ret, out);
			return true;
		}
		/* After the step it speaks of the frame stepped from. */
		exact = fs->v[fs->n - 1].signal = !at_call && unw_is_signal_frame(&c) > 0;
	}
}

bool native_unwind(struct unwinder *u, const struct thread *th, struct arena *a,
		   struct native_stack *out)
{
	if (u->begun)
		use_cache(u);
	u->begun = true;
	struct image *img = u->eh.bytes.target->image;
	uint64_t misses = img->misses, first_miss = img->first_miss;
	struct frames fs = { 0 };
	*out = (struct native_stack){ 0 };
	if (!th->have_regs) {
		out->broken = th->state != 'D' ? "no C stack: the thread's registers are not known" :
			"no C stack: the thread could not be stopped, it sleeps in the kernel and nothing "
			"interrupts it (in vfork until the child has called exec)";
		return true;
	}
	u->thread = th;
	bool ok = run(u, a, &fs, out);
	img->misses = misses;
	img->first_miss = first_miss;
	out->frames = ok ? arena_dup(a, fs.v, fs.n * sizeof *fs.v) : NULL;
	out->n = out->frames ? fs.n : 0;
	free(fs.v);
	return ok && (out->frames || !fs.n);
}

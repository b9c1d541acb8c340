#include "inject/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "attach/act.h"
#include "attach/proc.h"
#include "attach/process.h"
#include "base/vec.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif
#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

#define PROGRAMS_MAX 1024     /* that differ from each other */
#define CHAIN_MAX 1024        /* filters of one thread */

enum seccomp_mode { MODE_STRICT = 1, MODE_FILTER = 2 };

/* ---- what our code calls ---- */

/* Values for what cannot be known beforehand. A filter that tells descriptors apart allows
 * low ones, if any. */
#define FD 97
#define PTR 0x7f0000001000
#define AT_CWD 0xffffff9cu

enum libc { ANY_LIBC, GLIBC, MUSL };

/* Collected with the kernel's tracepoint raw_syscalls:sys_enter in idle targets on CPython
 * 3.8 to 3.15 and 3.13t while cancel, console -c, inject and inject --remove ran. What memory
 * allocators may come to call besides, and only in some threads, was added. Not here are
 * futex, the loop's own epoll_wait and the like, which a running loop calls all the time. */
static const struct row {
	long nr;
	const char *name;
	unsigned uses;
	enum libc libc;
	bool optional;           /* our code does without where it fails */
	uint64_t args[6];
} rows[] = {
#define CALL(name, uses, ...) { SYS_##name, #name, uses, ANY_LIBC, false, { __VA_ARGS__ } }
#define MAYBE(name, uses, ...) { SYS_##name, #name, uses, ANY_LIBC, true, { __VA_ARGS__ } }
#define ANY_USE (USE_TEXT | USE_LINK | USE_AGENT)
	CALL(memfd_create, USE_TEXT | USE_AGENT, PTR, 1),
	CALL(write, USE_TEXT | USE_AGENT, FD, PTR, 35),
	CALL(pread64, USE_TEXT, FD, PTR, 1, 64),
	CALL(pwrite64, USE_TEXT, FD, PTR, 1, 64),
	CALL(close, ANY_USE, FD),
	CALL(mmap, ANY_USE, 0, 0x100000, 3, 0x22, 0xffffffff, 0),
	CALL(munmap, ANY_USE, PTR, 0x100000),
	CALL(mprotect, ANY_USE, PTR, 0x21000, 3),
	MAYBE(brk, ANY_USE, PTR),
	MAYBE(madvise, ANY_USE, PTR, 0x21000, 4),
	MAYBE(mremap, ANY_USE, PTR, 0x21000, 0x42000, 1),
	MAYBE(getpid, USE_TEXT, 0),
	/* Modules that the program has not imported. */
	{ SYS_openat, "openat", USE_LINK | USE_AGENT, GLIBC, false, { AT_CWD, PTR, 0x80000 } },
	{ SYS_open, "open", USE_LINK | USE_AGENT, MUSL, false, { PTR, 0x80000 } },
	CALL(newfstatat, USE_LINK | USE_AGENT, AT_CWD, PTR, PTR, 0),
	CALL(fstat, USE_LINK | USE_AGENT, FD, PTR),
	CALL(read, USE_LINK | USE_AGENT, FD, PTR, 4096),
	CALL(lseek, USE_LINK | USE_AGENT, FD, 0, 1),
	MAYBE(ioctl, USE_LINK | USE_AGENT, FD, 0x5401, PTR),
	CALL(getdents64, USE_LINK | USE_AGENT, FD, PTR, 0x8000),
	MAYBE(getcwd, USE_LINK | USE_AGENT, PTR, 1024),
	CALL(ioctl, USE_LINK, FD, 0x5421, PTR),
	CALL(socketpair, USE_LINK, 1, 0x80001, 0, PTR),
	CALL(getsockname, USE_LINK, FD, PTR, PTR),
	CALL(sendto, USE_LINK, FD, PTR, 5, 0x4000, 0, 0),
	CALL(recvfrom, USE_LINK, FD, PTR, 65536, 0, 0, 0),
	CALL(epoll_ctl, USE_LINK, 3, 1, FD, PTR),
	MAYBE(fcntl, USE_AGENT, FD, 0x406, 1000),
	CALL(mmap, USE_AGENT, 0, 0x4010000, 0, 0x4022, 0xffffffff, 0),
	CALL(mmap, USE_AGENT, PTR, 0xb000, 5, 0x812, FD, 0x4000),
	CALL(mmap, USE_AGENT, PTR, 0x3000, 3, 0x812, FD, 0x14000),
	CALL(mprotect, USE_AGENT, PTR, 0x2000, 1),
	MAYBE(madvise, USE_AGENT, PTR, 0x4010000, 18),
	MAYBE(prctl, USE_AGENT, 0x53564d41, 0, PTR, 0x4010000, PTR),
#undef CALL
#undef MAYBE
};

/* May the call be made, and is what comes of it what our code can live with? */
static bool bearable(const struct row *r, uint32_t verdict)
{
	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return true;
	case SECCOMP_RET_ERRNO:
		return r->optional;
	default:
		return false;
	}
}

const char *seccomp_forbidden(const struct sock_filter *f, size_t n, unsigned uses, bool musl, uint32_t *verdict)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct seccomp_data call = {
			.nr = (int)r->nr,
			.arch = AUDIT_ARCH_X86_64,
			.instruction_pointer = PTR,
		};
		if (!(r->uses & uses) || (r->libc != ANY_LIBC && (r->libc == MUSL) != musl))
			continue;
		for (int k = 0; k < 6; k++)
			call.args[k] = r->args[k];
		if (!bpf_run(f, n, &call, verdict))
			return "";
		if (!bearable(r, *verdict))
			return r->name;
	}
	return NULL;
}

/* ---- the target's filters ---- */

struct program {
	struct sock_filter *f;
	size_t n;
	pid_t tid;               /* one whose it is */
};

struct programs VEC(struct program);

struct filters {
	struct process *p;
	struct programs programs;
};

static bool known(const struct programs *ps, const struct program *x)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->v[i].n == x->n && memcmp(ps->v[i].f, x->f, x->n * sizeof *x->f) == 0)
			return true;
	return false;
}

/* Takes over x->f. */
static err_t keep(struct programs *ps, const struct program *x)
{
	if (known(ps, x)) {
		free(x->f);
		return NULL;
	}
	if (ps->n < PROGRAMS_MAX && vec_push(ps, *x))
		return NULL;
	free(x->f);
	return ERR_NOMEM;
}

static err_t unreadable(pid_t pid, int errnum)
{
	const char *why = errnum == EACCES ? "that takes CAP_SYS_ADMIN, and an asyncmon that is under no filter itself"
			  : errnum == EIO ? "this kernel does not give filters away" : strerror(errnum);
	return err_new(E_UNSUPPORTED, "process %d is under a seccomp filter that cannot be read (%s), so whether it lets "
		       "through what would be put into the process is not known; nothing was changed. Run asyncmon as "
		       "root outside of the container; or, where the filter is known to be a lenient one like Docker's "
		       "default, with --force: a filter that kills would end the process", (int)pid, why);
}

/* The i-th filter of a stopped thread. ERR_NOTFOUND: it has no more. */
static err_t read_one(struct filters *fs, pid_t tid, unsigned long i)
{
	void *at = (void *)i;
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, at, NULL);
	/* EINVAL: the thread is under none. */
	if (n < 0 && (errno == ENOENT || errno == EINVAL || errno == ESRCH))
		return ERR_NOTFOUND;
	if (n <= 0 || n > BPF_MAXINSNS)
		return unreadable(fs->p->t.pid, n < 0 ? errno : EIO);
	struct program x = { calloc((size_t)n, sizeof *x.f), (size_t)n, tid };
	if (!x.f)
		return ERR_NOMEM;
	if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, at, x.f) != n) {
		free(x.f);
		return unreadable(fs->p->t.pid, errno);
	}
	return keep(&fs->programs, &x);
}

/* On the tracer thread, while all threads stand still. */
static err_t read_all(void *arg)
{
	struct filters *fs = arg;
	const struct stop *s = &fs->p->stop;
	for (size_t i = 0; i < s->n; i++) {
		err_t e = NULL;
		if (s->v[i].phase == HELD_ASLEEP)
			return err_new(E_BUSY, "the seccomp filters of thread %d cannot be read: it is in a system call "
				       "that does not end", (int)s->v[i].tid);
		if (s->v[i].phase != HELD_STOPPED)
			continue;
		for (unsigned long k = 0; !e && k < CHAIN_MAX; k++)
			e = read_one(fs, s->v[i].tid, k);
		if (e && err_code(e) != E_NOTFOUND)
			return e;
	}
	return NULL;
}

/* ---- the answer ---- */

static bool is_musl(const struct target *t)
{
	for (size_t i = 0; i < t->nmappings; i++)
		if (strstr(t->mappings[i].path, "ld-musl"))
			return true;
	return false;
}

static void say_verdict(char *buf, size_t size, uint32_t verdict)
{
	uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;
	if (action == SECCOMP_RET_ERRNO)
		snprintf(buf, size, "it fails with %s", strerror((int)(verdict & SECCOMP_RET_DATA)));
	else if (action == SECCOMP_RET_TRAP)
		snprintf(buf, size, "the process is sent SIGSYS for it");
	else if (action == SECCOMP_RET_USER_NOTIF)
		snprintf(buf, size, "another process decides about it");
	else if (action == SECCOMP_RET_TRACE)
		snprintf(buf, size, "it is left to a tracer");
	else
		snprintf(buf, size, "the %s is killed for it", action == SECCOMP_RET_KILL_PROCESS ? "process" : "thread");
}

static err_t judge(const struct filters *fs, unsigned uses)
{
	const struct target *t = &fs->p->t;
	bool musl = is_musl(t);
	for (size_t i = 0; i < fs->programs.n; i++) {
		const struct program *x = &fs->programs.v[i];
		uint32_t verdict = 0;
		char how[80];
		const char *call = seccomp_forbidden(x->f, x->n, uses, musl, &verdict);
		if (!call)
			continue;
		if (!*call)
			return unreadable(t->pid, EINVAL);
		say_verdict(how, sizeof how, verdict);
		return err_new(E_UNSUPPORTED, "a seccomp filter of process %d (thread %d) forbids the system call %s, which "
			       "code that is put into it has to make: %s; nothing was changed. --force tries all the "
			       "same, at the risk of the process", (int)t->pid, (int)x->tid, call, how);
	}
	return NULL;
}

/* The strictest mode among the threads, by /proc. */
static err_t find_mode(struct process *p, int *mode, pid_t *whose)
{
	struct proc_tids tids = { 0 };
	struct proc_status st;
	*mode = 0;
	err_t e = proc_tids_read(p->t.pid, p->task_dir, &tids);
	for (size_t i = 0; !e && i < tids.n; i++) {
		if (!proc_status_read(tids.v[i], &st) || !st.seccomp || *mode == MODE_STRICT)
			continue;
		*mode = st.seccomp;
		*whose = tids.v[i];
	}
	vec_free(&tids);
	return e;
}

err_t seccomp_check(struct target *t, unsigned uses)
{
	struct filters fs = { .p = process_of(t) };
	int mode;
	pid_t whose = 0;
	TRY(find_mode(fs.p, &mode, &whose));
	if (!mode)
		return NULL;
	if (mode == MODE_STRICT)
		return err_new(E_UNSUPPORTED, "thread %d of process %d is in seccomp's strict mode, in which any call but "
			       "read, write and exit kills it; nothing was changed", (int)whose, (int)t->pid);
	TRY(target_stop(t));
	err_t e = tracer_run(fs.p->tracer, read_all, &fs);
	target_resume(t);
	if (!e)
		e = judge(&fs, uses);
	for (size_t i = 0; i < fs.programs.n; i++)
		free(fs.programs.v[i].f);
	vec_free(&fs.programs);
	return e;
}

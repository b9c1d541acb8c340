#include "inject/headroom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "attach/act.h"

/* Python calls, and C ones that Python counts, of text and import machinery: some tens. */
#define CALLS_MIN 100
/* Of C stack; release builds were seen to do with less than 64 KiB. */
#define STACK_MIN (128u << 10)
#define STACK_MIN_DEBUG (1u << 20)
/* Of address space and of private memory, where a limit is set (setrlimit). */
#define MEMORY_MIN (16ull << 20)
#define THREADS_MAX 65536

static bool enough_calls(struct target *t, const struct inject_site *s, uint64_t tstate)
{
	int32_t left, limit;
	const int32_t counters[] = { s->care.remaining, s->care.c_remaining };
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
		if (counters[i] >= 0 && target_peek(t, tstate + (uint64_t)counters[i], &left, sizeof left) &&
		    left < CALLS_MIN)
			return false;
	return s->care.depth < 0 || !s->care.limit || !target_peek(t, s->care.limit, &limit, sizeof limit) ||
	       !target_peek(t, tstate + (uint64_t)s->care.depth, &left, sizeof left) || limit - left >= CALLS_MIN;
}

/* The stack pointer, by /proc/PID/task/TID/syscall: its last words are sp and pc. */
static bool stack_pointer(struct target *t, pid_t tid, uint64_t *sp)
{
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)t->pid, (int)tid);
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, sizeof line, f);
	if (f)
		fclose(f);
	char *pc = got ? strrchr(line, ' ') : NULL;
	if (!pc)
		return false;
	*pc = '\0';
	char *word = strrchr(line, ' ');
	*sp = word ? strtoull(word + 1, NULL, 16) : 0;
	return *sp;
}

/* What the main thread's stack may still grow to. */
static uint64_t main_stack_left(const struct target *t, uint64_t sp)
{
	struct rlimit r;
	for (size_t i = 0; i < t->nmappings; i++) {
		const struct mapping *m = &t->mappings[i];
		if (strcmp(m->path, "[stack]") != 0 || sp >= m->end)
			continue;
		if (prlimit(t->pid, RLIMIT_STACK, NULL, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
			return UINT64_MAX;
		return r.rlim_cur > m->end - sp ? r.rlim_cur - (m->end - sp) : 0;
	}
	return UINT64_MAX;
}

static bool enough_stack(struct target *t, const struct inject_site *s, pid_t tid)
{
	uint64_t sp, left;
	if (!stack_pointer(t, tid, &sp))
		return true;
	const struct mapping *m = target_mapping(t, sp);
	if (tid == t->pid && (!m || strcmp(m->path, "[stack]") == 0))
		left = main_stack_left(t, sp);
	else
		left = m ? sp - m->start : UINT64_MAX;
	return left >= (s->care.debug_build ? STACK_MIN_DEBUG : STACK_MIN);
}

/* The thread of a thread state, in our numbers; 0: not known. */
static pid_t thread_of(struct target *t, const struct inject_site *s, uint64_t tstate)
{
	uint64_t native;
	if (s->care.native_id < 0 || !target_peek(t, tstate + (uint64_t)s->care.native_id, &native, sizeof native))
		return 0;
	for (size_t i = 0; i < t->nthreads; i++)
		if ((uint64_t)t->threads[i].ns_tid == native)
			return t->threads[i].tid;
	return 0;
}

/* RLIMIT_AS counts the first number of statm, RLIMIT_DATA no more than the sixth. */
static bool enough_memory(const struct target *t)
{
	struct rlimit r;
	char path[32];
	unsigned long long all, data;
	snprintf(path, sizeof path, "/proc/%d/statm", (int)t->pid);
	FILE *f = fopen(path, "re");
	bool known = f && fscanf(f, "%llu %*u %*u %*u %*u %llu", &all, &data) == 2;
	if (f)
		fclose(f);
	if (!known)
		return true;
	const struct { int what; unsigned long long pages; } limits[] = { { RLIMIT_AS, all }, { RLIMIT_DATA, data } };
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (prlimit(t->pid, limits[i].what, NULL, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
		    limits[i].pages * 4096 + MEMORY_MIN > r.rlim_cur)
			return false;
	return true;
}

err_t headroom_check(struct target *t, const struct inject_site *s)
{
	uint64_t ts = s->threads.head, next;
	if (!enough_memory(t))
		return err_new(E_BUSY, "the process has next to no memory left (setrlimit), so no code can be run in it");
	if (!enough_stack(t, s, t->pid))
		return err_new(E_BUSY, "the main thread's C stack is nearly used up, so no code can be run on it");
	if (!target_peek(t, ts, &ts, sizeof ts))
		return NULL;
	for (int n = 0; n < THREADS_MAX && ts; n++, ts = next) {
		if (!target_peek(t, ts + (uint64_t)s->threads.next, &next, sizeof next))
			next = 0;
		/* The list begins with the newest; the main thread's is the oldest. */
		if (next && !s->care.any_thread)
			continue;
		pid_t tid = next ? thread_of(t, s, ts) : 0;
		if (!enough_calls(t, s, ts))
			return err_new(E_BUSY, "a thread is so near Python's recursion limit that no code can be run on it");
		if (tid && !enough_stack(t, s, tid))
			return err_new(E_BUSY, "the C stack of thread %d is nearly used up, so no code can be run on it",
				       (int)tid);
	}
	return NULL;
}

#include "attach/stop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/proc.h"
#include "attach/refuse.h"
#include "base/clock.h"
#include "base/vec.h"

/* How long after it was asked a thread that sleeps uninterruptibly counts as halted. */
#define ASLEEP_AFTER_NS 2000000
/* And one that is ready to run but gets no processor: a throttled group, SCHED_IDLE. The
 * interrupt took it out of user mode if it was on one, and it passes the interrupt on its
 * way back there; so it stands still as well. Only its registers are not to be had, so
 * it is given some time. (test_stop: a thread that gets no processor) */
#define STARVED_AFTER_NS 100000000
/* Rounds of looking for new threads; each that finds one stops it, so a process
 * would have to have as many generations of threads in flight. */
#define ROUNDS_MAX 1000

void stop_begin(struct stop *s, pid_t pid, int task_dir)
{
	*s = (struct stop){ .pid = pid, .task_dir = task_dir, .v = s->v, .cap = s->cap };
}

/* Searches from *hint on, and around; it moves behind what was found. The list was
 * made in the order /proc gives it: with the next thread's it is mostly in step, also
 * where some have ended in between. */
static struct held *held_find(struct stop *s, size_t *hint, pid_t tid)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t k = *hint + i < s->n ? *hint + i : *hint + i - s->n;
		if (s->v[k].tid == tid) {
			*hint = k + 1 < s->n ? k + 1 : 0;
			return &s->v[k];
		}
	}
	return NULL;
}

/* It could be opened, so reading it is allowed. */
static err_t no_stop(err_t e)
{
	if (err_code(e) != E_PERM)
		return e;
	err_t out = err_new(E_PERM, "%s; it may be read without stopping (--no-pause)", e->msg);
	err_free(e);
	return out;
}

/* PTRACE_O_TRACEEXEC alone: an exec must halt and be seen, for the address space
 * that was looked at is gone then. Everything else goes its way untraced. */
static err_t seize(struct stop *s, pid_t tid)
{
	/* A thread that is seized must be in the list, or nothing would let it go. */
	if (!vec_reserve(s, 1))
		return ERR_NOMEM;
	for (int try = 0;; try++) {
		if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(uintptr_t)PTRACE_O_TRACEEXEC) == 0) {
			vec_push(s, (struct held){ .tid = tid, .phase = HELD_SEIZED });
			return NULL;
		}
		int err = errno;
		char state = proc_state(s->pid, tid);
		if (err == ESRCH || state == 0 || state == 'Z' || state == 'X') {
			vec_push(s, (struct held){ .tid = tid, .phase = HELD_GONE });
			return NULL;
		}
		/* A tracer thread of ours that just ended holds on for some microseconds. */
		struct proc_status st;
		proc_status_read(tid, &st);
		bool ours = st.tracer && proc_state(getpid(), st.tracer);
		if (!ours && (st.tracer || try > 0))
			return no_stop(refusal(s->pid, err));
		if (try > 100)
			return err_new(E_BUSY, "thread %d is still held by an earlier attempt", (int)tid);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
}

/* Seizes threads that are not known yet; *added: how many were. */
static err_t seize_new(struct stop *s, size_t *added)
{
	struct proc_tids tids = { 0 };
	size_t hint = 0;
	*added = 0;
	err_t e = proc_tids_read(s->pid, s->task_dir, &tids);
	for (size_t i = 0; i < tids.n && !e; i++) {
		if (held_find(s, &hint, tids.v[i]))
			continue;
		e = seize(s, tids.v[i]);
		++*added;
	}
	vec_free(&tids);
	return e;
}

err_t stop_seize(struct stop *s)
{
	size_t added = 1;
	for (int round = 0; added && round < ROUNDS_MAX; round++)
		TRY(seize_new(s, &added));
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].phase == HELD_SEIZED)
			return NULL;
	return err_new(E_GONE, "process %d has ended", (int)s->pid);
}

/* The status of a halt: a signal, and the ptrace event above it. */
static void held_status(struct stop *s, struct held *h, int status)
{
	int signal = status & 0x7f;
	h->phase = HELD_STOPPED;
	switch (status >> 8) {
	case PTRACE_EVENT_STOP:
		/* Ours reports SIGTRAP; a group stop reports the signal that made it. */
		if (signal != SIGTRAP)
			s->was_stopped = true;
		break;
	case PTRACE_EVENT_EXEC:
		s->exec = true;
		break;
	case 0:
		/* A signal got there first. It is not delivered while we hold the thread:
		 * stop_release() hands it on. (test_process: pending signal) */
		h->signal = signal;
		break;
	}
}

/* Looks without consuming (WNOWAIT): should we be killed between here and the
 * detach, the kernel still delivers the signal that the thread was stopped with,
 * and a child of our own stays to be waited for by whoever started it. */
static bool held_poll(struct stop *s, struct held *h)
{
	siginfo_t si = { 0 };
	if (waitid(P_PID, (id_t)h->tid, &si, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL) < 0) {
		/* Its id vanished: exec by another thread, or it was released. */
		if (errno != EINTR)
			h->phase = HELD_GONE;
	} else if (si.si_pid == h->tid && si.si_code == CLD_TRAPPED) {
		held_status(s, h, si.si_status);
	} else if (si.si_pid == h->tid) {
		h->phase = HELD_GONE;
	}
	return h->phase != HELD_ASKED;
}

/* Sleeps a little, more the longer it lasts; the first rounds only yield. */
static void held_pause(unsigned round)
{
	if (round < 30) {
		sched_yield();
		return;
	}
	long ns = round < 100 ? 20000 : 500000;
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* asked: when the last of those that are waited for was interrupted. */
static err_t held_wait(struct stop *s, struct held *h, int64_t asked, int64_t deadline)
{
	for (unsigned round = 0; !held_poll(s, h); round++) {
		held_pause(round);
		if (round < 30)
			continue;
		int64_t now = now_ns();
		if (now - asked < ASLEEP_AFTER_NS)
			continue;
		/* The interrupt is pending: when such a thread wakes it halts before its
		 * next instruction in user mode, so for a reader it stands still. A vfork
		 * parent and a thread that waits for a disk are like that. */
		h->state = proc_state(s->pid, h->tid);
		if (h->state == 'D' || (h->state == 'R' && (now - asked >= STARVED_AFTER_NS || now > deadline))) {
			h->phase = HELD_ASLEEP;
			return NULL;
		}
		/* A leader that ended before its threads halts no more, and is not reported. */
		if (h->state == 'Z' || h->state == 'X') {
			h->phase = HELD_GONE;
			return NULL;
		}
		/* Once more: it was us who got no processor, maybe. */
		if (now > deadline && !held_poll(s, h))
			return err_new(E_BUSY, "thread %d of process %d (state %c) did not stop in time",
				       (int)h->tid, (int)s->pid, h->state ? h->state : '?');
	}
	return NULL;
}

err_t stop_halt(struct stop *s, int64_t patience_ns)
{
	s->began = now_ns();
	size_t from = 0, added = 1;
	for (int round = 0; added; round++) {
		for (size_t i = from; i < s->n; i++) {
			if (s->v[i].phase != HELD_SEIZED)
				continue;
			bool asked = ptrace(PTRACE_INTERRUPT, s->v[i].tid, NULL, NULL) == 0;
			s->v[i].phase = asked ? HELD_ASKED : HELD_GONE;
		}
		int64_t asked = now_ns();
		for (size_t i = from; i < s->n; i++)
			if (s->v[i].phase == HELD_ASKED)
				TRY(held_wait(s, &s->v[i], asked, s->began + patience_ns));
		from = s->n;
		/* Threads made between the list and the stop of their maker. */
		TRY(seize_new(s, &added));
		if (round > ROUNDS_MAX || (added && now_ns() > s->began + patience_ns))
			return err_new(E_BUSY, "process %d makes threads faster than they can be stopped",
				       (int)s->pid);
	}
	s->halted = now_ns();
	if (s->exec)
		return err_new(E_GONE, "process %d became another program (exec) just now", (int)s->pid);
	bool any = false;
	for (size_t i = 0; i < s->n; i++)
		any |= s->v[i].seen = s->v[i].phase != HELD_GONE;
	return any ? NULL : err_new(E_GONE, "process %d has ended", (int)s->pid);
}

void stop_regs(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct held *h = &s->v[i];
		if (h->phase == HELD_STOPPED)
			h->have_regs = ptrace(PTRACE_GETREGS, h->tid, NULL, &h->regs) == 0;
	}
}

void stop_release(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct held *h = &s->v[i];
		if (h->phase != HELD_STOPPED)
			continue;
		/* Fails only when it was killed while it stood. */
		if (ptrace(PTRACE_DETACH, h->tid, NULL, (void *)(intptr_t)h->signal) == 0)
			h->phase = HELD_GONE;
	}
	s->released = now_ns();
}

void stop_await_free(const struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (int try = 0; s->v[i].phase != HELD_GONE && try < 200; try++) {
			struct proc_status st;
			if (!proc_status_read(s->v[i].tid, &st) || !st.tracer)
				break;
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
		}
	}
}

void stop_free(struct stop *s)
{
	vec_free(s);
}

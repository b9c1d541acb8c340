/* Holding a process stopped, for a copy or to act on it; and acting. */
#include "attach/act.h"
#include "attach/guard.h"
#include "attach/process.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

/* One tracer at a time: another asyncmon lets go within milliseconds. */
#define TURNS 30
#define TURN_NS 10000000
#define PAUSE_NS 1000000000ll

struct hold {
	struct process *p;
	int64_t patience_ns, pause_ns;
	err_t (*then)(void *);
	void *arg;
};

static err_t halt_then(void *arg)
{
	struct hold *h = arg;
	struct stop *s = &h->p->stop;
	err_t e = stop_seize(s);
	if (!e) {
		h->p->deadline = now_ns() + h->pause_ns;
		e = stop_halt(s, h->patience_ns);
	}
	if (!e && h->then)
		e = h->then(h->arg);
	if (e)
		stop_release(s);
	return e;
}

void process_let_go(struct process *p)
{
	tracer_end(p->tracer);
	p->tracer = NULL;
	stop_await_free(&p->stop);
}

static bool wait_for_turn(err_t e, int *turns)
{
	if ((err_code(e) != E_TRACED && err_code(e) != E_PERM) || ++*turns > TURNS)
		return false;
	nanosleep(&(struct timespec){ .tv_nsec = TURN_NS }, NULL);
	return true;
}

/* Ctrl-Z would stop us, and the target would stand until we are continued. */
static void no_halts(sigset_t *before)
{
	static const int halts[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof halts / sizeof *halts; i++)
		sigaddset(&set, halts[i]);
	pthread_sigmask(SIG_BLOCK, &set, before);
}

static void off_guard(struct process *p)
{
	guard_release();
	pthread_sigmask(SIG_SETMASK, &p->mask, NULL);
}

static err_t hold_once(struct process *p, struct hold *h)
{
	TRY(tracer_start(&p->tracer));
	stop_begin(&p->stop, p->t.pid, p->task_dir);
	err_t e = tracer_run(p->tracer, halt_then, h);
	if (p->stop.released > p->stop.began && p->stop.began)
		p->paused_ns += p->stop.released - p->stop.began;
	return e;
}

/* A thread that does not halt must not hold up the others for long: let them all run,
 * and try again with more patience, within the pause that is allowed in all. */
static err_t hold_within(struct process *p, int64_t pause_ns, err_t (*then)(void *), void *arg)
{
	static const int patience_ms[] = { 150, 400, 1500 };
	err_t e = NULL;
	int turns = 0;
	for (size_t i = 0; i < sizeof patience_ms / sizeof *patience_ms; i++) {
		int64_t left = pause_ns - p->paused_ns, patience = patience_ms[i] * 1000000ll;
		struct hold h = { p, patience < left ? patience : left, left, then, arg };
		if (e && left <= 0)
			return e;
		err_free(e);
		e = hold_once(p, &h);
		if (!e)
			return NULL;
		process_let_go(p);
		if (wait_for_turn(e, &turns)) {
			i--;
			continue;
		}
		if (err_code(e) != E_BUSY)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	return e;
}

err_t process_hold(struct process *p, int64_t pause_ns, err_t (*then)(void *), void *arg)
{
	sigset_t before;
	p->paused_ns = 0;
	no_halts(&before);
	guard_hold();
	err_t e = hold_within(p, pause_ns ? pause_ns : PAUSE_NS, then, arg);
	/* Who holds on keeps them blocked, and the guard, until target_resume(). */
	p->mask = before;
	if (e || then)
		off_guard(p);
	return e;
}

static err_t release(void *arg)
{
	stop_release(arg);
	return NULL;
}

/* What the tracer thread does when whoever asked for the stop is stuck. */
static void held_too_long(void *arg)
{
	stop_release(arg);
}

static err_t find_thread(struct process *p)
{
	for (size_t i = 0; i < p->stop.n; i++) {
		if (p->stop.v[i].phase == HELD_STOPPED || p->stop.v[i].phase == HELD_ASLEEP) {
			p->mem_tid = p->stop.v[i].tid;
			break;
		}
	}
	return process_check_space(p);
}

err_t target_stop(struct target *t)
{
	struct process *p = process_of(t);
	if (t->kind != TARGET_PROCESS)
		return err_new(E_UNSUPPORTED, "a core dump cannot be acted on");
	if (p->tracer)
		return NULL;
	guard_start();
	TRY(process_hold(p, t->pause_ns, NULL, NULL));
	tracer_alarm(p->tracer, p->deadline, held_too_long, &p->stop);
	err_t e = find_thread(p);
	if (e)
		target_resume(t);
	return e;
}

void target_resume(struct target *t)
{
	struct process *p = process_of(t);
	if (t->kind != TARGET_PROCESS || !p->tracer)
		return;
	err_free(tracer_run(p->tracer, release, &p->stop));
	process_let_go(p);
	off_guard(p);
}

bool target_was_stopped(struct target *t)
{
	return t->kind == TARGET_PROCESS && process_of(t)->stop.was_stopped;
}

err_t target_write(struct target *t, uint64_t addr, const void *buf, size_t len)
{
	struct process *p = process_of(t);
	if (t->kind != TARGET_PROCESS || !p->tracer)
		return err_new(E_UNSUPPORTED, "only a stopped process is written to");
	if (!tracer_enter(p->tracer))
		return err_new(E_BUSY, "process %d had to be let go: it was stopped for too long (--max-pause)",
			       (int)t->pid);
	ssize_t put = process_put(p, addr, buf, len);
	int err = errno;
	tracer_leave(p->tracer);
	if (put == (ssize_t)len)
		return NULL;
	return err_at(put < 0 && err == ESRCH ? E_GONE : E_BADDATA, addr,
		      "%zu bytes at 0x%llx of process %d could not be written",
		      len, (unsigned long long)addr, (int)t->pid);
}

err_t target_put_word(struct target *t, uint64_t addr, uint64_t v)
{
	if (t->kind != TARGET_PROCESS)
		return err_new(E_UNSUPPORTED, "only a process is written to");
	if (process_put(process_of(t), addr, &v, sizeof v) == (ssize_t)sizeof v)
		return NULL;
	if (errno == ESRCH || target_ended(t))
		return err_new(E_GONE, "process %d has ended", (int)t->pid);
	return err_errno(E_IO, errno, "writing to the agent's memory");
}

bool target_peek(struct target *t, uint64_t addr, void *buf, size_t len)
{
	return t->kind == TARGET_PROCESS && process_read(process_of(t), addr, buf, len) == len;
}

int target_pidfd(const struct target *t)
{
	return t->kind == TARGET_PROCESS ? ((const struct process *)t)->pidfd : -1;
}

bool target_ended(const struct target *t)
{
	struct pollfd p = { .fd = target_pidfd(t), .events = POLLIN };
	if (t->kind != TARGET_PROCESS)
		return false;
	return p.fd >= 0 ? poll(&p, 1, 0) == 1 : kill(t->pid, 0) != 0 && errno == ESRCH;
}

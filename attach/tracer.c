/* The tracer thread: ptrace requests must all come from the one thread that seized. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "attach/guard.h"
#include "attach/stop.h"
#include "attach/urgent.h"
#include "base/clock.h"

struct tracer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	err_t (*fn)(void *);
	void *arg;
	err_t result;
	bool busy, quit;
	int64_t alarm_at;        /* 0: none */
	void (*alarm)(void *);
	void *alarm_arg;
	bool rang, entered;
};

/* For one who is inside when the alarm is due. */
#define LEAVE_NS 10000000

/* Waits for work until the alarm is due; true when it is. On tr->lock. */
static bool due(struct tracer *tr)
{
	if (!tr->alarm_at) {
		pthread_cond_wait(&tr->wake, &tr->lock);
		return false;
	}
	int64_t when = tr->alarm_at;
	if (now_ns() >= when) {
		if (!tr->entered || now_ns() >= when + LEAVE_NS)
			return true;
		when += LEAVE_NS;
	}
	struct timespec ts = { when / 1000000000, when % 1000000000 };
	pthread_cond_timedwait(&tr->wake, &tr->lock, &ts);
	return false;
}

static void *tracer_main(void *arg)
{
	struct tracer *tr = arg;
	/* Short sleeps while waiting for halts: the default slack is 50 µs. */
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	guard_tracer_begin();
	urgent_begin();
	pthread_mutex_lock(&tr->lock);
	for (;;) {
		while (!tr->busy && !tr->quit && !tr->rang)
			tr->rang = due(tr);
		if (tr->rang && !tr->busy)
			tr->alarm(tr->alarm_arg);
		if (tr->quit || tr->rang)
			break;
		pthread_mutex_unlock(&tr->lock);
		err_t e = tr->fn(tr->arg);
		pthread_mutex_lock(&tr->lock);
		tr->result = e;
		tr->busy = false;
		pthread_cond_signal(&tr->done);
	}
	pthread_cond_signal(&tr->done);
	guard_tracer_end();
	pthread_mutex_unlock(&tr->lock);
	return NULL;
}

err_t tracer_start(struct tracer **out)
{
	struct tracer *tr = calloc(1, sizeof *tr);
	if (!tr)
		return ERR_NOMEM;
	pthread_mutex_init(&tr->lock, NULL);
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&tr->wake, &clock);
	pthread_condattr_destroy(&clock);
	pthread_cond_init(&tr->done, NULL);
	/* Signals are for the thread that has a use for them. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&tr->thread, NULL, tracer_main, tr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(tr);
		return err_errno(E_NOMEM, err, "starting a thread");
	}
	*out = tr;
	return NULL;
}

err_t tracer_run(struct tracer *tr, err_t (*fn)(void *), void *arg)
{
	pthread_mutex_lock(&tr->lock);
	tr->fn = fn;
	tr->arg = arg;
	tr->busy = true;
	pthread_cond_signal(&tr->wake);
	while (tr->busy && !tr->rang)
		pthread_cond_wait(&tr->done, &tr->lock);
	err_t e = tr->busy ? err_new(E_BUSY, "the process had to be let go: it was stopped for too long (--max-pause)")
			   : tr->result;
	pthread_mutex_unlock(&tr->lock);
	return e;
}

void tracer_alarm(struct tracer *tr, int64_t when, void (*fn)(void *), void *arg)
{
	pthread_mutex_lock(&tr->lock);
	tr->alarm_at = when;
	tr->alarm = fn;
	tr->alarm_arg = arg;
	pthread_cond_signal(&tr->wake);
	pthread_mutex_unlock(&tr->lock);
}

bool tracer_enter(struct tracer *tr)
{
	pthread_mutex_lock(&tr->lock);
	tr->entered = !tr->rang;
	bool in = tr->entered;
	pthread_mutex_unlock(&tr->lock);
	return in;
}

void tracer_leave(struct tracer *tr)
{
	pthread_mutex_lock(&tr->lock);
	tr->entered = false;
	pthread_cond_signal(&tr->wake);
	pthread_mutex_unlock(&tr->lock);
}

void tracer_end(struct tracer *tr)
{
	if (!tr)
		return;
	pthread_mutex_lock(&tr->lock);
	tr->quit = true;
	pthread_cond_signal(&tr->wake);
	pthread_mutex_unlock(&tr->lock);
	pthread_join(tr->thread, NULL);
	pthread_mutex_destroy(&tr->lock);
	pthread_cond_destroy(&tr->wake);
	pthread_cond_destroy(&tr->done);
	free(tr);
}

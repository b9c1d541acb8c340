/* The tracer thread: ptrace requests must all come from the one thread that seized. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "attach/stop.h"

struct tracer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	err_t (*fn)(void *);
	void *arg;
	err_t result;
	bool busy, quit;
};

static void *tracer_main(void *arg)
{
	struct tracer *tr = arg;
	/* Short sleeps while waiting for halts: the default slack is 50 µs. */
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	pthread_mutex_lock(&tr->lock);
	for (;;) {
		while (!tr->busy && !tr->quit)
			pthread_cond_wait(&tr->wake, &tr->lock);
		if (tr->quit)
			break;
		pthread_mutex_unlock(&tr->lock);
		err_t e = tr->fn(tr->arg);
		pthread_mutex_lock(&tr->lock);
		tr->result = e;
		tr->busy = false;
		pthread_cond_signal(&tr->done);
	}
	pthread_mutex_unlock(&tr->lock);
	return NULL;
}

err_t tracer_start(struct tracer **out)
{
	struct tracer *tr = calloc(1, sizeof *tr);
	if (!tr)
		return ERR_NOMEM;
	pthread_mutex_init(&tr->lock, NULL);
	pthread_cond_init(&tr->wake, NULL);
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
	while (tr->busy)
		pthread_cond_wait(&tr->done, &tr->lock);
	err_t e = tr->result;
	pthread_mutex_unlock(&tr->lock);
	return e;
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

#include "attach/hands.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "attach/urgent.h"
#include "base/clock.h"

/* Beyond the deadline, for those who only have to notice it. */
#define GRACE_NS 10000000ll
/* The target runs again: a slow disk may take its time, a dead one shall not. */
#define SETTLE_NS 2000000000ll
#define WATCH_NS 5000000000ll

enum { HAND_IDLE, HAND_BUSY, HAND_CALLING, HAND_LOST };

struct hand {
	atomic_int state;
	atomic_uint_fast64_t at, since;
	struct hands *of;
	pthread_t thread;
	size_t i;
};

struct hands {
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	void (*fn)(void *, size_t);
	void *arg;
	size_t wanted, begun;    /* so many may take up the work; so many have */
	size_t out;              /* of those: not back yet */
	unsigned turn;
	bool urgent;             /* who waits for them holds a target stopped */
	bool quit;
	atomic_bool late;
	size_t n;
	struct hand v[];
};

static _Thread_local struct hand *self;
static struct hand main_hand;   /* of the thread that is no hand */

bool hands_late(void)
{
	if (self)
		urgent_check();
	return self && atomic_load(&self->of->late);
}

static void *hand_main(void *arg)
{
	struct hand *me = arg;
	struct hands *h = me->of;
	unsigned turn = 0;
	self = me;
	urgent_begin();
	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->quit && (h->turn == turn || h->begun >= h->wanted)) {
			turn = h->turn;
			pthread_cond_wait(&h->wake, &h->lock);
		}
		if (h->quit)
			break;
		turn = h->turn;
		h->begun++;
		h->out++;
		atomic_store(&me->state, HAND_BUSY);
		pthread_mutex_unlock(&h->lock);
		/* A target that runs is not to wait for a processor because of us. */
		if (h->urgent)
			urgent_begin();
		else
			urgent_end();
		h->fn(h->arg, me->i);
		/* So that it is woken at once. It costs nobody anything until then. */
		urgent_begin();
		pthread_mutex_lock(&h->lock);
		atomic_store(&me->state, HAND_IDLE);
		/* One that is back found nothing left to do. */
		h->wanted = h->begun;
		if (--h->out == 0)
			pthread_cond_signal(&h->done);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
}

err_t hands_start(size_t n, struct hands **out)
{
	struct hands *h = calloc(1, sizeof *h + n * sizeof *h->v);
	if (!h)
		return ERR_NOMEM;
	pthread_mutex_init(&h->lock, NULL);
	cond_init(&h->wake);
	cond_init(&h->done);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = 0;
	for (; h->n < n && !err; h->n += !err) {
		h->v[h->n] = (struct hand){ .of = h, .i = h->n };
		err = pthread_create(&h->v[h->n].thread, NULL, hand_main, &h->v[h->n]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (h->n == 0) {
		hands_end(h);
		return err_errno(E_NOMEM, err, "starting a thread");
	}
	*out = h;
	return NULL;
}

static bool in(const struct hands *h)
{
	return h->out == 0 && h->begun == h->wanted;
}

/* Until all are in, or then. On h->lock. */
static bool all_in(struct hands *h, int64_t then)
{
	struct timespec ts = { then / 1000000000, then % 1000000000 };
	while (!in(h))
		if (pthread_cond_timedwait(&h->done, &h->lock, &ts) != 0)
			break;
	return in(h);
}

bool hands_run(struct hands *h, size_t n, void (*fn)(void *, size_t), void *arg, int64_t deadline)
{
	pthread_mutex_lock(&h->lock);
	h->fn = fn;
	h->arg = arg;
	h->wanted = n < h->n ? n : h->n;
	h->begun = h->out = 0;
	h->turn++;
	h->urgent = urgent_is();
	atomic_store(&h->late, false);
	pthread_cond_broadcast(&h->wake);
	bool back = all_in(h, deadline);
	if (!back) {
		atomic_store(&h->late, true);
		h->wanted = h->begun;
		back = all_in(h, now_ns() + GRACE_NS);
	}
	back = back && h->begun;
	pthread_mutex_unlock(&h->lock);
	return back;
}

bool hands_began(struct hands *h)
{
	pthread_mutex_lock(&h->lock);
	bool began = h->begun != 0;
	pthread_mutex_unlock(&h->lock);
	return began;
}

bool hands_settle(struct hands *h, uint64_t *at)
{
	pthread_mutex_lock(&h->lock);
	bool back = all_in(h, now_ns() + SETTLE_NS);
	/* Those that compute will be done soon, and must be. */
	for (size_t lost = 0; !back && lost < h->out;) {
		lost = 0;
		for (size_t i = 0; i < h->n; i++) {
			int was = HAND_CALLING;
			if (atomic_compare_exchange_strong(&h->v[i].state, &was, HAND_LOST))
				*at = atomic_load(&h->v[i].at);
			lost += atomic_load(&h->v[i].state) == HAND_LOST;
		}
		if (lost < h->out)
			back = all_in(h, now_ns() + GRACE_NS);
	}
	pthread_mutex_unlock(&h->lock);
	return back;
}

void hands_end(struct hands *h)
{
	bool lost = false;
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->quit = true;
	pthread_cond_broadcast(&h->wake);
	pthread_mutex_unlock(&h->lock);
	for (size_t i = 0; i < h->n; i++) {
		if (atomic_load(&h->v[i].state) == HAND_LOST) {
			pthread_detach(h->v[i].thread);
			lost = true;
		} else {
			pthread_join(h->v[i].thread, NULL);
		}
	}
	if (lost)
		return;
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->wake);
	pthread_cond_destroy(&h->done);
	free(h);
}

static int (*watch_said)(const char *message);
static bool watching;           /* in this process: a fork has no threads */

static void *watch_main(void *arg)
{
	(void)arg;
	for (;;) {
		nanosleep(&(struct timespec){ .tv_nsec = 250000000 }, NULL);
		uint64_t at = atomic_load(&main_hand.at);
		int64_t since = (int64_t)atomic_load(&main_hand.since);
		int was = HAND_CALLING;
		if (atomic_load(&main_hand.state) != was || now_ns() - since < WATCH_NS)
			continue;
		if (!atomic_compare_exchange_strong(&main_hand.state, &was, HAND_LOST))
			continue;
		char text[160];
		snprintf(text, sizeof text, "reading the process does not come back (at 0x%llx): memory that "
			 "nobody serves (userfaultfd), or a file or swap that does not answer",
			 (unsigned long long)at);
		int status = watch_said(text);
		/* Not exit(): the main thread is lost, and ends with us. */
		_exit(status);
	}
	return NULL;
}

static void watch_start(void)
{
	pthread_t th;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&th, NULL, watch_main, NULL) == 0)
		pthread_detach(th);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	watching = true;
}

static void watch_forked(void)
{
	watching = false;
}

void hang_watch(int (*said)(const char *message))
{
	if (!watch_said)
		pthread_atfork(NULL, NULL, watch_forked);
	watch_said = said;
}

void hang_begin(uint64_t at)
{
	struct hand *h = self ? self : &main_hand;
	if (!self && watch_said && !watching)
		watch_start();
	atomic_store(&h->at, at);
	if (!self)
		atomic_store(&h->since, (uint64_t)now_ns());
	atomic_store(&h->state, HAND_CALLING);
}

void hang_end(void)
{
	struct hand *h = self ? self : &main_hand;
	int was = HAND_CALLING;
	if (atomic_compare_exchange_strong(&h->state, &was, HAND_BUSY))
		return;
	for (;;)
		pause();
}

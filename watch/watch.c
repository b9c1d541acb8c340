#include "watch/watch.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "attach/act.h"
#include "base/clock.h"
#include "base/vec.h"
#include "watch/track.h"

/* Between peeks: a tenth of what counts as a hold, or a fortieth in one, within these. */
#define CALM_MIN 0.001
#define CALM_MAX 0.01
#define CLOSE_MIN 0.0005
#define CLOSE_MAX 0.0025
/* Between searches for loops; sooner where a loop is not seen any more. */
#define SEARCH_S 1.0
#define SEARCH_SOON_S 0.1
#define EVENTS_MAX 256
/* A peek that takes so long hangs in the kernel. */
#define HANG_S 10

struct watch {
	struct python *py;
	double over;
	pthread_t thread;
	bool running, halt;
	int wake;                /* an eventfd: there are events */
	pthread_mutex_t lock;    /* for all below */
	struct VEC(struct track *) tracks;
	struct watch_event events[EVENTS_MAX];
	size_t first, n, lost;
	uint64_t numbers;
	/* The caller's thread only: */
	bool hangs;              /* the thread is lost in the kernel, with the lock */
	double searched;
	size_t blind;
	char blind_type[80];
};

static void tell(struct watch *w, enum watch_kind kind, const struct hold *h)
{
	if (w->n == EVENTS_MAX) {
		w->lost++;
		return;
	}
	w->events[(w->first + w->n++) % EVENTS_MAX] = (struct watch_event){ kind, *h };
	uint64_t one = 1;
	if (write(w->wake, &one, sizeof one) < 0)
		return; /* it is full, so it wakes all the same */
}

static void peek_one(struct watch *w, struct track *t)
{
	struct hold ended;
	double now = now_seconds();
	bool told = t->over;
	uint64_t number = t->hold.number;
	enum track_news news = track_peek(t, now, w->over, &ended);
	if (news == TRACK_END) {
		ended.number = told ? number : ++w->numbers;
		tell(w, WATCH_END, &ended);
	}
	if (news == TRACK_OVER)
		t->hold.number = ++w->numbers;
	if (news == TRACK_OVER || news == TRACK_STILL) {
		track_hold(t, now, &ended);
		tell(w, news == TRACK_OVER ? WATCH_OVER : WATCH_STILL, &ended);
	}
}

static double between(double v, double low, double high)
{
	return v < low ? low : v > high ? high : v;
}

static void *peek_always(void *arg)
{
	struct watch *w = arg;
	double calm = between(w->over / 10, CALM_MIN, CALM_MAX), close = between(w->over / 40, CLOSE_MIN, CLOSE_MAX);
	for (;;) {
		pthread_mutex_lock(&w->lock);
		bool soon = false;
		for (size_t i = 0; i < w->tracks.n && !w->halt; i++) {
			peek_one(w, w->tracks.v[i]);
			soon |= track_close(w->tracks.v[i], now_seconds(), w->over);
		}
		bool halt = w->halt;
		pthread_mutex_unlock(&w->lock);
		if (halt)
			return NULL;
		nanosleep(&(struct timespec){ .tv_nsec = (long)((soon ? close : calm) * 1e9) }, NULL);
	}
}

/* For the caller's thread. A peek can hang in the kernel for good, as any read of another
 * process: false then. */
static bool lock(struct watch *w)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HANG_S;
	w->hangs = w->hangs || pthread_mutex_timedlock(&w->lock, &until) != 0;
	return !w->hangs;
}

static void unlock(struct watch *w)
{
	if (!w->hangs)
		pthread_mutex_unlock(&w->lock);
}

static err_t hanging(const struct watch *w)
{
	return err_new(E_BUSY, "the memory of process %d cannot be read: a peek at it has not come back for %d s",
		       (int)w->py->target->pid, HANG_S);
}

static struct track *track_of(struct watch *w, const struct turning *x)
{
	for (size_t i = 0; i < w->tracks.n; i++)
		if (w->tracks.v[i]->peek.of.loop == x->loop && w->tracks.v[i]->peek.of.tstate == x->tstate)
			return w->tracks.v[i];
	return NULL;
}

static void track_free(struct track *t)
{
	eye_close(&t->peek.eye);
	free(t);
}

static err_t follow(struct watch *w, const struct turning *x)
{
	struct track *t = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	err_t e = peek_open(&t->peek, w->py, x);
	if (e) {
		/* The thread has ended since; of the process, others tell. */
		bool gone = err_code(e) == E_GONE || err_code(e) == E_NOPROC;
		free(t);
		if (!gone)
			return e;
		err_free(e);
		return NULL;
	}
	if (!vec_push(&w->tracks, t)) {
		track_free(t);
		return ERR_NOMEM;
	}
	return NULL;
}

/* What the search says of a loop that is followed already. */
static void refresh(struct track *t, const struct turning *x)
{
	t->missed = false;
	if (!x->code || (x->frame == t->peek.of.frame && x->code == t->peek.of.code))
		return;
	/* A step of this loop runs the loop itself (nest_asyncio): it goes round further in. */
	t->dropped = t->key != 0;
	t->peek.of = *x;
}

static err_t merge(struct watch *w, const struct turning *found, size_t n)
{
	err_t e = NULL;
	w->blind = 0;
	for (size_t i = 0; i < w->tracks.n; i++)
		w->tracks.v[i]->missed = true;
	for (size_t i = 0; i < n && !e; i++) {
		struct track *t = track_of(w, &found[i]);
		if (t) {
			refresh(t, &found[i]);
		} else if (found[i].code || found[i].uv) {
			e = follow(w, &found[i]);
		} else {
			w->blind++;
			memcpy(w->blind_type, found[i].type, sizeof w->blind_type);
		}
	}
	size_t kept = 0;
	for (size_t i = 0; i < w->tracks.n; i++) {
		struct track *t = w->tracks.v[i];
		/* One that is held is not given up for one search that met it in a change. */
		if (t->missed && !t->key)
			track_free(t);
		else
			w->tracks.v[kept++] = t;
	}
	w->tracks.n = kept;
	return e;
}

static err_t search(struct watch *w)
{
	struct turning *found;
	size_t n;
	err_t e = turns_find(w->py, &found, &n);
	w->searched = now_seconds();
	if (e)
		return e;
	e = lock(w) ? merge(w, found, n) : hanging(w);
	unlock(w);
	free(found);
	return e;
}

err_t watch_start(struct python *py, double over, struct watch **out)
{
	struct watch *w = calloc(1, sizeof *w);
	if (!w)
		return ERR_NOMEM;
	w->py = py;
	w->over = over;
	pthread_mutex_init(&w->lock, NULL);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err_t e = w->wake < 0 ? err_new(E_IO, "eventfd: %s", strerror(errno)) : search(w);
	if (!e) {
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		int err = pthread_create(&w->thread, NULL, peek_always, w);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		w->running = !err;
		if (err)
			e = err_new(E_IO, "starting a thread: %s", strerror(err));
	}
	if (e) {
		watch_free(w);
		return e;
	}
	*out = w;
	return NULL;
}

static bool take(struct watch *w, struct watch_event *out)
{
	bool got = false;
	if (lock(w) && w->n) {
		*out = w->events[w->first];
		w->first = (w->first + 1) % EVENTS_MAX;
		w->n--;
		got = true;
	}
	unlock(w);
	return got;
}

static bool any_unseen(struct watch *w)
{
	bool any = false;
	bool held = lock(w);
	for (size_t i = 0; held && i < w->tracks.n; i++)
		any |= w->tracks.v[i]->unseen > 2;
	unlock(w);
	return any;
}

bool watch_goes_on(struct watch *w, uint64_t number)
{
	bool on = false;
	bool held = lock(w);
	for (size_t i = 0; held && i < w->tracks.n; i++) {
		const struct track *t = w->tracks.v[i];
		on |= t->key && t->over && !t->dropped && t->hold.number == number;
	}
	unlock(w);
	return on;
}

/* What was told may turn out to be a loop that goes round further in. */
static err_t sound(struct watch *w, const struct watch_event *e, bool *good)
{
	*good = true;
	if (e->kind != WATCH_OVER)
		return NULL;
	bool before = watch_goes_on(w, e->hold.number);
	TRY(search(w));
	bool dropped = false;
	bool held = lock(w);
	for (size_t i = 0; held && i < w->tracks.n; i++)
		dropped |= w->tracks.v[i]->dropped && w->tracks.v[i]->hold.number == e->hold.number;
	unlock(w);
	*good = !(before && dropped);
	return NULL;
}

static void wait_for_event(struct watch *w, double seconds)
{
	struct pollfd p[] = {
		{ .fd = w->wake, .events = POLLIN },
		{ .fd = target_pidfd(w->py->target), .events = POLLIN },
	};
	uint64_t told;
	poll(p, 2, (int)(between(seconds, 0, 0.1) * 1e3) + 1);
	if (p[0].revents && read(w->wake, &told, sizeof told) < 0)
		return; /* nobody but us empties it */
}

err_t watch_next(struct watch *w, double until, const volatile sig_atomic_t *stop, struct watch_event *out, bool *got)
{
	*got = false;
	for (;;) {
		bool good;
		while (take(w, out)) {
			TRY(sound(w, out, &good));
			if (good) {
				*got = true;
				return NULL;
			}
		}
		double now = now_seconds();
		if (!w->running || now >= until || (stop && *stop))
			return NULL;
		if (target_ended(w->py->target))
			return err_new(E_GONE, "process %d has ended", (int)w->py->target->pid);
		if (w->hangs)
			return hanging(w);
		if (now - w->searched > SEARCH_S || (now - w->searched > SEARCH_SOON_S && any_unseen(w)))
			TRY(search(w));
		else
			wait_for_event(w, until - now);
	}
}

size_t watch_loops(const struct watch *w, size_t *blind, const char **type)
{
	*blind = w->blind;
	*type = w->blind_type;
	return w->tracks.n;
}

size_t watch_lost(const struct watch *w)
{
	return w->lost;
}

void watch_halt(struct watch *w)
{
	if (!w->running || !lock(w))
		return;
	w->halt = true;
	unlock(w);
	pthread_join(w->thread, NULL);
	w->running = false;
	for (size_t i = 0; i < w->tracks.n; i++) {
		struct track *t = w->tracks.v[i];
		struct hold h;
		if (!t->key || !t->over || t->dropped)
			continue;
		track_hold(t, now_seconds(), &h);
		tell(w, WATCH_END, &h);
	}
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	watch_halt(w);
	if (w->running)
		return; /* its thread may yet come back, and use it */
	for (size_t i = 0; i < w->tracks.n; i++)
		track_free(w->tracks.v[i]);
	vec_free(&w->tracks);
	if (w->wake >= 0)
		close(w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* The one clock: follows the running loops of a process by peeks that do not stop it, on a
 * thread of its own, and says when one is held for long.
 *
 * While a watch runs, its caller may take looks at the target; the watch uses the target
 * only inside of watch_next(). */
#ifndef ASYNCMON_WATCH_WATCH_H
#define ASYNCMON_WATCH_WATCH_H

#include <signal.h>

#include "watch/hold.h"

struct watch;

enum watch_kind {
	WATCH_OVER,              /* a loop has been held for `over`, and still is */
	WATCH_STILL,             /* twice as long as was said last */
	WATCH_END,               /* it is over (or the watch is): the whole of it */
};

struct watch_event { enum watch_kind kind; struct hold hold; };

/* over: seconds, 1 ms at least. Finds the loops; that there are none yet is no error. */
err_t watch_start(struct python *py, double over, struct watch **out);
/* The next event, waited for until `until` (now_seconds()) or until *stop is set by a
 * signal's handler; *got is false then. E_GONE: the process has ended. */
err_t watch_next(struct watch *w, double until, const volatile sig_atomic_t *stop, struct watch_event *out, bool *got);
/* Whether that hold goes on. */
bool watch_goes_on(struct watch *w, uint64_t number);
/* Loops that are followed; those that cannot be, and *type, the type of one of them. */
size_t watch_loops(const struct watch *w, size_t *blind, const char **type);
/* Ends the peeks; what is held then is told as further events, not `ended`. */
void watch_halt(struct watch *w);
/* Events that there was no room for. */
size_t watch_lost(const struct watch *w);
void watch_free(struct watch *w);

#endif

/* Where the loops of a process spend their time: samples of what runs in their steps, added
 * to a flame graph. A loop that waits for events is told by a peek; only one that is in a
 * step is looked at, which stops the process for an instant. */
#ifndef ASYNCMON_WATCH_RUNNING_H
#define ASYNCMON_WATCH_RUNNING_H

#include "base/arena.h"
#include "query/flame.h"
#include "watch/peek.h"

struct running {
	struct python *py;
	struct flame *flame;
	struct arena *arena;     /* its texts: the flame graph's life long */
	struct map texts;        /* hash → the text in the arena */
	struct VEC(struct peek) peeks;
	double searched;
	size_t samples;          /* of all loops together; those that waited are among them */
	size_t looks;            /* how often the process was stopped */
};

/* flame and arena are the caller's. */
void running_begin(struct running *r, struct python *py, struct flame *f, struct arena *a);
/* One sample of every loop; E_GONE. */
err_t running_sample(struct running *r);
void running_end(struct running *r);

#endif

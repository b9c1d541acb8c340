/* One loop followed by peeks: when it is held, for how long, and with what. */
#ifndef ASYNCMON_WATCH_TRACK_H
#define ASYNCMON_WATCH_TRACK_H

#include "watch/hold.h"
#include "watch/peek.h"

struct track {
	struct peek peek;
	uint64_t key;            /* what it is held by: a turn, or one of track.c's; 0: it is not */
	double last;             /* when it was peeked at before; 0: never */
	struct hold hold;        /* while `key` is not 0 */
	bool sampled, over, dropped; /* of the hold: is long enough to be looked into; was told; is no stall */
	double marked;           /* up to when the hold was told of */
	struct eye_thread first, before; /* at its first sample, at the last */
	double first_at;
	/* Where Python was when the thread was last seen to have used its processor, and for how
	 * long it has been met running since. */
	uint64_t frame, instr, ran_to;
	double unsure;
	double throttled;        /* of its group at the first sample */
	double moved;            /* when its processor time was last seen to grow */
	uint64_t cpu;
	unsigned doubts;         /* peeks in a row in which it was stopped no more */
	unsigned unseen;         /* peeks in a row that found no turn of it */
	bool missed;             /* by the last search for loops */
};

enum track_news { TRACK_NOTHING, TRACK_OVER /* held for `over` now */, TRACK_STILL /* twice as long as told */, TRACK_END };

/* One peek, at `now` (now_seconds()). For TRACK_END *ended is the hold, at least `over` long. */
enum track_news track_peek(struct track *t, double now, double over, struct hold *ended);
/* Is it worth looking at more often? */
bool track_close(const struct track *t, double now, double over);
/* The hold as it is now, for one that is not over. */
void track_hold(const struct track *t, double now, struct hold *out);

#endif

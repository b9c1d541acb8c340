/* The agent's events (agent/wire.h) of a living process, read as they are written, without
 * stopping it. All that is written there is a lease: eight bytes in the agent's own header.
 *
 * Looks may be taken of the same target in between. */
#ifndef ASYNCMON_TASKS_FEED_H
#define ASYNCMON_TASKS_FEED_H

#include "agent/wire.h"
#include "snapshot/snapshot.h"

struct python;
struct feed;

/* A lease lasts so long, and is to be renewed that often. */
#define FEED_LEASE_S 2.0
#define FEED_RENEW_S 0.25

#define FEED_FRAMES 8            /* of where a task is suspended: the innermost ones */

struct feed_event {
	struct agent_event e;
	const char *text[2];     /* as the kind of event has them; "" none. Until the next event */
	uint64_t frames[FEED_FRAMES]; /* innermost first; feed_frame() */
	unsigned nframes;
};

struct feed_stats {
	uint64_t lost;           /* slots that were written over before they were read */
	uint64_t unwritten;      /* slots that the agent had no memory for */
	unsigned gaps;           /* times that the lease had ended before it was renewed */
};

/* Finds the agent and takes a lease. E_UNSUPPORTED: there is none, it is switched off, or it is
 * one that writes no events; the message says what to do. E_GONE. */
err_t feed_open(struct python *py, struct feed **out);
void feed_close(struct feed *f);
/* Reads from that number on (struct snapshot's events_from); without it, from where the ring
 * stood when the feed was opened. */
void feed_start(struct feed *f, uint64_t number);
/* Whenever FEED_RENEW_S are over. E_GONE. */
err_t feed_renew(struct feed *f);
/* Gives each event that was written since, in the order of the ring, and renews the lease where
 * that is due. *behind: so much was read that there is more by now. E_GONE; E_UNSUPPORTED: the
 * agent was switched off. */
err_t feed_read(struct feed *f, void (*event)(void *ctx, const struct feed_event *e), void *ctx, bool *behind);
const struct feed_stats *feed_stats(const struct feed *f);
/* Seconds since the epoch of an event's `at`. */
double feed_time(const struct feed *f, uint64_t at);
/* And back; 0 where it is not known (NAN). */
uint64_t feed_ns(const struct feed *f, double at);
/* The thread of that id in the target, as we number threads; 0 unknown. */
pid_t feed_thread(const struct feed *f, int32_t tid);

/* What events refer to; the feed's own, as long as it is open. */
const struct frame *feed_frame(struct feed *f, uint64_t packed);   /* NULL: unknown */
/* A stack by its node. Empty where it is not known. */
const struct stack *feed_stack(struct feed *f, uint32_t node);

#endif

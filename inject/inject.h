/* Having a living Python run a text of ours, by data alone: no register is changed, no
 * instruction, no breakpoint. While the target is stopped a few words are written that
 * Python itself looks at between instructions; the text then runs in the target's own
 * time, in a namespace of its own. Dying at any instant leaves nothing to repair: at
 * worst a text that does nothing but open a file waits to be run.
 *
 * Two steps. A short text makes a nameless file (a memfd) in the target, which we reach
 * through /proc/PID/fd whatever its mount, pid and user namespaces are: the channel. It
 * takes the real text and bytes there, and a second short text runs them; the reply
 * comes back the same way. So the real text is as long as it likes, no file is left
 * behind, and a read-only root is none the worse.
 *
 * The short texts travel by the queue of pending calls, whose function is
 * PyRun_SimpleString: memory alone, no file is made for them (inject/carrier.c says why).
 * An idle event loop is woken by a byte into its own self-pipe (pidfd_getfd). */
#ifndef ASYNCMON_INJECT_INJECT_H
#define ASYNCMON_INJECT_INJECT_H

#include "attach/target.h"

#define INJECT_ROOMS 16
#define INJECT_WAKES 64

/* Where things are in the target; 0: it has none. Made by inject/site.c. */
struct inject_site {
	struct {                 /* struct _pending_calls */
		uint64_t addr;
		uint64_t function;   /* PyRun_SimpleString */
		int32_t lock, count, calls, first, last; /* offsets */
		int32_t call_size, ncalls, max;
		bool mutex;          /* 3.13+: lock is a byte, count counts, breakers are bits */
	} queue;
	uint64_t breaker;        /* the queue's: an int, 3.8 to 3.12 */
	struct {                 /* 3.13+: a word in every thread state, listed from here */
		uint64_t head;
		int32_t next, breaker;
	} threads;
	struct {                 /* what a call from the queue must not meet; offsets, -1: none */
		int32_t remaining, c_remaining; /* in a thread state: calls left; */
		int32_t depth;       /* calls made, of as many as the int at `limit` says (0: unknown) */
		uint64_t limit;
		int32_t native_id;   /* in a thread state */
		bool any_thread;     /* any may serve the queue, not only the main one */
		bool debug_build;
		bool audited;        /* a hook is asked before code is compiled or run */
	} care;
	struct { uint64_t addr; uint32_t len; } rooms[INJECT_ROOMS]; /* bytes nobody uses */
	size_t nrooms;
	int wakes[INJECT_WAKES]; /* the target's descriptors that a byte goes into */
	size_t nwakes;
};

struct inject_text {
	const char *text;        /* Python; `fd` is the channel, `blob` gives the bytes below,
				  * what it leaves in `reply` (a str) comes back */
	const void *blob;
	size_t blob_len;
	unsigned deadline_ms;    /* 0: 10,000 */
	size_t file_bytes;       /* of the largest file that the text writes */
	unsigned uses;           /* enum seccomp_use, beyond USE_TEXT */
	bool force;              /* also where the target's seccomp filters may forbid it */
	/* Names where a thread is in Python code, freed by inject_run(), or NULL: for the
	 * message where only the main thread could run it, and is blocked. May be NULL. */
	char *(*thread_at)(void *arg, pid_t tid);
	void *arg;
};

/* *reply (freed by the caller with free(); may be NULL) is what the text left. E_BUSY: it
 * did not run before the deadline, says why, and will not run later. E_IO: it ran and
 * raised; the message is what Python said. Others as target_stop(). */
err_t inject_run(struct target *t, const struct inject_site *site, const struct inject_text *x,
		 char **reply);

/* ---- between the files of inject ---- */

/* What a short text begins and ends with. It is run as part of __main__, whose names may
 * hide built-in ones, and one that raised would be an error that the program gets. */
#define INJECT_TEXT_HEAD "try:\n __import__('builtins').exec('''\n"
#define INJECT_TEXT_TAIL "''',{})\nexcept:pass\n"

struct inject_carrier;
/* Puts a short text where Python will run it: E_BUSY when that cannot be now (try
 * again), E_UNSUPPORTED when it never can. */
err_t carrier_put(struct target *t, const struct inject_site *site, const char *text,
		  struct inject_carrier **out);
/* Has Python taken it, so that it ran or runs? Of the target as it runs. */
bool carrier_taken(struct target *t, const struct inject_carrier *c);
/* Takes back what was not run, and frees. */
void carrier_end(struct target *t, struct inject_carrier *c, bool ran);

/* The channel's file: page 0 is for the two sides, then the text, then the bytes. */
#define CHANNEL_STATUS 64    /* a byte: 0, 'r' running, 'o' done, 'e' raised */
#define CHANNEL_REPLY 128
#define CHANNEL_REPLY_MAX 3900
#define CHANNEL_TEXT 4096
#define CHANNEL_ABANDONED_S 3 /* that old and held by nobody */
/* A short text that makes the channel; for carrier_put(). */
void channel_making(char *buf, size_t size, const char *nonce);
struct channel { int theirs, ours; }; /* the target's descriptor of it, and ours */
/* False: not there (yet). */
bool channel_find(struct target *t, const char *nonce, struct channel *c);
/* Those that an asyncmon which was killed left behind; ours are open and locked. young: there
 * are more that nobody holds, made so lately that their makers may be about to find them. */
size_t channel_abandoned(struct target *t, struct channel *v, size_t max, bool *young);

#endif

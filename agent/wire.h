/* What the agent keeps in its process and the debugger reads from an image: the one
 * format both sides know. Everything is little-endian x86-64, as in memory.
 *
 * The agent reserves one stretch of private anonymous memory when it starts and never
 * asks for more. It begins with struct agent_header, which the data symbol
 * `asyncmon_agent_header` of libasyncmon-agent.so points to; the page before it is never
 * readable, so the header is also the first thing in a mapping of its own. In it lie pools:
 * arrays of equal items, committed as they are first used. Item 0 of a pool is never
 * used: index 0 says none.
 *
 * Reading at any instant. An item is filled before its state, or the index of it, is
 * stored; a change of many fields goes through a state that says so (AGENT_ENDING). A
 * reader walks agent_pool.used items and believes state, then checks what an index
 * leads to by its serial. So whatever instruction the process was stopped at, nothing
 * half written is taken for whole.
 *
 * Times are CLOCK_MONOTONIC nanoseconds; the header says what to add for wall time. */
#ifndef ASYNCMON_AGENT_WIRE_H
#define ASYNCMON_AGENT_WIRE_H

#include <stdint.h>

#define AGENT_MAGIC 0x6e6f6d636e797361ull /* "asyncmon" */
#define AGENT_VERSION 5u
/* Formats before, which are still read. This one has no events: its header ends before them. */
#define AGENT_VERSION_QUIET 4u
/* This one has no POOL_EXCEPTIONS either: its header ends before that pool, and `exception` of
 * a task is the string of its message. */
#define AGENT_VERSION_TEXTS 3u
#define AGENT_SYMBOL "asyncmon_agent_header"
#define AGENT_SONAME "libasyncmon-agent.so"
/* Requests to cancel that are kept of a task: the first, and the last ones. */
#define AGENT_CANCELS_OF_A_TASK 64u

enum agent_pool_name { POOL_TASKS, POOL_CANCELS, POOL_NODES, POOL_CELLS, POOL_EXCEPTIONS, AGENT_POOLS };

struct agent_pool {
	uint64_t addr;
	uint32_t item_size;
	uint32_t capacity;       /* items, item 0 included */
	uint32_t used;           /* items below this were used at least once */
	uint32_t busy;           /* items in use now */
};

enum agent_counter {
	AGENT_LIVE,              /* tasks alive now */
	AGENT_ENDED,             /* in the ring now */
	AGENT_PRESERVED,         /* in the preserved ring now */
	AGENT_ANCESTORS,         /* kept for their descendants now */
	AGENT_TASKS_SEEN,
	AGENT_CANCELS_SEEN,
	AGENT_DROPPED_TASKS,     /* never recorded: no room */
	AGENT_DROPPED_ENDED,     /* fell out of the ring (ordinary ageing) */
	AGENT_DROPPED_PRESERVED,
	AGENT_DROPPED_ANCESTORS, /* cut although a descendant was there */
	AGENT_DROPPED_CANCELS,
	AGENT_DROPPED_STACKS,
	AGENT_DROPPED_STRINGS,
	AGENT_COUNTERS
};

/* Events: what happens, as it happens, in a ring of equal slots that begins again when it is
 * full. Nothing is written there unless somebody reads.
 *
 * Who reads says so by a lease: it writes into `until` (process_vm_writev) up to which instant
 * it wants events, AGENT_LEASE_MAX ahead at most, and again in time. A reader that dies
 * thereby costs nothing any more when its last lease is over; several may read at once.
 *
 * Slots are numbered, from 0 on, for ever: number n is at n & (capacity - 1). `head` is the
 * number that is written next, stored once the slots below it are whole. A reader copies slots
 * below head, without stopping anything, and then reads head again: of what it copied, numbers
 * up to head - capacity + AGENT_EVENT_SLOTS may have been written over meanwhile. Each slot
 * begins with its own number. */
struct agent_events {
	uint64_t until;          /* CLOCK_MONOTONIC, nanoseconds; written by readers. 0: nobody reads */
	uint64_t head;
	uint64_t addr;
	uint32_t capacity;       /* slots, a power of two */
	uint32_t slot_size;
	uint64_t unwritten;      /* slots that there was no memory for */
};

#define AGENT_LEASE_MAX 10000000000ull /* a lease that ends later than that is none */
#define AGENT_EVENT_SLOTS 4u     /* that one event takes at most */

/* How long steps took, by the code of the task's coroutine. Item 0 is of all that have none of
 * their own. */
#define AGENT_PROFILES 256u
#define AGENT_BUCKETS 28
#define AGENT_BUCKET_FIRST 1024u /* nanoseconds: bucket i has steps below this << i, the last all */
struct agent_profile {
	uint64_t code;
	uint64_t steps, busy;    /* how many, and nanoseconds */
	uint64_t buckets[AGENT_BUCKETS];
};
struct agent_profiles {
	uint64_t addr;
	uint32_t used;           /* items below this */
	uint32_t item_size;
};

struct agent_header {
	uint64_t magic;
	uint32_t version;
	uint32_t size;           /* of this struct */
	uint64_t self;           /* its own address */
	uint64_t total;          /* bytes reserved, all told */
	uint32_t on;             /* 0: the agent was switched off */
	uint32_t lock;
	int32_t pid;             /* as the process sees itself */
	uint32_t python;         /* PY_VERSION_HEX */
	uint64_t started_mono, started_wall; /* the same instant on both clocks */
	uint64_t next_serial;
	uint32_t ended_max, preserved_max, ancestors_max, cancels_max; /* the last: of a task */
	uint64_t counters[AGENT_COUNTERS];
	struct agent_pool pools[AGENT_POOLS];
	struct agent_events events;
	struct agent_profiles profiles;
};

enum agent_state {
	AGENT_FREE,
	AGENT_ALIVE,
	AGENT_ENDING,            /* alive until a moment ago: fields of the end are not valid yet */
	AGENT_DONE,              /* in the ring */
	AGENT_ANCESTOR           /* out of the ring, kept for its descendants */
};

enum agent_outcome {
	AGENT_FINISHED, AGENT_FAILED, AGENT_CANCELLED,
	AGENT_DESTROYED          /* the task object went away while pending */
};

#define AGENT_PERSISTENT 1u      /* flags */
#define AGENT_BEFORE 2u          /* it was made before the agent came */
#define AGENT_FOREIGN 4u         /* no _asyncio.Task: followed through _register_task */
#define AGENT_CANCELS_CUT 8u     /* it had more cancel requests than are kept */
#define AGENT_FOLLOWED 16u       /* the agent's own: its cancel was replaced, and is followed */
#define AGENT_SWAPPED 32u        /* the agent's own: its step began by _swap_current_task */
#define AGENT_STOOD 64u          /* end_stack is where it stood when what ended it was thrown in */

/* A string is 0 (none), AGENT_EMPTY, "Task-N" in the low 31 bits with the top bit set, or
 * the index of its first cell. */
#define AGENT_TASK_N 0x80000000u
#define AGENT_EMPTY 0x7fffffffu

struct agent_task {
	uint8_t state, outcome, flags;
	uint8_t profile;         /* whose steps its steps count among */
	uint32_t hash_next;
	uint64_t serial;
	uint64_t task;           /* the task object's address */
	uint64_t created_at;
	uint64_t parent_serial;  /* 0: not made by a task */
	uint32_t parent;         /* where it was recorded, if the serial there still matches */
	uint32_t children;       /* items whose parent this is */
	uint32_t created_stack;  /* POOL_NODES */
	uint32_t cancels;        /* newest first */
	uint64_t polls;
	uint64_t busy, longest;  /* nanoseconds */
	union {
		uint64_t step_start;     /* AGENT_ALIVE: of the step it is in, else 0 */
		uint64_t ended_at;       /* AGENT_DONE, AGENT_ANCESTOR */
	};
	uint32_t end_stack;      /* the traceback it ended with; AGENT_ALIVE: the agent's own */
	uint32_t name, coro;     /* strings; of a living task the objects have them */
	union {
		uint32_t exc_type;       /* AGENT_VERSION_TEXTS only */
		uint32_t went;           /* AGENT_ALIVE: traceback_mark() of what was thrown in last */
	};
	union {
		uint32_t exception;      /* AGENT_DONE, AGENT_ANCESTOR: in POOL_EXCEPTIONS; 0: none */
		uint32_t handled;        /* AGENT_ALIVE: what end_stack depends on */
	};
	uint32_t next, prev;     /* the agent's own lists */
	uint32_t ncancels;
};

struct agent_cancel {
	uint64_t owner;          /* serial of the task that was asked; 0: free */
	uint64_t at;
	uint64_t by_serial;      /* 0: no task did it; AGENT_BY_END: of the task that ended */
	uint32_t by_name, message;
	uint32_t stack;
	uint32_t next;           /* older request, or next free */
	uint64_t by;             /* the task object's address, which is even, or one of these */
};
/* A handler of signal.signal() did, or what it had called soon; the signal's number (0: it
 * is not known) is in the bits from AGENT_SIGNAL_SHIFT on. */
#define AGENT_BY_SIGNAL 1ull
#define AGENT_SIGNAL_SHIFT 8
/* A task group did, told that a task of it had ended. */
#define AGENT_BY_END 3ull

/* An exception that a task failed with, or one that belongs to it. Those of a task are a
 * list, in the order in which a walk by levels meets them: the first is the task's. */
enum agent_exception_role {
	AGENT_RAISED,            /* the task's */
	AGENT_CAUSE, AGENT_CONTEXT,
	AGENT_MEMBER,            /* of a group */
	AGENT_NOTE               /* no exception: `message` is a note */
};
#define AGENT_EXCEPTION_SUPPRESSES 1u  /* flags: __suppress_context__ */
#define AGENT_EXCEPTION_MORE 2u        /* not all that belongs to it is in the list */

/* Of one task, at most. */
#define AGENT_EXCEPTIONS_MAX 16u

struct agent_exception {
	uint64_t owner;          /* serial of the task */
	uint32_t type;
	uint32_t message, repr;  /* str() and repr(); 0: only code of its class could tell */
	uint32_t stack;          /* its traceback; of the task's it is end_stack */
	uint32_t next;           /* in the list; or next free */
	uint16_t of;             /* the how-manieth of the list it belongs to, from 0 */
	uint8_t role, flags;
	uint32_t unused;
};

/* A node of the tree of stacks: a stack is its innermost frame's node. */
struct agent_node {
	uint64_t code;           /* code object in the low 48 bits */
	int32_t lasti;           /* byte offset of the instruction, as the frame has it; -1 none */
	uint32_t parent;         /* the caller's, 0: outermost */
	uint32_t refs;
	uint32_t next;
};
#define AGENT_CODE(c) ((c) & 0xffffffffffffull)
/* lasti of a node in place of frames that were left out (it has no code). */
#define AGENT_LASTI_CUT (-2)

struct agent_cell {              /* the first of a string */
	uint32_t next;           /* the next cell of it, 0: last */
	uint32_t hash_next;
	uint32_t hash;
	uint32_t refs;
	uint32_t len;            /* bytes of the whole string */
	char text[12];
};
struct agent_cell_more {
	uint32_t next;
	char text[28];
};

enum agent_event_kind {
	AGENT_EVENT_CREATED = 1, /* by: the serial of the task that made it, or 0; object: the task;
				  * in: its loop, 0 unknown; stack: where; texts: name, coroutine */
	AGENT_EVENT_MET,         /* a task that is older than the agent: object, in, texts */
	AGENT_EVENT_NAMED,       /* texts: its name from now on */
	AGENT_EVENT_READY,       /* what it waits for is done. how: enum agent_ready; object: that
				  * future; by: the task that did it, 0: no task (a callback,
				  * another thread, which `tid` tells) */
	AGENT_EVENT_BEGUN,       /* a step; object: the future that it was told of, or 0 */
	AGENT_EVENT_SUSPENDED,   /* it ended. how: enum agent_suspended; object: what it waits for;
				  * by: the serial of that if it is a task; frames: where */
	AGENT_EVENT_CANCEL,      /* it was asked to cancel. by and object: by_serial and by of
				  * struct agent_cancel; stack: from where; texts: the message */
	AGENT_EVENT_ENDED,       /* how: enum agent_outcome; texts: type and message of what it
				  * failed with. Ends its step, if it is in one */
	AGENT_EVENT_KINDS
};

enum agent_ready { AGENT_READY_RESULT = 1, AGENT_READY_EXCEPTION, AGENT_READY_CANCELLED };

enum agent_suspended {
	AGENT_ON_NOTHING = 1,    /* a bare yield: it is ready again */
	AGENT_ON_FUTURE,
	AGENT_ON_DONE,           /* a future that is done already: it is ready again */
	AGENT_ON_UNKNOWN         /* no task of _asyncio */
};
#define AGENT_EVENT_EAGER 1u     /* how of CREATED: its first step is part of its making */

struct agent_event {
	uint64_t number;
	uint64_t at;
	uint64_t serial;         /* of the task that it is about */
	uint64_t by, object;
	int32_t tid;             /* the thread that it happened in, as the process sees it */
	uint8_t kind, how;
	uint8_t more;            /* slots that follow and belong to it */
	uint8_t unused;
	union {
		uint64_t in;     /* a loop */
		uint64_t frame;  /* the innermost one; 0 none. Frames further out follow */
	};
	uint32_t stack;          /* POOL_NODES */
	uint32_t length;         /* bytes of texts, each ended by NUL; or of frames, that follow */
};

/* A frame: the code object in the low 48 bits, half of the instruction's byte offset above. */
#define AGENT_FRAME_LASTI_SHIFT 48
#define AGENT_FRAME_LASTI_NONE 0xffffu

struct agent_event_more {
	uint64_t number;
	union {
		char text[56];
		uint64_t frames[7];
	};
};

/* Up to 8 bytes more are its places in the hash table. */
_Static_assert(sizeof(struct agent_task) <= 120, "a live task costs 128 bytes");
_Static_assert(sizeof(struct agent_cancel) == 48, "agent_cancel");
_Static_assert(sizeof(struct agent_exception) == 40, "agent_exception");
_Static_assert(sizeof(struct agent_node) == 24, "agent_node");
_Static_assert(sizeof(struct agent_event) == 64 && sizeof(struct agent_event_more) == 64, "events");
_Static_assert(sizeof(struct agent_cell) == 32 && sizeof(struct agent_cell_more) == 32, "cells");

#endif

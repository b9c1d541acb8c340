/* The merge: one stack of C frames in which each call of Python's evaluation loop is
 * replaced by the Python frames it runs. Pure; nothing is read or allocated beyond
 * the result.
 *
 * Where it is not certain which frames belong where, there is no merged stack.
 *
 * A greenlet's stack ends where greenlet began it. What lies further out in memory is
 * of others, and need not be what was there when it began. */
#ifndef ASYNCMON_UNWIND_MERGE_H
#define ASYNCMON_UNWIND_MERGE_H

#include "unwind/entries.h"
#include "unwind/native.h"

/* What the merge needs to know of a C frame's function by name. */
enum native_role {
	ROLE_OTHER,
	ROLE_EVAL,       /* the evaluation loop, or a part of it that was split off */
	ROLE_EVAL_INNER, /* an instruction's handler, called by the loop (3.14+ tail calls) */
	ROLE_EVAL_CALLEE, /* such a handler without a name, if its caller is a call of the loop */
	ROLE_EVAL_OUTER, /* does nothing but call the loop */
	ROLE_SWITCH,     /* of the module that changes stacks: greenlet's */
};
/* Either may be NULL: unknown. */
enum native_role native_role(const char *function, const char *module);

/* The Python side: each thread state that runs on the thread, innermost frames first.
 * Several only where subinterpreters call each other on one thread. */
struct merge_chain {
	const struct pystack *stack;
	const struct pyentries *entries;
};

struct merge_item {
	bool python;
	size_t chain, index;     /* python: frame of chain; else index of the C frame */
};

struct merged {
	struct merge_item *items; /* innermost first; in the arena */
	size_t n;
	const char *broken;      /* why it is not one whole stack, or NULL */
	bool matched;            /* false: Python frames all, within the C frames all */
};

/* roles: one for each C frame. False when memory is out. */
bool merge_stacks(const struct native_stack *ns, const enum native_role *roles,
		  const struct merge_chain *chains, size_t nchains, struct arena *a,
		  struct merged *out);

#endif

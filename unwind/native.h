/* The C stack of one thread, by libunwind over the image.
 *
 * Memory comes from the image alone, registers from struct thread: a live process and
 * a core look the same. What the target says is not believed: every stack ends,
 * after FRAMES frames or reads, wherever the stack pointer does not grow, or at the
 * first thing that cannot be read, and then says why.
 *
 * An unwinder keeps what it learns between threads. It belongs to its maker, who
 * frees it before the modules. */
#ifndef ASYNCMON_UNWIND_NATIVE_H
#define ASYNCMON_UNWIND_NATIVE_H

#include "base/arena.h"
#include "symbols/modules.h"

struct native_frame {
	uint64_t ip;
	uint64_t sp;             /* while it runs (after what it called returned) */
	uint64_t end;            /* its caller's sp; 0: unknown, or on another stack */
	bool exact;              /* ip is the next instruction, not a return address */
	bool signal;             /* the kernel called what is inner: a signal handler */
};

struct native_stack {
	struct native_frame *frames; /* innermost first; in the caller's arena */
	size_t n;
	const char *broken;      /* why it ends early, or NULL */
	bool cut;                /* because stack memory was not captured */
	bool stale;              /* it leads to where nothing is mapped: maps older than the stack? */
};

struct unwinder;

err_t unwinder_new(struct target *t, struct modules *ms, struct unwinder **out);
void unwinder_free(struct unwinder *u);
/* Where the function begins that holds addr, by its unwind data; else 0. size: to where the
 * next one begins; 0 for a part that was split off a function. */
uint64_t native_function(struct unwinder *u, uint64_t addr, uint64_t *size);
/* False when memory is out. The image's count of misses is left as it was. */
bool native_unwind(struct unwinder *u, const struct thread *th, struct arena *a,
		   struct native_stack *out);

#endif

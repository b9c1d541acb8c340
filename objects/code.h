/* Code objects, source positions and interpreter frames.
 *
 * struct code is read once a code object and lives in the reader's arena. */
#ifndef ASYNCMON_OBJECTS_CODE_H
#define ASYNCMON_OBJECTS_CODE_H

#include "objects/reader.h"

struct code {
	uint64_t addr;
	const char *name, *qualname, *file; /* qualname = name before 3.11 */
	int32_t firstlineno, flags;
	const uint8_t *table;    /* lnotab, linetable or location table; in the image */
	size_t table_len;
	int32_t nlocalsplus;     /* 3.11+: slots of a frame before its value stack */
	struct map frames;       /* for users: instruction + 1 → what they made of it */
	struct map blocks;       /* instruction + 1 → what objects/contexts.c made of it */
};

#define CODE_GENERATOR 0x20
#define CODE_COROUTINE 0x80
#define CODE_ITERABLE_COROUTINE 0x100
#define CODE_ASYNC_GENERATOR 0x200

/* The code object at addr, or NULL when it is none. */
const struct code *code_at(struct reader *r, uint64_t addr);
/* The line of the instruction at byte offset lasti (-1: not started: the first
 * line); 0 when it has none. */
int code_line(const struct code *c, const struct py_layout *l, int64_t lasti);

/* The tuple of the names (str objects) that it looks up as globals or attributes, or 0. */
uint64_t code_names(struct reader *r, uint64_t code);

/* The three formats; lasti in bytes, result a line or 0. Exposed for tests. */
int lnotab_line(const uint8_t *t, size_t n, int first, int64_t lasti);      /* <= 3.9 */
int linetable_line(const uint8_t *t, size_t n, int first, int64_t lasti);   /* 3.10 */
int locations_line(const uint8_t *t, size_t n, int first, int64_t lasti);   /* 3.11+ */

/* One interpreter frame, wherever it lies (in a generator, on a data stack, in a
 * frame object before 3.11). */
struct pyframe {
	uint64_t addr;           /* of the _PyInterpreterFrame; <= 3.10 the PyFrameObject */
	uint64_t previous;       /* the caller's, 0 none */
	uint64_t code_addr;
	const struct code *code; /* NULL: not a Python frame (a shim, an entry frame) */
	int64_t lasti;           /* byte offset of the current instruction, -1 not started */
	int owner;               /* 3.12+: as in the layout's owner_*; -1 unknown */
};
bool frame_read(struct reader *r, uint64_t addr, struct pyframe *f);
/* The depth-th value from the top of a suspended frame's stack (1 = top), 0 unknown. */
uint64_t frame_stack_peek(struct reader *r, uint64_t addr, int depth);
/* The value in the index-th slot of a frame's value stack (0: the lowest), 0 unknown or
 * null. Slots above the frame's depth hold what was there before. */
uint64_t frame_stack_slot(struct reader *r, const struct pyframe *f, size_t index);
/* How many values a suspended frame's stack holds; 0 also where that is unknown. */
size_t frame_stack_depth(struct reader *r, const struct pyframe *f);
/* The first instruction of the code a frame runs: inside the code object or, in
 * free-threaded builds of 3.14 and later, in its copy for one thread. 3.11+. */
uint64_t frame_instructions(struct reader *r, const struct pyframe *f);
/* True when the frame of a suspended generator waits in an await or yield from
 * (before 3.13 only its code says so). */
bool frame_in_await(struct reader *r, const struct pyframe *f);
/* A value in a frame's slot without its tag bits. */
static inline uint64_t stackref_ptr(const struct reader *r, uint64_t bits)
{
	return r->l->stackref_mask > 0 ? bits & ~(uint64_t)r->l->stackref_mask : bits;
}

#endif

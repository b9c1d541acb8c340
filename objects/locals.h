/* Arguments and locals of a frame, and short texts of plain values. */
#ifndef ASYNCMON_OBJECTS_LOCALS_H
#define ASYNCMON_OBJECTS_LOCALS_H

#include "objects/code.h"

/* Iteration in the order of the code's slots: arguments, locals, cells, free
 * variables. Unbound names are passed over; cells give what they hold. */
struct locals_iter {
	uint64_t names[3];       /* tuples; 3.11+: the first alone */
	uint64_t kinds;          /* 3.11+: bytes object */
	uint64_t slots;
	int64_t i, n[3];
};
bool locals_begin(struct reader *r, const struct pyframe *f, struct locals_iter *it);
bool locals_next(struct reader *r, struct locals_iter *it, const char **name, uint64_t *value);
/* The value of one local, or 0. */
uint64_t local_get(struct reader *r, const struct pyframe *f, const char *name);
/* Where the frame keeps that local: how far behind the frame's address; -1: it has none of
 * that name. The same for every frame of its code. */
int64_t local_offset(struct reader *r, const struct pyframe *f, const char *name);

/* A short text of a plain value (None, bool, int, float, str, bytes, and how many a
 * container holds), as Python would write it; NULL for others. In the arena. */
const char *brief_text(struct reader *r, uint64_t obj);

#endif

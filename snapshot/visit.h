/* Everything that a snapshot points to, once each, what is pointed to before what points
 * there. */
#ifndef ASYNCMON_SNAPSHOT_VISIT_H
#define ASYNCMON_SNAPSHOT_VISIT_H

#include "base/vec.h"
#include "snapshot/fields.h"

struct visit {
	/* An array of n of that type; its number is that of the calls before it. False ends
	 * the visit. */
	bool (*met)(struct visit *v, const struct field_type *t, const void *array, size_t n);
	void *ctx;
	bool no_locals;
	struct map seen[FIELD_TYPES]; /* address and length → number + 1 */
	uint64_t next;
	unsigned depth;
};

/* False: met() ended it, or memory is out. */
bool visit_snapshot(struct visit *v, const struct snapshot *s);
void visit_free(struct visit *v);
/* What a field of that kind points to, and how many; NULL: nothing. */
const void *visit_pointed(const struct visit *v, const struct field *f, const void *element, size_t *n);
/* The number + 1 of what was met; 0: not yet, or NULL. */
uint64_t visit_number(const struct visit *v, const struct field_type *t, const void *array, size_t n);

/* Calls fn with each frame: of coroutines, of past stacks, of threads' Python code. False
 * when memory is out. */
struct frame_place { const char *function, *file; int line, first; };
bool snapshot_each_frame(const struct snapshot *s, void (*fn)(void *ctx, const struct frame_place *at), void *ctx);

#endif

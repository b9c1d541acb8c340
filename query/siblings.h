/* Siblings of a forest that are alike, with all below them: drawn once. */
#ifndef ASYNCMON_QUERY_SIBLINGS_H
#define ASYNCMON_QUERY_SIBLINGS_H

#include "query/forest.h"

struct siblings {
	bool *dropped;     /* a sibling before node i, or before one above it, stands for it */
	uint32_t *count;   /* of the others: how many siblings it stands for, itself too */
};

/* alike() compares two nodes by themselves, and likeness() is equal for those that are. A
 * node that has several parents, or is in a cycle, is like no other, so that siblings with
 * such a child are alike when it is the same one. Only ERR_NOMEM. */
err_t siblings_find(struct siblings *s, const struct forest *f,
		    bool (*alike)(const void *ctx, uint32_t a, uint32_t b),
		    uint64_t (*likeness)(const void *ctx, uint32_t node), const void *ctx);
void siblings_free(struct siblings *s);

#endif

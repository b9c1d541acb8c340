/* A directed graph drawn as trees: roots, children, cycles. Nodes are numbers below n.
 * Everything is iterative, for the graph comes from the target: chains of any depth,
 * cycles and nodes with many parents are normal. */
#ifndef ASYNCMON_QUERY_FOREST_H
#define ASYNCMON_QUERY_FOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct edge { uint32_t parent, child; };

struct forest {
	size_t n;
	uint32_t *starts, *children;        /* of node i: children[starts[i]] … */
	uint32_t *roots;
	size_t nroots;
	uint32_t *cycle_starts, *cycles;    /* of cycle i: cycles[cycle_starts[i]] …, each in
					     * an order in which a parent comes before its child */
	size_t ncycles;
};

struct forest_step {
	uint32_t node;
	size_t depth;  /* 0: a root */
	bool last;     /* of its parent's children */
	bool again;    /* drawn before: its children are there */
	bool cycle;    /* it is on the way from the root to here */
	bool leave;    /* its children are done */
};

/* Nodes with kept[i] false are left out; kept NULL: all are in. Only ERR_NOMEM. */
err_t forest_make(struct forest *f, size_t n, const struct edge *edges, size_t nedges, const bool *kept);
void forest_free(struct forest *f);
/* Keeps all nodes that lead to a kept one. Only ERR_NOMEM. */
err_t forest_keep_ancestors(size_t n, const struct edge *edges, size_t nedges, bool *kept);
/* Calls step on entering each node and on leaving it, every node expanded once. */
err_t forest_walk(const struct forest *f, void (*step)(void *ctx, const struct forest_step *s), void *ctx);

#endif

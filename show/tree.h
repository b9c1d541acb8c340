/* Who awaits whom, or which task group holds whom, as trees. */
#ifndef ASYNCMON_SHOW_TREE_H
#define ASYNCMON_SHOW_TREE_H

#include "base/json.h"
#include "base/map.h"
#include "base/vec.h"
#include "query/forest.h"
#include "query/list.h"
#include "query/siblings.h"

/* Nodes: the tasks in the order of the list, then the groups. */
struct tree {
	const struct snapshot *s;
	struct list tasks;
	struct map index;        /* id → node + 1 */
	struct VEC(struct edge) edges;
	bool *kept;
	struct forest forest;
	struct siblings same;    /* with --coalesce */
	bool grouped;
	size_t unjudged;         /* tasks left out for want of knowledge */
};

/* a: the options that select tasks, the order of --sort, --coalesce. grouped: by task group.
 * s outlives it. To be freed also where it could not be made. */
err_t tree_make(struct tree *g, const struct snapshot *s, const struct args *a, bool grouped);
void tree_free(struct tree *g);
/* The task of a node below s->ntasks. */
const struct task *tree_task(const struct tree *g, size_t node);
/* "roots", "groups" and "cycles" into the open object; of a tree that is not grouped. */
err_t json_tree(struct json *j, const struct tree *g);

#endif

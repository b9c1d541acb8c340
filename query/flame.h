/* What a flame graph is drawn from: a tree of frames, and for each place in it how much is
 * there (tasks, samples, microseconds). Pure; show/flame.h prints it.
 *
 * Whoever fills it adds stacks with flame_add(), or steps down from a node that another
 * stack has led to. Frames are told apart by function, file and line. What is given is
 * pointed to, not copied: it has to outlive the graph. */
#ifndef ASYNCMON_QUERY_FLAME_H
#define ASYNCMON_QUERY_FLAME_H

#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"
#include "snapshot/snapshot.h"

/* Stacks are cut below that: a chain of n tasks that await each other has n² frames. */
#define FLAME_DEPTH_MAX 1000

/* A frame of Python or C, or, without a file, a word of ours such as "sleep". */
struct flame_frame { const char *name, *file; int line; };

struct flame_node {
	uint32_t parent;         /* smaller than its own; of the root 0 */
	uint32_t frame;          /* index in frames */
	uint32_t depth;          /* of the root 0 */
	uint32_t first, next;    /* its first child and its next sibling, the heaviest first; 0: none.
				  * Set by flame_finish() */
	uint64_t self, total;    /* what ends in it; and with what lies below, by flame_finish() */
};

struct flame {
	const char *title, *unit; /* "tasks" */
	struct VEC(struct flame_frame) frames;
	struct VEC(struct flame_node) nodes; /* nodes[0] is the root and stands for no frame */
	struct map by_frame;     /* hash of a frame → index + 1 of the last that has it */
	struct VEC(uint32_t) same_hash; /* of each frame: index + 1 of the one before with its hash */
	struct map by_step;      /* parent and frame → node */
	bool cut;                /* a stack was deeper than FLAME_DEPTH_MAX */
};

err_t flame_make(struct flame *f, const char *title, const char *unit);
void flame_free(struct flame *f);
/* *node becomes the one for that frame called from the old *node. Below FLAME_DEPTH_MAX
 * it stays where it is. Only ERR_NOMEM. */
err_t flame_step(struct flame *f, uint32_t *node, struct flame_frame frame);
void flame_weigh(struct flame *f, uint32_t node, uint64_t weight);
/* A whole stack, outermost first. */
err_t flame_add(struct flame *f, const struct flame_frame *stack, size_t n, uint64_t weight);
/* Totals and the order of siblings; once, when all is added. */
void flame_finish(struct flame *f);

/* flame_waiting.c: where tasks wait, each once: below the frames of the task that awaits it,
 * or that owns its group, its own, and then what it waits for. Of several that await it the
 * first is taken. Only tasks with selected[index] are weighed; group gives the outermost
 * frame of a task, NULL: none. */
struct flame_choice {
	const bool *selected;
	const char *const *group;
};
err_t flame_waiting(struct flame *f, const struct snapshot *s, const struct flame_choice *c);

#endif

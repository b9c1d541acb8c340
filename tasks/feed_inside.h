/* A feed's insides. Inside this folder only. */
#ifndef ASYNCMON_TASKS_FEED_INSIDE_H
#define ASYNCMON_TASKS_FEED_INSIDE_H

#include "tasks/feed.h"
#include "tasks/history.h"

struct feed {
	struct python *py;
	struct target *target;
	struct agent_header header;   /* as it was when the feed was opened */
	uint64_t next;                /* the number that is read next */
	uint64_t until;               /* the lease; 0: none yet */
	int64_t ahead;                /* nanoseconds of its clock before ours */
	bool broken;                  /* what is next may be the rest of an event that is lost */
	struct agent_event *copy;
	struct feed_stats stats;
	/* feed_frames.c */
	struct arena *arena;
	struct map frames;            /* as packed → struct frame *, 0 unknown */
	struct map stacks;            /* node → struct stack * */
	struct code_folders folders;
	bool nodes_move;              /* nodes are used again: what was read of one may be void */
	bool refreshed;               /* what is read of the process is of this call of feed_read() */
	bool scratch_open;
	struct walk scratch;
};

/* A walk of the process as it is now, for reading code objects. */
err_t feed_scratch_begin(struct feed *f);
void feed_scratch_folders(struct feed *f);
void feed_scratch_end(struct feed *f);
void feed_nodes_seen(struct feed *f, uint32_t used, uint64_t started);

#endif

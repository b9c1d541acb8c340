/* The part of a stack that is a loop's, told by the library functions that run one. */
#ifndef ASYNCMON_SHOW_FOLD_H
#define ASYNCMON_SHOW_FOLD_H

#include "snapshot/snapshot.h"

/* How many frames, from the outermost on, only brought a loop to the point where it ran
 * what the others are of; 0 when that is none, or all. */
size_t fold_loop_frames(const struct stack *st);

#endif

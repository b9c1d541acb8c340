/* What need not be shown to be understood: the parts of a stack that are a loop's or
 * asyncio's own, and cancel requests that are like one shown before. */
#ifndef ASYNCMON_SHOW_FOLD_H
#define ASYNCMON_SHOW_FOLD_H

#include "snapshot/snapshot.h"

/* How many frames, from the outermost on, only brought a loop to the point where it ran
 * what the others are of; 0 when that is none, or all. */
size_t fold_loop_frames(const struct stack *st);
/* How many frames at the innermost end are asyncio's own; 0 when that is none, or all. */
size_t fold_asyncio_frames(const struct stack *st);

/* Requests behind v[i] that have its origin, message and stack are marked in `shown`.
 * How many they are; *last: the youngest of them. */
size_t fold_cancels(const struct cancel *v, size_t n, size_t i, bool *shown, size_t *last);

#endif

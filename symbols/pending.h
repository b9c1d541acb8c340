/* The queue of pending calls is written to when code is to run in the target, so its
 * place is proved by its contents: tables of a minor differ in it (patch levels, debug
 * builds), and nothing else says where it is. */
#ifndef ASYNCMON_SYMBOLS_PENDING_H
#define ASYNCMON_SYMBOLS_PENDING_H

#include "symbols/python.h"

/* Settles runtime_pending or interp_pending of py->layout; -1 where no place that a
 * table knows looks like the queue. */
void pending_settle(struct python *py);

#endif

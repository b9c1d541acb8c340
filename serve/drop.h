/* Giving up rights that speaking HTTP does not take. */
#ifndef ASYNCMON_SERVE_DROP_H
#define ASYNCMON_SERVE_DROP_H

#include "base/err.h"

/* This process becomes nobody where it is root, loses its capabilities, can gain none, opens
 * no connections of its own, leaves no core, and ends with its parent. */
err_t drop_rights(void);

#endif

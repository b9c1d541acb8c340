/* Stalls as ndjson, an object a line. */
#ifndef ASYNCMON_SHOW_STALLS_H
#define ASYNCMON_SHOW_STALLS_H

#include "base/json.h"
#include "watch/stall.h"

/* One stall; at: seconds since the epoch when it began. */
void json_stall(struct json *j, const struct stall *s, double at);
/* The last line: how many there were in `watched` seconds, and why it ends. */
void json_stall_sum(struct json *j, const struct stall_sum *sum, double at, double watched, double over, const char *ended_by);

#endif

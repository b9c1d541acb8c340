/* Tasks that ended, as a list and as JSON. */
#ifndef ASYNCMON_CMD_ENDED_H
#define ASYNCMON_CMD_ENDED_H

#include "cmd/list.h"

extern const struct list_kind list_ended;
/* The keys of one; the object stays open for more where `open`. */
void json_ended(struct json *j, const struct ended *t, bool open);
/* Without an agent there is nothing to list: E_UNSUPPORTED says how to get one. */
err_t ended_check(const struct snapshot *s);

#endif

/* Tasks that ended, as a list and as JSON. */
#ifndef ASYNCMON_SHOW_ENDED_H
#define ASYNCMON_SHOW_ENDED_H

#include "show/list_look.h"

extern const struct list_kind list_ended;
/* The keys of one; the object stays open for more where `open`. */
void json_ended(struct json *j, const struct ended *t, bool open);
/* The same with its last stack, who made it and who cancelled it, as `where-terminated` has it. */
void json_ended_whole(struct json *j, const struct ended *t);
/* Without an agent there is nothing to list: E_UNSUPPORTED says how to get one. */
err_t ended_check(const struct snapshot *s);

#endif

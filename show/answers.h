/* The answers of commands as JSON, each written into the open object of an answer, behind
 * its head (json_head). Whoever prints, serves or saves an answer gets the same bytes. */
#ifndef ASYNCMON_SHOW_ANSWERS_H
#define ASYNCMON_SHOW_ANSWERS_H

#include "base/json.h"
#include "query/coalesce.h"
#include "query/list.h"

/* "shown", "total" and the rows under the list's own key; with t, "counts" by `by` too. */
void json_rows(struct json *j, const struct list *l, const struct tallies *t, const char *by);
/* "tasks" whole, as `where` has them. same: of tasks that are alike one is told, with a
 * count; same->n is 0 where each is told. */
void json_where(struct json *j, const struct list *l, const struct coalesced *same);
/* "threads"; same as above, or NULL. */
void json_threads(struct json *j, const struct snapshot *s, const struct coalesced *same);
/* "findings" */
void json_findings(struct json *j, const struct snapshot *s);

#endif

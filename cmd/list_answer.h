/* A list as a command's answer, text or JSON. */
#ifndef ASYNCMON_CMD_LIST_ANSWER_H
#define ASYNCMON_CMD_LIST_ANSWER_H

#include "cmd/command.h"
#include "show/list_look.h"

/* Answers with the rows that the options of c leave, after list_check(). `before` writes
 * keys of JSON that come first, or is NULL. The caller ends the answer: call_end(). */
err_t list_answer(struct call *c, const struct list_kind *kind, struct snapshot *s,
		  struct rows rows, void (*before)(struct json *, const struct snapshot *));

#endif

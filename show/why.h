/* The answer of `why`, as text and as JSON. */
#ifndef ASYNCMON_SHOW_WHY_H
#define ASYNCMON_SHOW_WHY_H

#include "base/json.h"
#include "base/out.h"
#include "base/term.h"
#include "query/keeps.h"
#include "query/why.h"

/* "roots" into the open object. */
void json_why_roots(struct json *j, const struct why *y);
/* "chains" into the open object: how each of n tasks, by index, comes to its root. */
void json_why_chains(struct json *j, const struct why *y, const uint32_t *tasks, size_t n);
/* "keeps" into the open object; the same as text, one a paragraph. */
void json_keeps(struct json *j, const struct keeps *k);
void text_keeps(struct out *o, const struct term *t, const struct keeps *k);
/* All roots, one a paragraph. */
void text_why_roots(struct out *o, const struct term *t, const struct why *y);
/* One task's way to its root, a line a link. */
void text_why_chain(struct out *o, const struct term *t, const struct why *y, uint32_t task);

#endif

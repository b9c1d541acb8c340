/* What came, went and grew between two looks, as text and as JSON. */
#ifndef ASYNCMON_SHOW_DIFF_H
#define ASYNCMON_SHOW_DIFF_H

#include "base/json.h"
#include "base/term.h"
#include "query/diff.h"

/* "old", "new", "apart", "came", "went", "grew", "moved" into the open object. */
void json_diff(struct json *j, const struct diff *d);
void text_diff(struct out *o, const struct term *t, const struct diff *d);

#endif

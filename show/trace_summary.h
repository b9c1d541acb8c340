/* The sum of a trace, by coroutine, as a table and as JSON. */
#ifndef ASYNCMON_SHOW_TRACE_SUMMARY_H
#define ASYNCMON_SHOW_TRACE_SUMMARY_H

#include "base/json.h"
#include "watch/totals.h"

void trace_summary_text(struct strbuf *b, const struct totals *t);
/* Under "summary", into the open object. */
void trace_summary_json(struct json *j, const struct totals *t);

#endif

/* A streaming JSON writer. It keeps nothing of what it wrote but whether a comma is
 * due, so nesting costs no memory and has no limit: who opens an object or array
 * closes it.
 *
 * Output is ASCII-safe where it matters: control characters, DEL, C1 and the
 * bidirectional overrides are escaped, so that JSON on a terminal does no harm. */
#ifndef ASYNCMON_BASE_JSON_H
#define ASYNCMON_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/out.h"

struct json {
	struct out *out;
	bool comma; /* something stands before, at this depth */
};

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
/* A key of our own, which needs no escaping. A value follows. */
void json_key(struct json *j, const char *key);
/* UTF-8, lone surrogates as three bytes (\udXXX), NUL as C0 80, anything else invalid as \ufffd;
 * NULL is null. */
void json_str(struct json *j, const char *s);
void json_int(struct json *j, int64_t v);
void json_double(struct json *j, double v); /* NaN and infinities: null */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* A line, a thread's id or the like, for which 0 and less mean unknown: null then. */
void json_positive(struct json *j, int64_t v);
void json_id(struct json *j, uint64_t id);  /* "0x7f…"; 0: null */
/* Seconds since the epoch as RFC 3339 in UTC with microseconds; NaN: null. */
void json_instant(struct json *j, double at);
/* A line end after a whole document. */
void json_end(struct json *j);

#endif

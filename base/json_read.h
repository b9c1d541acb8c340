/* JSON that others wrote, read by libjson-c: values are looked at by kind, and one that is
 * not of the kind asked for is none. Numbers are written again as they were read.
 *
 * A value belongs to the document that it is part of, and goes with json_read_free(). */
#ifndef ASYNCMON_BASE_JSON_READ_H
#define ASYNCMON_BASE_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

struct json_value;

/* A whole document, at most JSON_READ_DEPTH deep; else E_BADDATA says where it stops being
 * one. The caller frees *out. */
#define JSON_READ_DEPTH 200
err_t json_read(const char *text, size_t n, struct json_value **out);
void json_read_free(struct json_value *document);

bool json_is_object(const struct json_value *v);
bool json_is_array(const struct json_value *v);
/* Of an object, the value of that key; NULL: there is none, it is null, or v is no object. */
const struct json_value *json_get(const struct json_value *v, const char *key);
/* A string; NULL for anything else, and for one with a NUL in it. */
const char *json_get_str(const struct json_value *v);
bool json_get_int(const struct json_value *v, int64_t *out);
bool json_get_bool(const struct json_value *v, bool *out);
/* Of an array, how many items it has, and one of them; 0 and NULL for anything else. */
size_t json_count(const struct json_value *v);
const struct json_value *json_item(const struct json_value *v, size_t i);

/* The members of an object, in order. */
struct json_member { const char *key; const struct json_value *value; };
/* *out is the caller's to free; what it points to is the document's. */
err_t json_members(const struct json_value *v, struct json_member **out, size_t *n);

/* The value again, without blanks. */
void json_write(struct strbuf *b, const struct json_value *v);

#endif

#include "base/json_read.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

/* A struct json_value is libjson-c's struct json_object by another name: ours is const
 * where theirs cannot be. */
static struct json_object *theirs(const struct json_value *v)
{
	return (struct json_object *)(uintptr_t)v;
}

static const struct json_value *ours(struct json_object *o)
{
	return (const struct json_value *)o;
}

err_t json_read(const char *text, size_t n, struct json_value **out)
{
	*out = NULL;
	if (n > INT_MAX)
		return err_new(E_BADDATA, "%zu bytes are too many for one JSON document", n);
	struct json_tokener *t = json_tokener_new_ex(JSON_READ_DEPTH);
	if (!t)
		return ERR_NOMEM;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(t, text, (int)n);
	enum json_tokener_error why = json_tokener_get_error(t);
	/* A number could go on; a blank says that it does not. */
	if (!o && why == json_tokener_continue) {
		o = json_tokener_parse_ex(t, " ", 1);
		why = json_tokener_get_error(t);
	}
	size_t at = json_tokener_get_parse_end(t);
	err_t e = NULL;
	if (why != json_tokener_success)
		e = err_new(E_BADDATA, "this is not JSON: %s, after %zu bytes",
			    why == json_tokener_continue ? "it breaks off" : json_tokener_error_desc(why), at);
	json_tokener_free(t);
	if (e) {
		json_object_put(o);
		return e;
	}
	*out = (struct json_value *)o;
	return NULL;
}

void json_read_free(struct json_value *document)
{
	json_object_put((struct json_object *)document);
}

bool json_is_object(const struct json_value *v)
{
	return json_object_is_type(theirs(v), json_type_object);
}

bool json_is_array(const struct json_value *v)
{
	return json_object_is_type(theirs(v), json_type_array);
}

const struct json_value *json_get(const struct json_value *v, const char *key)
{
	struct json_object *o;
	return json_is_object(v) && json_object_object_get_ex(theirs(v), key, &o) ? ours(o) : NULL;
}

const char *json_get_str(const struct json_value *v)
{
	if (!json_object_is_type(theirs(v), json_type_string))
		return NULL;
	const char *s = json_object_get_string(theirs(v));
	return s && strlen(s) == (size_t)json_object_get_string_len(theirs(v)) ? s : NULL;
}

bool json_get_int(const struct json_value *v, int64_t *out)
{
	if (!json_object_is_type(theirs(v), json_type_int))
		return false;
	*out = json_object_get_int64(theirs(v));
	return true;
}

bool json_get_bool(const struct json_value *v, bool *out)
{
	if (!json_object_is_type(theirs(v), json_type_boolean))
		return false;
	*out = json_object_get_boolean(theirs(v));
	return true;
}

size_t json_count(const struct json_value *v)
{
	return json_is_array(v) ? json_object_array_length(theirs(v)) : 0;
}

const struct json_value *json_item(const struct json_value *v, size_t i)
{
	return i < json_count(v) ? ours(json_object_array_get_idx(theirs(v), i)) : NULL;
}

err_t json_members(const struct json_value *v, struct json_member **out, size_t *n)
{
	*out = NULL;
	*n = 0;
	if (!json_is_object(v))
		return NULL;
	*out = calloc((size_t)json_object_object_length(theirs(v)) + 1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	json_object_object_foreach(theirs(v), key, value)
		(*out)[(*n)++] = (struct json_member){ key, ours(value) };
	return NULL;
}

void json_write(struct strbuf *b, const struct json_value *v)
{
	const char *s = json_object_to_json_string_ext(theirs(v), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (s)
		strbuf_str(b, s);
	else
		b->failed = true;
}

/* Short texts of plain values. */
#include "objects/locals.h"

#include <stdio.h>
#include <string.h>

#define BRIEF_MAX 60

/* Quoted as Python quotes, cut at BRIEF_MAX characters; the terminal's own escapes
 * are left to the output. */
static const char *brief_str(struct reader *r, uint64_t obj)
{
	const char *s = str_at(r, obj), *end = s;
	if (!s)
		return NULL;
	for (int chars = 0; *end && chars < BRIEF_MAX; end++)
		chars += (*end & 0xC0) != 0x80;
	while ((*end & 0xC0) == 0x80)
		end++;
	return arena_fmt(r->arena, "'%.*s%s'", (int)(end - s), s, *end ? "\xe2\x80\xa6" : "");
}

static const char *brief_bytes(struct reader *r, uint64_t obj)
{
	size_t n;
	const uint8_t *p = bytes_at(r, obj, &n);
	char buf[4 * BRIEF_MAX + 16];
	size_t len = 0;
	if (!p)
		return NULL;
	for (size_t i = 0; i < n && i < BRIEF_MAX; i++)
		len += (size_t)snprintf(buf + len, sizeof buf - len,
					p[i] >= 32 && p[i] < 127 && p[i] != '\\' && p[i] != '\'' ? "%c" : "\\x%02x",
					p[i]);
	return arena_fmt(r->arena, "b'%.*s%s'", (int)len, buf, n > BRIEF_MAX ? "\xe2\x80\xa6" : "");
}

static const char *count(struct reader *r, int64_t n, const char *open, const char *close)
{
	if (n < 0)
		return NULL;
	return n == 0 ? arena_fmt(r->arena, "%s%s", open, close)
		      : arena_fmt(r->arena, "%s%lld item%s%s", open, (long long)n, n == 1 ? "" : "s", close);
}

const char *brief_text(struct reader *r, uint64_t obj)
{
	int64_t n;
	double d;
	switch (object_kind(r, obj)) {
	case KIND_NONE:
		return "None";
	case KIND_BOOL:
		return int_at(r, obj, &n) ? (n ? "True" : "False") : NULL;
	case KIND_INT:
		return int_at(r, obj, &n) ? arena_fmt(r->arena, "%lld", (long long)n) : NULL;
	case KIND_FLOAT:
		return float_at(r, obj, &d) ? arena_fmt(r->arena, "%.12g", d) : NULL;
	case KIND_STR:
		return brief_str(r, obj);
	case KIND_BYTES:
		return brief_bytes(r, obj);
	case KIND_LIST:
		return count(r, seq_len(r, obj), "[", "]");
	case KIND_TUPLE:
		return count(r, seq_len(r, obj), "(", ")");
	case KIND_DICT:
		return count(r, dict_len(r, obj), "{", "}");
	case KIND_SET:
		n = (int64_t)field_at(r, obj, r->l->set_used);
		return count(r, n, "{", "}");
	default:
		return NULL;
	}
}

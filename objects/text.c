/* str, bytes, int and float. Sources: Include/cpython/unicodeobject.h (state word:
 * interned, kind, compact, ascii), Include/cpython/longintrepr.h. */
#include "objects/reader.h"

#include <string.h>

struct str_view { const uint8_t *data; int64_t len; int kind; bool ascii; };

static bool str_view(struct reader *r, uint64_t obj, struct str_view *v, int64_t max)
{
	const struct py_layout *l = r->l;
	uint32_t state;
	int64_t len;
	if (object_kind(r, obj) != KIND_STR ||
	    !image_i64(r->img, obj + (uint64_t)l->unicode_length, &len) ||
	    !image_u32(r->img, obj + (uint64_t)l->unicode_state, &state) || len < 0)
		return false;
	unsigned kind = state >> l->unicode_kind_shift & 7;
	bool compact = state >> (l->unicode_kind_shift + 3) & 1;
	v->ascii = state >> (l->unicode_kind_shift + 4) & 1;
	if (kind != 1 && kind != 2 && kind != 4)
		return false;
	v->kind = (int)kind;
	v->len = len < max ? len : max;
	uint64_t data = compact ? obj + (uint64_t)(v->ascii ? l->unicode_ascii_data
							    : l->unicode_compact_data)
				: field_at(r, obj, l->unicode_data);
	v->data = image_at(r->img, data, (size_t)v->len * kind);
	return v->data != NULL;
}

static char *utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xC0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*p++ = (char)(0xE0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	} else {
		*p++ = (char)(0xF0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3F));
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	}
	return p;
}

static uint32_t char_at(const struct str_view *v, int64_t i)
{
	uint32_t c = 0;
	memcpy(&c, v->data + i * v->kind, (size_t)v->kind);
	return c <= 0x10FFFF ? c : 0xFFFD;
}

static const char *str_decode(struct reader *r, const struct str_view *v, bool cut)
{
	if (v->ascii && !cut && !memchr(v->data, '\0', (size_t)v->len))
		return arena_strn(r->arena, (const char *)v->data, (size_t)v->len);
	size_t size = 1;
	for (int64_t i = 0; i < v->len; i++) {
		uint32_t c = char_at(v, i);
		size += c == 0 ? 2 : c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	}
	char *s = arena_alloc(r->arena, size + 3), *p = s;
	if (!s)
		return NULL;
	/* NUL becomes U+0000's overlong form (two bytes), so that C strings hold it. */
	for (int64_t i = 0; i < v->len; i++) {
		uint32_t c = char_at(v, i);
		if (c == 0) {
			*p++ = (char)0xC0;
			*p++ = (char)0x80;
		} else {
			p = utf8_put(p, c);
		}
	}
	if (cut)
		p = utf8_put(p, 0x2026);
	*p = '\0';
	return s;
}

/* A text so long is kept: should thousands of tasks share a name after all, it is decoded
 * once. */
#define KEEP_FROM 256
/* What is left of one for which there is no room. */
#define CUT_TO 64

const char *str_once(struct reader *r, uint64_t obj)
{
	struct str_view v;
	int64_t len = 0;
	uint64_t known;
	if (!obj || !str_view(r, obj, &v, TEXT_MAX))
		return NULL;
	bool keep = v.len >= KEEP_FROM;
	if (keep && map_get(&r->strings, obj, &known))
		return (const char *)(uintptr_t)known;
	image_i64(r->img, obj + (uint64_t)r->l->unicode_length, &len);
	if (len > TEXT_MAX || !reader_spend(r, keep ? (uint64_t)v.len : 0)) {
		r->cut += len > TEXT_MAX;
		v.len = v.len < CUT_TO ? v.len : CUT_TO;
	}
	const char *s = str_decode(r, &v, len > v.len);
	if (keep && s)
		map_set(&r->strings, obj, (uint64_t)(uintptr_t)s);
	return s;
}

const char *str_at(struct reader *r, uint64_t obj)
{
	uint64_t known;
	if (map_get(&r->strings, obj, &known))
		return (const char *)(uintptr_t)known;
	const char *s = str_once(r, obj);
	if (s)
		map_set(&r->strings, obj, (uint64_t)(uintptr_t)s);
	return s;
}

bool str_is(struct reader *r, uint64_t obj, const char *text)
{
	struct str_view v;
	size_t n = strlen(text);
	int64_t len;
	/* Most are told apart by their length. */
	if (object_kind(r, obj) != KIND_STR || !image_i64(r->img, obj + (uint64_t)r->l->unicode_length, &len) ||
	    (uint64_t)len != n)
		return false;
	return str_view(r, obj, &v, TEXT_MAX) && v.kind == 1 && (size_t)v.len == n && memcmp(v.data, text, n) == 0;
}

const uint8_t *bytes_at(struct reader *r, uint64_t obj, size_t *len)
{
	int64_t n;
	if (object_kind(r, obj) != KIND_BYTES ||
	    !image_i64(r->img, obj + (uint64_t)r->l->var_size, &n) || n < 0 || n > 1 << 28)
		return NULL;
	*len = (size_t)n;
	return image_at(r->img, obj + (uint64_t)r->l->bytes_data, (size_t)n);
}

bool int_at(struct reader *r, uint64_t obj, int64_t *v)
{
	const struct py_layout *l = r->l;
	enum type_kind kind = object_kind(r, obj);
	if (kind != KIND_INT && kind != KIND_BOOL)
		return false;
	int64_t digits;
	bool negative;
	if (l->long_tag >= 0) {
		/* lv_tag: digit count << 3 | sign (0 positive, 1 zero, 2 negative). */
		uint64_t tag = field_at(r, obj, l->long_tag);
		digits = (int64_t)(tag >> 3);
		negative = (tag & 3) == 2;
	} else {
		digits = (int64_t)field_at(r, obj, l->var_size);
		negative = digits < 0;
		digits = negative ? -digits : digits;
	}
	if (digits < 0 || digits > 3)
		return false;
	unsigned __int128 sum = 0;
	for (int64_t i = digits - 1; i >= 0; i--) {
		uint32_t d;
		if (!image_u32(r->img, obj + (uint64_t)l->long_digits + 4 * (uint64_t)i, &d) || d >> 30)
			return false;
		sum = sum << 30 | d;
	}
	if (sum > INT64_MAX)
		return false;
	*v = negative ? -(int64_t)sum : (int64_t)sum;
	return true;
}

bool float_at(struct reader *r, uint64_t obj, double *v)
{
	return object_kind(r, obj) == KIND_FLOAT && r->l->float_value >= 0 &&
	       image_read(r->img, obj + (uint64_t)r->l->float_value, v, sizeof *v);
}

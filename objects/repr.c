/* Texts of plain values, as Objects/unicodeobject.c, bytesobject.c, longobject.c,
 * floatobject.c and the containers' own files write them. */
#include "objects/repr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Digits of 30 bits that are turned into decimal: some 570 decimal ones. */
#define INT_DIGITS_MAX 64
#define MORE "\xe2\x80\xa6"

static bool full(const struct repr *p)
{
	return p->b.failed || p->b.len > REPR_MAX;
}

/* Characters that Python escapes though they are not ASCII: those that str.isprintable() is
 * false for, as far as whole ranges go. */
static bool unprintable(uint32_t c)
{
	static const struct { uint32_t from, to; } ranges[] = {
		{ 0, 0x1F }, { 0x7F, 0xA0 }, { 0xAD, 0xAD }, { 0x600, 0x605 }, { 0x61C, 0x61C }, { 0x6DD, 0x6DD },
		{ 0x70F, 0x70F }, { 0x1680, 0x1680 }, { 0x180E, 0x180E }, { 0x2000, 0x200F }, { 0x2028, 0x202F },
		{ 0x205F, 0x206F }, { 0x3000, 0x3000 }, { 0xD800, 0xF8FF }, { 0xFEFF, 0xFEFF }, { 0xFFF0, 0xFFFB },
		{ 0xFFFE, 0xFFFF }, { 0xE0000, 0x10FFFF },
	};
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	return false;
}

static uint32_t next_char(const unsigned char **s)
{
	uint32_t c = *(*s)++;
	int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
	c &= more == 3 ? 7u : more == 2 ? 15u : more == 1 ? 31u : 127u;
	for (; more > 0 && (**s & 0xC0) == 0x80; more--)
		c = c << 6 | (*(*s)++ & 63u);
	return c;
}

/* One character as repr() writes it between such quotes; s..end are its bytes. */
static void put_char(struct strbuf *b, uint32_t c, char quote, const unsigned char *s, const unsigned char *end)
{
	if (c == (uint32_t)quote || c == '\\')
		strbuf_fmt(b, "\\%c", (int)c);
	else if (c == '\t' || c == '\n' || c == '\r')
		strbuf_str(b, c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
	else if (!unprintable(c))
		strbuf_add(b, (const char *)s, (size_t)(end - s));
	else
		strbuf_fmt(b, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

static void put_str(struct repr *p, uint64_t obj)
{
	const char *text = str_once(p->r, obj);
	if (!text) {
		strbuf_str(&p->b, "<str object>");
		return;
	}
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
	strbuf_char(&p->b, quote);
	for (const unsigned char *s = (const unsigned char *)text; *s && !full(p);) {
		const unsigned char *from = s;
		uint32_t c = next_char(&s);
		put_char(&p->b, c, quote, from, s);
	}
	strbuf_char(&p->b, quote);
}

static void put_bytes(struct repr *p, uint64_t obj)
{
	size_t n;
	const uint8_t *s = bytes_at(p->r, obj, &n);
	if (!s) {
		strbuf_str(&p->b, "<bytes object>");
		return;
	}
	char quote = n && memchr(s, '\'', n) && !memchr(s, '"', n) ? '"' : '\'';
	strbuf_fmt(&p->b, "b%c", quote);
	for (size_t i = 0; i < n && !full(p); i++) {
		if (s[i] >= 0x80)
			strbuf_fmt(&p->b, "\\x%02x", s[i]);
		else
			put_char(&p->b, s[i], quote, s + i, s + i + 1);
	}
	strbuf_char(&p->b, quote);
}

/* Digits of 30 bits, the lowest first; false when they cannot be read. */
static bool int_digits(struct reader *r, uint64_t obj, uint32_t *digits, int64_t *n, bool *negative)
{
	const struct py_layout *l = r->l;
	if (l->long_tag >= 0) {
		uint64_t tag = field_at(r, obj, l->long_tag);
		*n = (int64_t)(tag >> 3);
		*negative = (tag & 3) == 2;
	} else {
		*n = (int64_t)field_at(r, obj, l->var_size);
		*negative = *n < 0;
		*n = *n < 0 && *n != INT64_MIN ? -*n : *n;
	}
	if (*n < 1 || *n > INT_DIGITS_MAX)
		return false;
	for (int64_t i = 0; i < *n; i++)
		if (!image_u32(r->img, obj + (uint64_t)l->long_digits + 4 * (uint64_t)i, &digits[i]) || digits[i] >> 30)
			return false;
	return true;
}

static void put_int(struct repr *p, uint64_t obj)
{
	enum { BILLION = 1000000000 };
	uint32_t digits[INT_DIGITS_MAX], parts[INT_DIGITS_MAX + 1];
	int64_t v, n;
	size_t nparts = 0;
	bool negative;
	if (int_at(p->r, obj, &v)) {
		strbuf_int(&p->b, v);
		return;
	}
	if (!int_digits(p->r, obj, digits, &n, &negative)) {
		strbuf_str(&p->b, "<int object>");
		return;
	}
	while (n > 0 && nparts <= INT_DIGITS_MAX) {
		uint64_t rest = 0;
		for (int64_t i = n; i-- > 0;) {
			rest = rest << 30 | digits[i];
			digits[i] = (uint32_t)(rest / BILLION);
			rest %= BILLION;
		}
		parts[nparts++] = (uint32_t)rest;
		while (n > 0 && !digits[n - 1])
			n--;
	}
	strbuf_fmt(&p->b, negative ? "-%u" : "%u", parts[nparts - 1]);
	while (--nparts > 0)
		strbuf_fmt(&p->b, "%09u", parts[nparts - 1]);
}

/* The shortest text that reads back as the same number; an exponent from 1e16 on and
 * below 1e-4. */
static void put_float(struct repr *p, uint64_t obj)
{
	double v;
	char e[40], plain[64];
	if (!float_at(p->r, obj, &v)) {
		strbuf_str(&p->b, "<float object>");
		return;
	}
	if (!isfinite(v)) {
		strbuf_str(&p->b, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
		return;
	}
	int digits = 1;
	do
		snprintf(e, sizeof e, "%.*e", digits - 1, v);
	while (strtod(e, NULL) != v && ++digits <= 17);
	int exponent = atoi(strchr(e, 'e') + 1);
	if (exponent < -4 || exponent >= 16) {
		strbuf_str(&p->b, e);
		return;
	}
	int after = digits - 1 - exponent;
	snprintf(plain, sizeof plain, "%.*f", after > 0 ? after : 0, v);
	strbuf_str(&p->b, plain);
	if (after <= 0)
		strbuf_str(&p->b, ".0");
}

static bool open_container(struct repr *p, uint64_t obj, const char *again)
{
	for (int i = 0; i < p->depth; i++)
		if (p->open[i] == obj) {
			strbuf_str(&p->b, again);
			return false;
		}
	if (p->depth == REPR_DEPTH) {
		strbuf_str(&p->b, MORE);
		return false;
	}
	p->open[p->depth++] = obj;
	return true;
}

static bool comma(struct repr *p, bool *first)
{
	if (!*first)
		strbuf_str(&p->b, ", ");
	*first = false;
	if (full(p)) {
		strbuf_str(&p->b, MORE);
		return false;
	}
	return true;
}

static void put_sequence(struct repr *p, uint64_t obj, bool tuple)
{
	int64_t n = seq_len(p->r, obj);
	bool first = true;
	if (!open_container(p, obj, tuple ? "(...)" : "[...]"))
		return;
	strbuf_char(&p->b, tuple ? '(' : '[');
	for (int64_t i = 0; i < n && comma(p, &first); i++)
		repr_value(p, seq_item(p->r, obj, i));
	if (tuple && n == 1)
		strbuf_char(&p->b, ',');
	strbuf_char(&p->b, tuple ? ')' : ']');
	p->depth--;
}

static void put_dict(struct repr *p, uint64_t obj)
{
	struct dict_iter it;
	uint64_t key, value;
	bool first = true;
	if (!open_container(p, obj, "{...}"))
		return;
	strbuf_char(&p->b, '{');
	if (dict_begin(p->r, obj, &it))
		while (dict_next(p->r, &it, &key, &value) && comma(p, &first)) {
			repr_value(p, key);
			strbuf_str(&p->b, ": ");
			repr_value(p, value);
		}
	strbuf_char(&p->b, '}');
	p->depth--;
}

static void put_set(struct repr *p, uint64_t obj)
{
	struct set_iter it;
	uint64_t key;
	bool first = true, frozen = object_type(p->r, obj)->addr == p->r->py->frozenset_type;
	if (!open_container(p, obj, frozen ? "frozenset(...)" : "set(...)"))
		return;
	bool some = set_begin(p->r, obj, &it) && it.used > 0;
	strbuf_str(&p->b, frozen ? (some ? "frozenset({" : "frozenset(") : some ? "{" : "set(");
	while (some && set_next(p->r, &it, &key) && comma(p, &first))
		repr_value(p, key);
	strbuf_str(&p->b, frozen ? (some ? "})" : ")") : some ? "}" : ")");
	p->depth--;
}

static void put_type(struct repr *p, uint64_t obj)
{
	const struct type_info *t = type_at(p->r, obj);
	if (t)
		strbuf_fmt(&p->b, "<class '%s'>", type_full_name(p->r, t));
	else
		strbuf_str(&p->b, "<class>");
}

const char *written_by(struct reader *r, uint64_t obj, int slot)
{
	enum { BASES_MAX = 32, FLAG_HEAPTYPE = 1 << 9 };
	const struct type_info *t = object_type(r, obj), *owner = t;
	if (!t)
		return "";
	uint64_t function = field_at(r, t->addr, r->l->type_name + slot);
	for (int depth = 0; t && depth < BASES_MAX; t = type_at(r, t->base), depth++) {
		if (field_at(r, t->addr, r->l->type_name + slot) != function)
			break;
		owner = t;
	}
	return function && !(owner->flags & FLAG_HEAPTYPE) ? owner->name : "";
}

static void put_tuple(struct repr *p, uint64_t obj) { put_sequence(p, obj, true); }
static void put_list(struct repr *p, uint64_t obj) { put_sequence(p, obj, false); }
static void put_none(struct repr *p, uint64_t obj) { (void)obj, strbuf_str(&p->b, "None"); }

static void put_bool(struct repr *p, uint64_t obj)
{
	int64_t v;
	strbuf_str(&p->b, int_at(p->r, obj, &v) ? (v ? "True" : "False") : "<bool object>");
}

static bool put_exception(struct repr *p, uint64_t obj)
{
	size_t before = p->b.len;
	if (!is_exception(p->r, obj) || !open_container(p, obj, MORE))
		return p->b.len > before;
	bool known = repr_exception(p, obj);
	p->depth--;
	return known;
}

void repr_name(struct repr *p, uint64_t obj)
{
	const struct type_info *t = object_type(p->r, obj);
	strbuf_fmt(&p->b, "<%s object>", t ? type_short_name(p->r, t) : "unknown");
}

void repr_value(struct repr *p, uint64_t obj)
{
	static const struct {
		const char *class;
		void (*put)(struct repr *, uint64_t);
	} known[] = {
		{ "NoneType", put_none }, { "bool", put_bool }, { "int", put_int }, { "float", put_float },
		{ "str", put_str }, { "bytes", put_bytes }, { "list", put_list }, { "tuple", put_tuple },
		{ "dict", put_dict }, { "set", put_set }, { "frozenset", put_set }, { "type", put_type },
	};
	const struct type_info *t = object_type(p->r, obj);
	const char *by = written_by(p->r, obj, TP_REPR);
	if (full(p))
		return;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		/* The repr() of a set names its class. */
		if (strcmp(by, known[i].class) != 0 || (known[i].put == put_set && strcmp(t->name, by) != 0))
			continue;
		known[i].put(p, obj);
		return;
	}
	if (!put_exception(p, obj))
		repr_name(p, obj);
}

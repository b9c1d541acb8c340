#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void value(struct json *j)
{
	if (j->comma)
		strbuf_char(&j->out->b, ',');
	j->comma = true;
	out_tick(j->out);
}

static void raw(struct json *j, const char *text)
{
	value(j);
	strbuf_str(&j->out->b, text);
}

static void open_with(struct json *j, char c)
{
	value(j);
	strbuf_char(&j->out->b, c);
	j->comma = false;
}

static void close_with(struct json *j, char c)
{
	strbuf_char(&j->out->b, c);
	j->comma = true;
}

void json_object(struct json *j) { open_with(j, '{'); }
void json_object_end(struct json *j) { close_with(j, '}'); }
void json_array(struct json *j) { open_with(j, '['); }
void json_array_end(struct json *j) { close_with(j, ']'); }
void json_null(struct json *j) { raw(j, "null"); }
void json_bool(struct json *j, bool v) { raw(j, v ? "true" : "false"); }

void json_key(struct json *j, const char *key)
{
	struct strbuf *b = &j->out->b;
	value(j);
	strbuf_char(b, '"');
	strbuf_str(b, key);
	strbuf_add(b, "\":", 2);
	j->comma = false;
}

/* Bytes that stand for themselves in a string. */
static const bool plain[256] = {
	[0x20] = 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0,
};

static unsigned decode(const unsigned char *p, uint32_t *cp)
{
	unsigned n = (p[0] & 0xE0) == 0xC0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : (p[0] & 0xF8) == 0xF0 ? 4 : 0;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (!n)
		return 0;
	*cp = p[0] & (0x7Fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3F);
	}
	/* C0 80 is how a NUL within text comes. */
	if (n == 2 && *cp == 0)
		return n;
	return *cp < least[n] || *cp > 0x10FFFF ? 0 : n;
}

static bool must_escape(uint32_t cp)
{
	return cp == 0 || (cp >= 0x80 && cp <= 0x9F) || (cp >= 0xD800 && cp <= 0xDFFF) || cp == 0x061C ||
	       (cp >= 0x200E && cp <= 0x200F) || (cp >= 0x2028 && cp <= 0x202E) ||
	       (cp >= 0x2066 && cp <= 0x2069) || cp == 0xFEFF;
}

static size_t special(struct strbuf *b, const unsigned char *p)
{
	static const char short_for[] = "\b\t\n\f\r\"\\", shorts[] = "btnfr\"\\";
	const char *at = strchr(short_for, *p);
	uint32_t cp = 0;
	if (at) {
		strbuf_char(b, '\\');
		strbuf_char(b, shorts[at - short_for]);
		return 1;
	}
	if (*p < 0x80) {
		strbuf_fmt(b, "\\u%04x", *p);
		return 1;
	}
	unsigned n = decode(p, &cp);
	if (!n)
		strbuf_str(b, "\\ufffd");
	else if (must_escape(cp))
		strbuf_fmt(b, "\\u%04x", cp);
	else
		strbuf_add(b, (const char *)p, n);
	return n ? n : 1;
}

void json_str(struct json *j, const char *s)
{
	struct strbuf *b = &j->out->b;
	if (!s) {
		json_null(j);
		return;
	}
	value(j);
	strbuf_char(b, '"');
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		const unsigned char *run = p;
		while (plain[*p])
			p++;
		if (p > run)
			strbuf_add(b, (const char *)run, (size_t)(p - run));
		if (*p)
			p += special(b, p);
	}
	strbuf_char(b, '"');
}

void json_int(struct json *j, int64_t v)
{
	value(j);
	strbuf_int(&j->out->b, v);
}

void json_positive(struct json *j, int64_t v)
{
	if (v > 0)
		json_int(j, v);
	else
		json_null(j);
}

void json_double(struct json *j, double v)
{
	char text[40];
	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	snprintf(text, sizeof text, "%.9g", v);
	raw(j, text);
}

void json_id(struct json *j, uint64_t id)
{
	if (!id) {
		json_null(j);
		return;
	}
	value(j);
	strbuf_char(&j->out->b, '"');
	strbuf_hex(&j->out->b, id);
	strbuf_char(&j->out->b, '"');
}

void json_instant(struct json *j, double at)
{
	struct tm tm;
	char text[48];
	/* Beyond the year 9999 RFC 3339 has no form. */
	if (!(at >= 0 && at < 253402300800.0)) {
		json_null(j);
		return;
	}
	int64_t us = (int64_t)(at * 1e6 + 0.5);
	time_t t = (time_t)(us / 1000000);
	gmtime_r(&t, &tm);
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%06dZ", (int)(us % 1000000));
	json_str(j, text);
}

void json_end(struct json *j)
{
	strbuf_char(&j->out->b, '\n');
	j->comma = false;
}

#include "base/strbuf.h"

#include "base/vec.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

bool strbuf_room(struct strbuf *b, size_t more)
{
	if (b->failed)
		return false;
	if (b->cap - b->len > more)
		return true;
	size_t cap = b->cap;
	char *s = more < SIZE_MAX ? vec_grown(b->s, b->len, more + 1, &cap, 1) : NULL;
	if (!s) {
		b->failed = true;
		return false;
	}
	unpoison(s + b->len, cap - b->len);
	b->s = s;
	b->cap = cap;
	return true;
}

void strbuf_fmt(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0 && strbuf_room(b, (size_t)n)) {
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void strbuf_clear(struct strbuf *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

void strbuf_free(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){ 0 };
}

static bool harmful(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || cp == 0x061C ||
	       (cp >= 0x200E && cp <= 0x200F) || (cp >= 0x2028 && cp <= 0x202E) ||
	       (cp >= 0x2060 && cp <= 0x2069) || cp == 0xFEFF || cp == 0x200B ||
	       (cp >= 0xFFF9 && cp <= 0xFFFB) || (cp >= 0xE0000 && cp <= 0xE007F);
}

/* One character at p, made harmless; its length in bytes. */
static unsigned escape_one(struct strbuf *b, const unsigned char *p)
{
	uint32_t cp = 0;
	unsigned n = utf8_decode((const char *)p, &cp);
	if (n == 0)
		strbuf_fmt(b, "\\x%02x", *p);
	else if (harmful(cp))
		strbuf_fmt(b, cp < 0x100 ? "\\x%02x" : "\\u{%04x}", cp);
	else
		strbuf_add(b, (const char *)p, n);
	return n ? n : 1;
}

/* Nearly all text is plain ASCII: runs of it are copied whole. */
void strbuf_escaped(struct strbuf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	for (;;) {
		const unsigned char *run = p;
		while (*p >= 0x20 && *p < 0x7F)
			p++;
		if (p > run)
			strbuf_add(b, (const char *)run, (size_t)(p - run));
		if (!*p)
			return;
		p += escape_one(b, p);
	}
}

void strbuf_field(struct strbuf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	for (;;) {
		const unsigned char *run = p;
		while (*p > 0x20 && *p < 0x7F && *p != '\\')
			p++;
		if (p > run)
			strbuf_add(b, (const char *)run, (size_t)(p - run));
		if (!*p)
			return;
		if (*p == ' ' || *p == '\\') {
			strbuf_str(b, *p == ' ' ? "\\x20" : "\\x5c");
			p++;
		} else {
			p += escape_one(b, p);
		}
	}
}

static void digits(struct strbuf *b, uint64_t v, unsigned base)
{
	char text[24];
	size_t i = sizeof text;
	do
		text[--i] = "0123456789abcdef"[v % base];
	while (v /= base);
	strbuf_add(b, text + i, sizeof text - i);
}

void strbuf_int(struct strbuf *b, int64_t v)
{
	if (v < 0)
		strbuf_char(b, '-');
	digits(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10);
}

void strbuf_hex(struct strbuf *b, uint64_t v)
{
	strbuf_add(b, "0x", 2);
	digits(b, v, 16);
}

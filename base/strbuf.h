/* A string that grows. Always NUL-terminated once anything was added.
 * A failed allocation sets `failed`; later additions do nothing. */
#ifndef ASYNCMON_BASE_STRBUF_H
#define ASYNCMON_BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strbuf {
	char *s;
	size_t len, cap;
	bool failed;
};

/* Room for n more bytes and a NUL; false when memory is out. */
bool strbuf_room(struct strbuf *b, size_t n);

static inline void strbuf_add(struct strbuf *b, const char *bytes, size_t n)
{
	if ((b->failed || b->cap - b->len <= n) && !strbuf_room(b, n))
		return;
	if (n)
		memcpy(b->s + b->len, bytes, n);
	b->len += n;
	b->s[b->len] = '\0';
}

static inline void strbuf_str(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

static inline void strbuf_char(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_fmt(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_clear(struct strbuf *b); /* empties, keeps the memory */
void strbuf_free(struct strbuf *b);
/* Text of the target made fit for a terminal: invalid UTF-8 and control
 * characters (C0, DEL, C1, bidirectional overrides, what nobody sees) become \xNN or \u{NNNN}; C0 80 is a NUL. */
void strbuf_escaped(struct strbuf *b, const char *s);
/* The same as one field of a line of fields: blanks and backslashes too. */
void strbuf_field(struct strbuf *b, const char *s);
void strbuf_int(struct strbuf *b, int64_t v);
void strbuf_hex(struct strbuf *b, uint64_t v); /* 0x7f… */

#endif

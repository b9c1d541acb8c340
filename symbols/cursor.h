/* Reads numbers and strings off bytes that are not trusted, in the encodings of DWARF
 * (DWARF 5, 7.6 and 7.5.5). Past the end everything is 0 and `bad` stays set: asked once,
 * at the end of what was read. */
#ifndef ASYNCMON_SYMBOLS_CURSOR_H
#define ASYNCMON_SYMBOLS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline void cursor_fail(struct cursor *c)
{
	c->p = c->end;
	c->bad = true;
}

static inline void cursor_skip(struct cursor *c, uint64_t n)
{
	if (n > cursor_left(c))
		cursor_fail(c);
	else
		c->p += n;
}

/* A little-endian number of 1 to 8 bytes. */
static inline uint64_t cursor_fixed(struct cursor *c, size_t size)
{
	uint64_t v = 0;
	if (size > cursor_left(c)) {
		cursor_fail(c);
		return 0;
	}
	memcpy(&v, c->p, size);
	c->p += size;
	return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	if (c->p == c->end) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

static inline uint64_t cursor_uleb(struct cursor *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t b = cursor_u8(c);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
}

static inline int64_t cursor_sleb(struct cursor *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t b = cursor_u8(c);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		if (b & 0x40 && shift + 7 < 64)
			v |= ~0ull << (shift + 7);
		return (int64_t)v;
	}
}

/* The string that begins here, or NULL when it does not end. */
static inline const char *cursor_string(struct cursor *c)
{
	const uint8_t *nul = memchr(c->p, 0, cursor_left(c));
	const char *s = (const char *)c->p;
	if (!nul) {
		cursor_fail(c);
		return NULL;
	}
	c->p = nul + 1;
	return s;
}

#endif

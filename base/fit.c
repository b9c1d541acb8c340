#include "base/fit.h"

#include <string.h>

#include "base/utf8.h"

static size_t part(size_t width, double share, double shares)
{
	/* A hair more, so that what comes out whole is not rounded down. */
	return (size_t)((double)width * share / shares + 1e-6);
}

void fit_columns(struct fit *f, size_t n, size_t width)
{
	size_t left = width > n ? width - (n - 1) : 0, open = 0;
	for (size_t i = 0; i < n; i++) {
		f[i].get = f[i].share > 0 ? 0 : f[i].need;
		open += f[i].share > 0;
		left = left > f[i].get ? left - f[i].get : 0;
	}
	/* Those that need less than their share get what they need; the others share the
	 * rest, again and again until it is settled. */
	while (open) {
		double shares = 0;
		bool settled = true;
		for (size_t i = 0; i < n; i++)
			shares += f[i].get == 0 ? f[i].share : 0;
		size_t before = left;
		for (size_t i = 0; i < n; i++) {
			size_t fair = part(before, f[i].share, shares);
			if (f[i].share <= 0 || f[i].get || f[i].need > fair)
				continue;
			f[i].get = f[i].need ? f[i].need : 1;
			left = left > f[i].get ? left - f[i].get : 0;
			settled = false;
			open--;
		}
		if (!settled)
			continue;
		for (size_t i = 0; i < n; i++) {
			size_t fair = part(left, f[i].share, shares);
			if (f[i].share > 0 && !f[i].get)
				f[i].get = fair > f[i].least ? fair : f[i].least;
		}
		return;
	}
}

#define MARK "…"

/* The longest end of text that is at most `width` wide. */
static const char *tail(const char *text, size_t width)
{
	size_t w = utf8_width(text);
	while (w > width)
		w -= utf8_step(&text);
	return text;
}

/* How many bytes of text are at most `width` wide. */
static size_t head(const char *text, size_t width)
{
	const char *p = text, *next = text;
	for (size_t w = 0; *p; p = next) {
		w += utf8_step(&next);
		if (w > width)
			break;
	}
	return (size_t)(p - text);
}

/* Whether a part starts at p: of a path, or of the dotted name before it. The dot of a
 * file's suffix starts none. */
static bool starts_part(const char *text, const char *p)
{
	if (p == text || !strchr(" /.", p[-1]) || *p == ' ')
		return false;
	return p[-1] != '.' || strpbrk(p, " /") || !strpbrk(text, " /");
}

/* The end of text, from the start of a part on where that leaves at least half of what
 * there is room for. */
static const char *last_parts(const char *text, size_t width)
{
	const char *end = tail(text, width), *p = end;
	while (*p && !starts_part(text, p))
		p++;
	return 2 * utf8_width(p) >= width ? p : end;
}

void fit_cut(struct strbuf *b, const char *text, size_t width, enum fit_end end)
{
	if (utf8_width(text) <= width) {
		strbuf_str(b, text);
		return;
	}
	if (width == 0)
		return;
	size_t room = width - 1;
	if (end == FIT_KEEP_END) {
		strbuf_str(b, MARK);
		strbuf_str(b, last_parts(text, room));
		return;
	}
	strbuf_add(b, text, head(text, end == FIT_KEEP_BOTH ? room - room / 2 : room));
	strbuf_str(b, MARK);
	if (end == FIT_KEEP_BOTH)
		strbuf_str(b, tail(text, room / 2));
}

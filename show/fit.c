#include "show/fit.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* Columns of the character at *s, which is moved behind it. What the locale cannot
 * read counts a column for each byte. */
static size_t step(const char **s, mbstate_t *state)
{
	wchar_t c = 0;
	if ((unsigned char)**s < 0x80) {
		(*s)++;
		return 1;
	}
	size_t n = mbrtowc(&c, *s, strnlen(*s, MB_LEN_MAX), state);
	if (n == 0 || n > 16) {
		memset(state, 0, sizeof *state);
		(*s)++;
		return 1;
	}
	*s += n;
	int w = wcwidth(c);
	return w < 0 ? 1 : (size_t)w;
}

size_t fit_width(const char *text)
{
	mbstate_t state = { 0 };
	size_t w = 0;
	while (*text)
		w += step(&text, &state);
	return w;
}

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

void fit_cut(struct strbuf *b, const char *text, size_t width, bool from_end, bool utf8)
{
	mbstate_t state = { 0 };
	const char *p = text, *mark = utf8 ? "…" : "~";
	size_t all = fit_width(text), w = 0;
	if (all <= width) {
		strbuf_str(b, text);
		return;
	}
	if (width == 0)
		return;
	if (from_end) {
		while (*p && all - w > width - 1)
			w += step(&p, &state);
		strbuf_str(b, mark);
		strbuf_str(b, p);
		return;
	}
	while (*p) {
		const char *next = p;
		size_t more = step(&next, &state);
		if (w + more > width - 1)
			break;
		w += more;
		p = next;
	}
	strbuf_add(b, text, (size_t)(p - text));
	strbuf_str(b, mark);
}

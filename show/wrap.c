#include "show/wrap.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* A hanging indent leaves at least so many columns. */
#define LEAST 16

/* The line as it is written anew. */
struct wrapping {
	struct strbuf *b;
	size_t width, column;
	const char *hang;
	const char *sgr;   /* the colour that is on, in the old line; NULL: none */
	size_t nsgr;
};

/* The length of the colour sequence at p, or 0. */
static size_t sequence(const char *p)
{
	if (p[0] != '\033' || p[1] != '[')
		return 0;
	size_t n = 2 + strspn(p + 2, "0123456789;");
	return p[n] == 'm' ? n + 1 : 0;
}

/* Bytes and columns of the word at p, with the colours in it. */
static size_t word(const char *p, size_t *columns)
{
	const char *start = p;
	*columns = 0;
	while (*p && *p != ' ') {
		size_t n = sequence(p);
		if (n)
			p += n;
		else
			*columns += utf8_step(&p);
	}
	return (size_t)(p - start);
}

static void add_word(struct wrapping *w, const char *p, size_t n)
{
	strbuf_add(w->b, p, n);
	for (size_t i = 0, len; i < n; i += len ? len : 1) {
		len = sequence(p + i);
		if (!len)
			continue;
		w->sgr = len > 3 ? p + i : NULL;
		w->nsgr = len;
	}
}

static void start_line(struct wrapping *w)
{
	if (w->sgr)
		strbuf_str(w->b, "\033[m");
	strbuf_char(w->b, '\n');
	strbuf_str(w->b, w->hang);
	if (w->sgr)
		strbuf_add(w->b, w->sgr, w->nsgr);
	w->column = utf8_width(w->hang);
}

static void rewrite(struct wrapping *w, const char *line)
{
	size_t hang = utf8_width(w->hang);
	bool first = true;
	for (const char *p = line; *p;) {
		size_t blanks = strspn(p, " "), columns, n = word(p + blanks, &columns);
		if (!first && n && w->column + blanks + columns > w->width && hang + columns <= w->width) {
			start_line(w);
		} else if (n) {
			strbuf_add(w->b, p, blanks);
			w->column += blanks;
		}
		add_word(w, p + blanks, n);
		w->column += columns;
		/* Where a word is too wide for any line, the terminal breaks it. */
		if (w->column > w->width)
			w->column %= w->width;
		first = first && !columns;
		p += blanks + n;
	}
}

static size_t line_width(const char *p)
{
	size_t all = 0, columns;
	while (*p) {
		size_t blanks = strspn(p, " ");
		p += blanks;
		p += word(p, &columns);
		all += blanks + columns;
	}
	return all;
}

void wrap_line(struct strbuf *b, size_t from, size_t width, const char *hang)
{
	if (!width || b->failed || b->len <= from || line_width(b->s + from) <= width)
		return;
	char *line = strdup(b->s + from);
	struct wrapping w = { .b = b, .width = width, .hang = utf8_width(hang) + LEAST > width ? "" : hang };
	if (!line) {
		b->failed = true;
		return;
	}
	b->len = from;
	b->s[from] = '\0';
	rewrite(&w, line);
	free(line);
}

void wrap_indented(struct strbuf *b, size_t from, size_t width, size_t hang)
{
	static const char blanks[] = "                                                                ";
	size_t most = sizeof blanks - 1;
	wrap_line(b, from, width, blanks + (hang < most ? most - hang : 0));
}

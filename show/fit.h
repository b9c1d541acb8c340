/* Making the cells of a table fit the width of a terminal. */
#ifndef ASYNCMON_SHOW_FIT_H
#define ASYNCMON_SHOW_FIT_H

#include <stddef.h>

#include "base/strbuf.h"

/* What a column needs and what it can do with. */
struct fit {
	size_t need;    /* columns of the widest cell, or of the heading */
	size_t least;   /* may not get less */
	double share;   /* of what there is for those that can be cut; 0: cannot be cut */
	size_t get;     /* the answer */
};

/* Shares `width` columns of a terminal out, one blank between two of them. */
void fit_columns(struct fit *f, size_t n, size_t width);
/* Columns that text takes on a terminal. */
size_t fit_width(const char *text);
/* Appends text cut to width; from_end: its end is kept. What was cut off leaves a
 * mark of one column: "…", or "~" where the locale is not UTF-8. */
void fit_cut(struct strbuf *b, const char *text, size_t width, bool from_end, bool utf8);

#endif

/* Making the cells of a table fit the width of a terminal. */
#ifndef ASYNCMON_BASE_FIT_H
#define ASYNCMON_BASE_FIT_H

#include <stddef.h>

#include "base/strbuf.h"

/* How a cell that is too wide is cut. */
enum fit_end {
	FIT_KEEP_START,   /* "stream-read: 127.0…" */
	FIT_KEEP_END,     /* at a part of a path or of a dotted name: "…service.py:45" */
	FIT_KEEP_BOTH     /* "refr…prices" */
};

struct fit_manner {
	double share;     /* of what there is for those that can be cut; 0: cannot be cut */
	enum fit_end end;
};

#define FIT_WHOLE { 0, FIT_KEEP_START }
#define FIT_END(share) { share, FIT_KEEP_START }
#define FIT_START(share) { share, FIT_KEEP_END }
#define FIT_MIDDLE(share) { share, FIT_KEEP_BOTH }

/* What a column needs and what it can do with. */
struct fit {
	size_t need;    /* columns of the widest cell, or of the heading */
	size_t least;   /* may not get less */
	double share;   /* as fit_manner.share */
	size_t get;     /* the answer */
};

/* Shares `width` columns of a terminal out, one blank between two of them. */
void fit_columns(struct fit *f, size_t n, size_t width);
/* Appends text cut to width. What was cut off leaves a "…", which is one column wide. */
void fit_cut(struct strbuf *b, const char *text, size_t width, enum fit_end end);

#endif

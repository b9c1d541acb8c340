/* Lines too long for a terminal, broken between words. */
#ifndef ASYNCMON_CMD_WRAP_H
#define ASYNCMON_CMD_WRAP_H

#include <stddef.h>

#include "base/strbuf.h"

/* Breaks the line that starts at b->s[from] and goes to the end of b so that it fits
 * `width` columns; each further line starts with `hang`. A word that is wider than that
 * stays whole. Colours (ESC [ … m) have no width and go on behind a break. A width of 0
 * breaks nothing. */
void wrap_line(struct strbuf *b, size_t from, size_t width, const char *hang);
/* The same, with that many blanks. */
void wrap_indented(struct strbuf *b, size_t from, size_t width, size_t hang);

#endif

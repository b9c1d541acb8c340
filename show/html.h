/* Text in HTML. Everything that comes from a target goes through one of these. */
#ifndef ASYNCMON_SHOW_HTML_H
#define ASYNCMON_SHOW_HTML_H

#include "base/strbuf.h"

/* Text in an element or in an attribute between double quotes: control characters as on a
 * terminal (strbuf_escaped), then the characters that mean something in HTML. NULL: "?". */
void html_text(struct strbuf *b, const char *s);
/* The same of text that is fit for a terminal, with its line ends. */
void html_lines(struct strbuf *b, const char *s);
/* A part of a path, or of a query, of a URL in an attribute. */
void html_url(struct strbuf *b, const char *s);

#endif

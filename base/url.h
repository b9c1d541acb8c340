/* Percent-encoding, as in URLs and forms. */
#ifndef ASYNCMON_BASE_URL_H
#define ASYNCMON_BASE_URL_H

#include "base/strbuf.h"

/* Appends text with all but letters, digits, "-_.~" and the characters of `also` as %XX. */
void url_encode(struct strbuf *b, const char *text, const char *also);
/* Appends n bytes of a form, decoded; what is no %XX stands for itself. */
void url_decode(struct strbuf *b, const char *text, size_t n);

#endif

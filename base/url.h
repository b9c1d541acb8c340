/* Percent-encoding, as in URLs and forms. */
#ifndef ASYNCMON_BASE_URL_H
#define ASYNCMON_BASE_URL_H

#include "base/strbuf.h"

struct field { const char *name, *value; };

/* Appends text with all but letters, digits, "-_.~" and the characters of `also` as %XX. */
void url_encode(struct strbuf *b, const char *text, const char *also);
/* Appends n bytes of a form, decoded; what is no %XX stands for itself. */
void url_decode(struct strbuf *b, const char *text, size_t n);
/* Appends "?NAME=VALUE&…" of the fields that have a value, but for those called `name`: they
 * are left out, and where `value` is not NULL one with that value comes last. Nothing where
 * none is left. */
void url_query(struct strbuf *b, const struct field *v, size_t n, const char *name, const char *value);

#endif

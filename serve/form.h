/* Fields of a query or a form, by name. */
#ifndef ASYNCMON_SERVE_FORM_H
#define ASYNCMON_SERVE_FORM_H

#include "serve/wire.h"

struct form {
	struct field v[WIRE_FIELDS];
	size_t n;
	bool bad;                /* one has a NUL in it, or they are too many */
};

/* Adds one, decoded. */
void form_add(struct form *f, const char *name, size_t n, const char *value, size_t m);
/* All of an application/x-www-form-urlencoded body. */
void form_parse(struct form *f, const char *body);
/* The first of that name, or NULL. */
const char *form_value(const struct form *f, const char *name);
/* "PATH?NAME=VALUE&…", encoded, without the fields of that name. */
void form_location(struct strbuf *b, const char *path, const struct form *f, const char *without);
void form_free(struct form *f);

#endif

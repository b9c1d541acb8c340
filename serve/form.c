#include "serve/form.h"

#include <stdlib.h>

void form_add(struct form *f, const char *name, size_t n, const char *value, size_t m)
{
	if (f->n == WIRE_FIELDS || memchr(name, 0, n) || memchr(value, 0, m)) {
		f->bad = true;
		return;
	}
	char *own_name = strndup(name, n), *own_value = strndup(value, m);
	if (!own_name || !own_value) {
		free(own_name);
		free(own_value);
		f->bad = true;
		return;
	}
	f->v[f->n++] = (struct field){ own_name, own_value };
}

void form_parse(struct form *f, const char *body)
{
	struct strbuf name = { 0 }, value = { 0 };
	for (const char *p = body; *p;) {
		size_t len = strcspn(p, "&");
		const char *equals = memchr(p, '=', len);
		size_t n = equals ? (size_t)(equals - p) : len;
		strbuf_clear(&name);
		strbuf_clear(&value);
		url_decode(&name, p, n);
		if (equals)
			url_decode(&value, equals + 1, len - n - 1);
		f->bad |= name.failed || value.failed;
		if (name.len)
			form_add(f, name.s, name.len, value.s ? value.s : "", value.len);
		p += len + (p[len] == '&');
	}
	strbuf_free(&name);
	strbuf_free(&value);
}

const char *form_value(const struct form *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, name) == 0)
			return f->v[i].value;
	return NULL;
}

void form_location(struct strbuf *b, const char *path, const struct form *f, const char *without)
{
	/* A path that begins with two slashes would be another host's. */
	strbuf_char(b, '/');
	url_encode(b, path + strspn(path, "/"), "/");
	url_query(b, f->v, f->n, without, NULL);
}

void form_free(struct form *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free((void *)(uintptr_t)f->v[i].name);
		free((void *)(uintptr_t)f->v[i].value);
	}
	*f = (struct form){ 0 };
}

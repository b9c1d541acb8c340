#include "base/url.h"

static bool plain(char c, const char *also)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-_.~", c) || strchr(also, c);
}

void url_encode(struct strbuf *b, const char *text, const char *also)
{
	for (; *text; text++) {
		if (plain(*text, also))
			strbuf_char(b, *text);
		else
			strbuf_fmt(b, "%%%02X", (unsigned char)*text);
	}
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void url_decode(struct strbuf *b, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = text[i] == '%' && i + 2 < n ? digit(text[i + 1]) : -1;
		int low = high >= 0 ? digit(text[i + 2]) : -1;
		if (low >= 0) {
			strbuf_char(b, (char)(high * 16 + low));
			i += 2;
		} else {
			strbuf_char(b, text[i] == '+' ? ' ' : text[i]);
		}
	}
}

static void pair(struct strbuf *b, char *between, const char *name, const char *value)
{
	strbuf_char(b, *between);
	url_encode(b, name, "");
	strbuf_char(b, '=');
	url_encode(b, value, "");
	*between = '&';
}

void url_query(struct strbuf *b, const struct field *v, size_t n, const char *name, const char *value)
{
	char between = '?';
	for (size_t i = 0; i < n; i++)
		if (*v[i].value && strcmp(v[i].name, name) != 0)
			pair(b, &between, v[i].name, v[i].value);
	if (value)
		pair(b, &between, name, value);
}

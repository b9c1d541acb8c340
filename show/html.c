#include "show/html.h"

#include "base/url.h"

static void entities(struct strbuf *b, const char *s)
{
	for (; *s; s++) {
		size_t n = strcspn(s, "&<>\"'");
		strbuf_add(b, s, n);
		s += n;
		switch (*s) {
		case '&': strbuf_str(b, "&amp;"); break;
		case '<': strbuf_str(b, "&lt;"); break;
		case '>': strbuf_str(b, "&gt;"); break;
		case '"': strbuf_str(b, "&quot;"); break;
		case '\'': strbuf_str(b, "&#39;"); break;
		default: return;
		}
	}
}

void html_text(struct strbuf *b, const char *s)
{
	struct strbuf plain = { 0 };
	strbuf_escaped(&plain, s ? s : "?");
	entities(b, plain.s ? plain.s : "");
	b->failed |= plain.failed;
	strbuf_free(&plain);
}

void html_url(struct strbuf *b, const char *s)
{
	url_encode(b, s, "");
}

void html_error(struct strbuf *b, const char *message)
{
	strbuf_str(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>asyncmon</title>"
		      "<link rel=\"stylesheet\" href=\"/assets/style.css\"></head><body><main><h1>asyncmon</h1><p>");
	html_text(b, message);
	strbuf_str(b, "</p><p><a href=\"/\">All targets</a></p></main></body></html>\n");
}

#include "show/html.h"

#include "base/url.h"

void html_lines(struct strbuf *b, const char *s)
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
	html_lines(b, plain.s ? plain.s : "");
	b->failed |= plain.failed;
	strbuf_free(&plain);
}

void html_url(struct strbuf *b, const char *s)
{
	url_encode(b, s, "");
}

/* A line of the session cut into words, and what stands behind | and >. */
#include "cmd/session.h"

#include <stdlib.h>
#include <string.h>

static bool add(struct line *l, char *word)
{
	char **v = word ? realloc(l->words, ((size_t)l->n + 2) * sizeof *v) : NULL;
	if (!v) {
		free(word);
		return false;
	}
	l->words = v;
	v[l->n++] = word;
	v[l->n] = NULL;
	return true;
}

void line_free(struct line *l)
{
	for (int i = 0; i < l->n; i++)
		free(l->words[i]);
	free(l->words);
	free(l->pipe);
	free(l->file);
	*l = (struct line){ 0 };
}

/* One word at *p, quotes off. */
static err_t word(const char **p, struct strbuf *b)
{
	char quote = 0;
	const char *s = *p;
	strbuf_add(b, "", 0);
	for (; *s && (quote || !strchr(" \t|>", *s)); s++) {
		if (quote && *s == quote)
			quote = 0;
		else if (!quote && (*s == '"' || *s == '\''))
			quote = *s;
		else if (*s == '\\' && quote != '\'' && s[1] && (!quote || strchr("\"\\", s[1])))
			strbuf_char(b, *++s);
		else
			strbuf_char(b, *s);
	}
	*p = s;
	return quote ? err_new(E_USAGE, "a quote is open at the end of the line") : NULL;
}

static err_t take(const char **p, char **out)
{
	struct strbuf b = { 0 };
	err_t e = word(p, &b);
	*out = e ? NULL : b.s ? strdup(b.s) : strdup("");
	strbuf_free(&b);
	return e ? e : *out ? NULL : ERR_NOMEM;
}

static err_t redirect(const char **p, struct line *l)
{
	*p += 1;
	l->append = **p == '>';
	*p += l->append;
	*p += strspn(*p, " \t");
	if (l->file || !**p || strchr("|>", **p))
		return err_new(E_USAGE, "> needs a file");
	return take(p, &l->file);
}

static err_t parse(const char *p, struct line *l)
{
	for (;;) {
		char *w;
		p += strspn(p, " \t");
		if (!*p)
			return NULL;
		if (*p == '>') {
			TRY(redirect(&p, l));
		} else if (*p == '|') {
			p += 1 + strspn(p + 1, " \t");
			if (!*p)
				return err_new(E_USAGE, "| needs a shell command");
			l->pipe = strdup(p);
			return l->pipe ? NULL : ERR_NOMEM;
		} else {
			TRY(take(&p, &w));
			if (!add(l, w))
				return ERR_NOMEM;
		}
	}
}

err_t line_parse(const char *text, struct line *out)
{
	*out = (struct line){ 0 };
	err_t e = parse(text, out);
	if (!e && !out->n && (out->pipe || out->file))
		e = err_new(E_USAGE, "a command goes before | and >");
	if (e)
		line_free(out);
	return e;
}

/* __complete: what a shell's completion asks. It prints a word a line, a tab, and what the
 * word is; ":files" where files may stand as well, ":goes-on" where no blank follows. */
#include <stdlib.h>
#include <string.h>

#include "cmd/offers.h"

/* Where the last word of a shell's line starts; *quote: what is open in it, or 0. */
static const char *last_word(const char *line, char *quote)
{
	const char *start = line;
	*quote = 0;
	for (const char *p = line; *p; p++) {
		if (*p == '\\' && *quote != '\'' && p[1])
			p++;
		else if (*quote)
			*quote = *p == *quote ? 0 : *quote;
		else if (*p == '"' || *p == '\'')
			*quote = *p;
		else if (*p == ' ' || *p == '\t')
			start = p + 1;
	}
	return start;
}

/* bash starts a new word behind these, and replaces only what follows. */
static size_t bash_skips(const char *word)
{
	size_t skip = 0, n = 0;
	if (*word == '"' || *word == '\'')
		return 0;
	for (; *word; word++, n++) {
		if (*word == '\\' && word[1])
			word++;
		else if (*word == '=' || *word == ':')
			skip = n + 1;
	}
	return skip;
}

static void print(struct call *c, const struct offers *o, size_t skip)
{
	struct strbuf *b = &c->out->b;
	for (size_t i = 0; i < o->n; i++)
		strbuf_fmt(b, "%s\t%s\n", o->v[i].word + skip, o->v[i].about ? o->v[i].about : "");
	if (o->files)
		strbuf_str(b, ":files\t\n");
	if (o->goes_on)
		strbuf_str(b, ":goes-on\t\n");
}

/* The line up to the cursor as bash has it, quotes and all. */
static err_t of_line(struct call *c, struct offers *o, const char *text)
{
	struct line before = { 0 }, last = { 0 };
	struct strbuf word = { 0 };
	char quote;
	const char *start = last_word(text, &quote);
	char *head = strndup(text, (size_t)(start - text));
	strbuf_str(&word, start);
	if (quote)
		strbuf_char(&word, quote);
	err_t e = head && !word.failed ? line_parse(head, &before) : ERR_NOMEM;
	if (!e)
		e = line_parse(word.s, &last);
	if (!e && before.n) {
		offers_find(o, before.words + 1, before.n - 1, last.n ? last.words[0] : "");
		print(c, o, bash_skips(start));
	}
	line_free(&before);
	line_free(&last);
	strbuf_free(&word);
	free(head);
	return e;
}

static int complete_run(struct call *c)
{
	struct offers o = { 0 };
	err_t e = NULL;
	if (c->nwords < 2)
		return call_fail(c, err_new(E_USAGE, "__complete is what the shells' completions call"));
	if (strcmp(c->words[0], "bash") == 0) {
		e = of_line(c, &o, c->words[1]);
	} else {
		/* Only read: offers_find() takes what main() got. */
		char **words = (char **)(uintptr_t)(c->words + 1);
		offers_find(&o, words, (int)c->nwords - 2, c->words[c->nwords - 1]);
		print(c, &o, 0);
	}
	offers_free(&o);
	return e ? call_fail(c, e) : STATUS_FINE;
}

const struct command cmd_complete = {
	.name = "__complete",
	.arguments = "SHELL WORD...",
	.summary = "the words that a shell completes with",
	.description = "Prints the words that may stand at the end of a line: what completions of shells call.",
	.flags = CMD_REST | CMD_NO_SESSION | CMD_HIDDEN,
	.run = complete_run,
};

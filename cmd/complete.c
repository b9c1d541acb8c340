/* TAB in the session: what may stand where the cursor is. */
#include "cmd/offers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/readline.h>

#include "base/fit.h"
#include "base/utf8.h"

/* readline's callbacks get no context. */
static struct offers tab;

/* What would part a word, or be taken off it, in a line of the session. */
#define SPECIAL " \t|>\"'\\"

/* The word as it has to be typed behind the quote that is open, or none (0). */
static char *quoted(const char *word, char quote)
{
	struct strbuf b = { 0 };
	const char *special = quote == '"' ? "\"\\" : quote ? "" : SPECIAL;
	strbuf_add(&b, "", 0);
	for (; *word; word++) {
		if (strchr(special, *word) || (*word == '#' && !b.len && !quote && rl_point == 0))
			strbuf_char(&b, '\\');
		strbuf_char(&b, *word);
	}
	return b.s;
}

/* Whether the character there is behind a backslash that counts. */
static int is_quoted(char *line, int at)
{
	bool behind = false;
	for (int i = 0; i < at; i++)
		behind = !behind && line[i] == '\\';
	return behind;
}

/* The text without the backslashes that quote. */
static char *plain(const char *text, char quote)
{
	struct strbuf b = { 0 };
	strbuf_add(&b, "", 0);
	for (; *text; text++) {
		if (*text == '\\' && text[1] && quote != '\'' && (!quote || strchr("\"\\", text[1])))
			text++;
		strbuf_char(&b, *text);
	}
	return b.s;
}

static char *next_offer(const char *text, int state)
{
	static size_t at;
	(void)text;
	at = state ? at : 0;
	return at < tab.n ? quoted(tab.v[at++].word, (char)rl_completion_quote_character) : NULL;
}

static char **attempt(const char *text, int start, int end)
{
	struct line l;
	char quote = (char)rl_completion_quote_character;
	/* Where a quote is open, it stands before the word. */
	char *before = strndup(rl_line_buffer, (size_t)(quote && start ? start - 1 : start));
	char *full = before ? alias_expand(tab.s, before) : NULL;
	char *prefix = plain(text, quote);
	err_t e = full && prefix ? line_parse(full, &l) : ERR_NOMEM;
	(void)end;
	rl_attempted_completion_over = 1;
	/* Behind "> " or "| ": files. */
	bool files = e || l.pipe || l.file;
	if (!files) {
		offers_find(&tab, l.words, l.n, prefix);
		files = !tab.n && tab.files;
	}
	err_free(e);
	if (!e)
		line_free(&l);
	free(before);
	free(full);
	free(prefix);
	rl_attempted_completion_over = !files;
	rl_completion_append_character = tab.goes_on ? '\0' : ' ';
	return files ? NULL : rl_completion_matches(text, next_offer);
}

static const struct offer *offered(const char *word)
{
	for (size_t i = 0; i < tab.n; i++)
		if (strcmp(tab.v[i].word, word) == 0)
			return &tab.v[i];
	return NULL;
}

/* Words with what they are; where they are many, as readline has them, in columns. */
static void display(char **matches, int n, int longest)
{
	int rows, columns;
	bool any = false;
	rl_get_screen_size(&rows, &columns);
	for (size_t i = 0; i < tab.n && !any; i++)
		any = tab.v[i].about != NULL;
	if (!any || n > 100) {
		rl_display_match_list(matches, n, longest);
		rl_forced_update_display();
		return;
	}
	rl_crlf();
	for (int i = 1; i <= n; i++) {
		char *word = plain(matches[i], (char)rl_completion_quote_character);
		const struct offer *o = word ? offered(word) : NULL;
		struct strbuf b = { 0 };
		int pad = longest - (int)utf8_width(matches[i]);
		strbuf_fmt(&b, "%s%*s  ", matches[i], pad > 0 ? pad : 0, "");
		if (o && o->about && columns > longest + 5)
			fit_cut(&b, o->about, (size_t)(columns - longest - 3), FIT_KEEP_START);
		fprintf(rl_outstream, "%s\n", b.s ? b.s : "");
		strbuf_free(&b);
		free(word);
	}
	rl_forced_update_display();
}

void complete_start(struct session *s)
{
	tab.s = s;
	rl_attempted_completion_function = attempt;
	rl_completion_display_matches_hook = display;
	rl_completer_word_break_characters = " \t|>";
	rl_basic_word_break_characters = " \t|>";
	rl_completer_quote_characters = "\"'";
	rl_char_is_quoted_p = is_quoted;
}

void complete_end(void)
{
	offers_free(&tab);
}

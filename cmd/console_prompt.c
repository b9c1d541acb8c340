/* The console's prompt: lines gathered until they are a whole input, TAB, and what
 * arrives meanwhile. */
#include "cmd/console.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/readline.h>

#include "cmd/input.h"

/* How long TAB waits for the loop, in milliseconds. */
#define TAB_PATIENCE 500

/* readline's callbacks get no context. */
static struct {
	struct console *k;
	bool closed;
	char **words;            /* of the completion under way */
	size_t n, at;
} here;

static size_t watch(void *ctx, struct pollfd *p, size_t room)
{
	const struct console *k = ctx;
	if (!room)
		return 0;
	p[0] = (struct pollfd){ .fd = k->link.fd, .events = POLLIN };
	return 1;
}

static void woken(void *ctx)
{
	struct console *k = ctx;
	enum link_got got;
	while ((got = link_next(&k->link, 0)) == LINK_MESSAGE)
		console_hear(k);
	if (got == LINK_CLOSED) {
		here.closed = true;
		input_give_up();
	}
}

/* ---- TAB ---- */

static void words_clear(void)
{
	for (size_t i = 0; i < here.n; i++)
		free(here.words[i]);
	free(here.words);
	here.words = NULL;
	here.n = here.at = 0;
}

static void words_take(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char **v = realloc(here.words, (here.n + 1) * sizeof *v);
		if (!v)
			return;
		here.words = v;
		v[here.n++] = strndup(text, n);
		text += n + (text[n] == '\n');
	}
}

static char *next_word(const char *text, int state)
{
	(void)text;
	here.at = state ? here.at : 0;
	return here.at < here.n && here.words[here.at] ? strdup(here.words[here.at++]) : NULL;
}

static char **attempt(const char *text, int start, int end)
{
	(void)end;
	rl_attempted_completion_over = 1;
	rl_completion_append_character = '\0';
	words_clear();
	/* TAB at the start of a line, or behind blanks, is a tab. */
	size_t blanks = strspn(rl_line_buffer, " \t");
	if (!*text && blanks >= (size_t)start) {
		rl_insert_text("    ");
		return NULL;
	}
	if (!link_send(&here.k->link, 'c', text, TAB_PATIENCE))
		return NULL;
	for (;;) {
		if (link_next(&here.k->link, TAB_PATIENCE) != LINK_MESSAGE)
			return NULL;
		if (here.k->link.kind == 'c')
			break;
		console_hear(here.k);
	}
	words_take(here.k->link.body.s ? here.k->link.body.s : "");
	return here.n ? rl_completion_matches(text, next_word) : NULL;
}

/* ---- the loop ---- */

/* Reads one input, of one line or more, and runs it. */
static enum answer one_input(struct console *k)
{
	struct strbuf code = { 0 };
	enum answer a = ANSWER_MORE;
	while (a == ANSWER_MORE) {
		bool interrupted = false;
		char *line = input_line(code.len ? "... " : ">>> ", &interrupted);
		if (!line) {
			a = here.closed ? ANSWER_CLOSED : interrupted ? ANSWER_DONE : ANSWER_EXIT;
			break;
		}
		if (!code.len && !line[strspn(line, " \t")]) {
			free(line);
			a = ANSWER_DONE;
			break;
		}
		strbuf_fmt(&code, "%s%s", code.len ? "\n" : "", line);
		/* The empty line that ends a block. */
		if (!*line)
			strbuf_char(&code, '\n');
		free(line);
		a = code.failed ? ANSWER_ERROR : console_run(k, 'l', code.s);
	}
	strbuf_free(&code);
	return a;
}

enum answer console_prompt(struct console *k)
{
	enum answer a;
	here.k = k;
	here.closed = false;
	fputs("Python in the target, await works. At hand: loop, tasks, task('NAME'). Ctrl-D leaves.\n", stdout);
	fflush(stdout);
	input_start(&(struct input){ "console_history", watch, woken, k });
	rl_attempted_completion_function = attempt;
	rl_completion_display_matches_hook = NULL;
	rl_completer_word_break_characters = " \t\n\"\\'`@$><=;|&{([,+-*/%^~!:)]}";
	rl_basic_word_break_characters = rl_completer_word_break_characters;
	do {
		a = one_input(k);
		if (a == ANSWER_INTERRUPTED)
			fputs("KeyboardInterrupt\n", stdout);
		fflush(stdout);
	} while (a != ANSWER_EXIT && a != ANSWER_CLOSED && a != ANSWER_GIVEN_UP);
	words_clear();
	input_end();
	return a;
}

/* TAB in the session: what may stand where the cursor is. */
#include "base/vec.h"
#include "cmd/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <readline/readline.h>

#include "show/list_look.h"
#include "cmd/signals.h"

/* How long a look at the target serves, in seconds; and what is listed of it. */
#define FRESH 2
#define MOST 20000

struct offer { char *word, *about; };

/* readline's callbacks get no context. */
static struct {
	struct session *s;
	struct offer *v;
	size_t n, cap;
	struct snapshot **snaps; /* one a target */
	time_t taken;
} tab;

static void offers_clear(void)
{
	for (size_t i = 0; i < tab.n; i++) {
		free(tab.v[i].word);
		free(tab.v[i].about);
	}
	tab.n = 0;
}

/* Words that would need quotes, or hold what a terminal acts on, are not offered. */
static bool plain(const char *word)
{
	for (const unsigned char *p = (const unsigned char *)word; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"'\\|>,=", *p))
			return false;
	return *word != '\0';
}

static void offer(const char *prefix, const char *word, const char *about)
{
	size_t len = strlen(prefix);
	if (!word || strncmp(word, prefix, len) != 0 || !plain(word) || tab.n >= MOST)
		return;
	struct offer *o = vec_add(&tab);
	if (!o)
		return;
	struct strbuf b = { 0 };
	if (about)
		strbuf_escaped(&b, about);
	*o = (struct offer){ strdup(word), b.s };
}

static void forget_looks(void)
{
	for (size_t i = 0; tab.snaps && i < tab.s->n; i++)
		snapshot_free(tab.snaps[i]);
	free(tab.snaps);
	tab.snaps = NULL;
}

static void take_looks(void)
{
	time_t now = time(NULL);
	if (tab.snaps && now - tab.taken < FRESH)
		return;
	forget_looks();
	tab.snaps = calloc(tab.s->n, sizeof *tab.snaps);
	tab.taken = now;
	for (size_t i = 0; tab.snaps && i < tab.s->n; i++)
		if (!tab.s->ended[i])
			err_free(capture_take(tab.s->caps[i], SNAPSHOT_ENDED, &tab.snaps[i]));
}

/* ---- kinds of words ---- */

static void commands_of(const char *prefix)
{
	for (size_t i = 0; commands[i]; i++)
		if (!(commands[i]->flags & CMD_NO_SESSION))
			offer(prefix, commands[i]->name, commands[i]->summary);
	for (const struct alias *a = tab.s->aliases; a; a = a->next)
		offer(prefix, a->name, a->text);
}

static void program(void *ctx, const char *name)
{
	offer(ctx, name, "a program on PATH");
}

static void options_of(const struct command *cmd, const char *prefix)
{
	struct args a = { 0 };
	char word[64];
	command_sets(cmd, &a);
	for (size_t i = 0; a.sets[i]; i++)
		for (const struct option *o = a.sets[i]; o->name; o++) {
			snprintf(word, sizeof word, "--%s", o->name);
			offer(prefix, word, o->help);
		}
}

static void task_of(const char *prefix, const struct snapshot *s, const struct task *t, const char *process)
{
	char word[64];
	char *name = NULL;
	snprintf(word, sizeof word, "%s0x%llx", process, (unsigned long long)t->id);
	if (*prefix && strncmp(word, prefix, strlen(prefix)) == 0)
		offer(prefix, word, t->coro);
	if (t->serial >= 0) {
		snprintf(word, sizeof word, "%s#%lld", process, (long long)t->serial);
		if (*prefix)
			offer(prefix, word, t->coro);
	}
	(void)s;
	if (t->name && asprintf(&name, "%s%s", process, t->name) >= 0) {
		offer(prefix, name, t->coro);
		free(name);
	}
}

static void tasks_of(const char *prefix)
{
	take_looks();
	for (size_t i = 0; tab.snaps && i < tab.s->n; i++) {
		char process[24] = "";
		if (tab.s->n > 1)
			snprintf(process, sizeof process, "%d/", (int)tab.s->caps[i]->target->pid);
		const struct snapshot *s = tab.snaps[i];
		for (size_t k = 0; s && k < s->ntasks; k++)
			task_of(prefix, s, &s->tasks[k], process);
	}
}

static void ended_of(const char *prefix)
{
	char word[32];
	take_looks();
	for (size_t i = 0; tab.snaps && i < tab.s->n; i++)
		for (size_t k = 0; tab.snaps[i] && k < tab.snaps[i]->nended; k++) {
			snprintf(word, sizeof word, "#%lld", (long long)tab.snaps[i]->ended[k].serial);
			offer(prefix, word, tab.snaps[i]->ended[k].coro);
		}
}

static void coros_of(const char *prefix)
{
	take_looks();
	for (size_t i = 0; tab.snaps && i < tab.s->n; i++)
		for (size_t k = 0; tab.snaps[i] && k < tab.snaps[i]->ntasks; k++)
			offer(prefix, tab.snaps[i]->tasks[k].coro, NULL);
}

static void loops_of(const char *prefix)
{
	char word[32];
	take_looks();
	for (size_t i = 0; tab.snaps && i < tab.s->n; i++)
		for (size_t k = 0; tab.snaps[i] && k < tab.snaps[i]->nloops; k++) {
			snprintf(word, sizeof word, "0x%llx", (unsigned long long)tab.snaps[i]->loops[k].id);
			offer(prefix, word, tab.snaps[i]->loops[k].type);
		}
}

static void columns_of(const char *prefix)
{
	for (const struct column *c = list_tasks.columns; c->name; c++)
		offer(prefix, c->name, c->help);
}

static void words_of(const char *prefix, const char *const *words)
{
	for (; *words; words++)
		offer(prefix, *words, NULL);
}

static void signals_of(const char *prefix)
{
	for (int n = 1; n < NSIG; n++)
		offer(prefix, signal_name(n), strsignal(n));
}

/* The values that an option takes. True: files. */
static bool values_of(const char *option, const char *prefix)
{
	static const char *const colours[] = { "auto", "always", "never", NULL },
		*const fail_on[] = { "error", "warning", "info", NULL },
		*const groups[] = { "coro", "created", "waiting", "state", "group", "by", NULL },
		*const states[] = { "running", "runnable", "waiting", "finished", "failed", "cancelled", NULL };
	if (strcmp(option, "color") == 0)
		words_of(prefix, colours);
	else if (strcmp(option, "fail-on") == 0)
		words_of(prefix, fail_on);
	else if (strcmp(option, "group-by") == 0)
		words_of(prefix, groups);
	else if (strcmp(option, "state") == 0)
		words_of(prefix, states);
	else if (strcmp(option, "sort") == 0 || strcmp(option, "output") == 0)
		columns_of(prefix);
	else if (strcmp(option, "coro") == 0 || strcmp(option, "filter") == 0)
		coros_of(prefix);
	else if (strcmp(option, "loop") == 0)
		loops_of(prefix);
	else
		return strcmp(option, "exe") == 0 || strcmp(option, "sysroot") == 0 || strcmp(option, "debug-dir") == 0;
	return false;
}

/* ---- the line up to the cursor ---- */

/* The option whose value a word behind `word` is, or NULL. */
static const char *wants_value(const struct command *cmd, const char *word)
{
	struct args a = { 0 };
	if (word[0] != '-' || strchr(word, '='))
		return NULL;
	command_sets(cmd, &a);
	for (size_t i = 0; a.sets[i]; i++)
		for (const struct option *o = a.sets[i]; o->name; o++)
			if (o->value && (word[1] == '-' ? strcmp(o->name, word + 2) == 0
							: o->letter && word[strlen(word) - 1] == o->letter))
				return o->name;
	return NULL;
}

static bool is(const struct command *cmd, const char *name)
{
	return strcmp(cmd->name, name) == 0;
}

static void arguments_of(const struct command *cmd, const char *prefix)
{
	if (is(cmd, "help"))
		commands_of(prefix);
	else if (is(cmd, "signal"))
		signals_of(prefix);
	else if (is(cmd, "where-terminated"))
		ended_of(prefix);
	else if (strncmp(cmd->arguments, "TASK", 4) == 0)
		tasks_of(prefix);
}

/* What l, the words before the cursor's, leave open. True: files are meant. */
static bool offers_for(const struct line *l, int first, const char *prefix, char before)
{
	const struct command *cmd = NULL;
	if (first >= l->n) {
		commands_of(prefix);
		program_each(program, (void *)(uintptr_t)prefix);
		return false;
	}
	err_free(command_lookup(l->words[first], true, &cmd));
	if (!cmd)
		return true;
	if (is(cmd, "watch")) {
		int i = first + 1;
		while (i < l->n && l->words[i][0] == '-')
			i += wants_value(cmd, l->words[i]) ? 2 : 1;
		if (i < l->n || (prefix[0] != '-' && !wants_value(cmd, l->words[l->n - 1])))
			return offers_for(l, i, prefix, before);
	}
	const char *last = l->words[l->n - 1];
	char option[64];
	if (before == '=' || (before == ',' && strchr(last, '='))) {
		snprintf(option, sizeof option, "%.*s", (int)strcspn(last + strspn(last, "-"), "="),
			 last + strspn(last, "-"));
		return values_of(option, prefix);
	}
	/* "-o ID,ST": the list is the last word, its option the one before. */
	bool list = before == ',' && l->n - first > 2;
	const char *wants = list ? wants_value(cmd, l->words[l->n - 2])
				 : l->n - 1 > first ? wants_value(cmd, last) : NULL;
	if (wants)
		return values_of(wants, prefix);
	if (prefix[0] == '-')
		options_of(cmd, prefix);
	else
		arguments_of(cmd, prefix);
	return false;
}

static char *next_offer(const char *text, int state)
{
	static size_t at;
	(void)text;
	at = state ? at : 0;
	return at < tab.n ? strdup(tab.v[at++].word) : NULL;
}

static char **attempt(const char *text, int start, int end)
{
	struct line l;
	char *before = strndup(rl_line_buffer, (size_t)start);
	char sep = start ? rl_line_buffer[start - 1] : ' ';
	(void)end;
	offers_clear();
	rl_attempted_completion_over = 1;
	char *full = before ? alias_expand(tab.s, before) : NULL;
	err_t e = full ? line_parse(full, &l) : ERR_NOMEM;
	free(before);
	free(full);
	/* Open quotes, and "> " or "| " without what follows: files. */
	bool files = e || l.pipe || l.file;
	if (!files)
		files = offers_for(&l, 0, text, sep);
	err_free(e);
	if (!e)
		line_free(&l);
	rl_attempted_completion_over = !files;
	rl_completion_append_character = tab.n && text[0] != '-' && sep != ',' && sep != '=' ? ' ' : '\0';
	if (text[0] == '-')
		rl_completion_append_character = ' ';
	return files ? NULL : rl_completion_matches(text, next_offer);
}

static const char *about(const char *word)
{
	for (size_t i = 0; i < tab.n; i++)
		if (tab.v[i].word && strcmp(tab.v[i].word, word) == 0)
			return tab.v[i].about;
	return NULL;
}

/* Words with what they are; where they are many, as readline has them, in columns. */
static void display(char **matches, int n, int longest)
{
	int rows, columns;
	bool any = false;
	rl_get_screen_size(&rows, &columns);
	for (int i = 1; i <= n && !any; i++)
		any = about(matches[i]) != NULL;
	if (!any || n > 100) {
		rl_display_match_list(matches, n, longest);
		rl_forced_update_display();
		return;
	}
	rl_crlf();
	for (int i = 1; i <= n; i++) {
		const char *a = about(matches[i]);
		int room = columns - longest - 5;
		fprintf(rl_outstream, "%-*s  %.*s\n", longest, matches[i], room > 0 ? room : 0, a ? a : "");
	}
	rl_forced_update_display();
}

void complete_start(struct session *s)
{
	tab.s = s;
	rl_attempted_completion_function = attempt;
	rl_completion_display_matches_hook = display;
	rl_completer_word_break_characters = " \t=,|>";
	rl_basic_word_break_characters = " \t=,|>";
	rl_completer_quote_characters = "\"'";
}

void complete_end(void)
{
	forget_looks();
	offers_clear();
	vec_free(&tab);
}

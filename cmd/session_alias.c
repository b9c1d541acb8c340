/* alias, unalias: the user's own names for the start of a line. */
#include "cmd/session.h"

#include <stdlib.h>
#include <string.h>

/* An alias may stand for a line that starts with another; not for ever. */
#define DEPTH 16

const struct alias *alias_find(const struct session *s, const char *name, size_t len)
{
	for (const struct alias *a = s->aliases; a; a = a->next)
		if (strlen(a->name) == len && memcmp(a->name, name, len) == 0)
			return a;
	return NULL;
}

char *alias_expand(const struct session *s, const char *line)
{
	const struct alias *used[DEPTH];
	char *now = strdup(line + strspn(line, " \t"));
	for (size_t depth = 0; now && depth < DEPTH; depth++) {
		size_t n = strcspn(now, " \t|>");
		const struct alias *a = alias_find(s, now, n);
		for (size_t i = 0; i < depth && a; i++)
			if (used[i] == a)
				a = NULL;
		if (!a)
			break;
		used[depth] = a;
		struct strbuf b = { 0 };
		strbuf_str(&b, a->text);
		strbuf_str(&b, now + n);
		free(now);
		now = b.failed ? NULL : strdup(b.s);
		strbuf_free(&b);
	}
	return now;
}

static bool remove_alias(struct session *s, const char *name)
{
	for (struct alias **p = &s->aliases; *p; p = &(*p)->next)
		if (strcmp((*p)->name, name) == 0) {
			struct alias *a = *p;
			*p = a->next;
			free(a->name);
			free(a->text);
			free(a);
			return true;
		}
	return false;
}

static err_t set_alias(struct session *s, const char *name, size_t n, const char *text)
{
	char *copy = strndup(name, n);
	struct alias *a = calloc(1, sizeof *a);
	if (!copy || !a || !(a->text = strdup(text))) {
		free(copy);
		free(a);
		return ERR_NOMEM;
	}
	remove_alias(s, copy);
	a->name = copy;
	a->next = s->aliases;
	s->aliases = a;
	return NULL;
}

static void print(struct call *c, const struct alias *a)
{
	strbuf_str(&c->out->b, "alias ");
	strbuf_escaped(&c->out->b, a->name);
	strbuf_str(&c->out->b, "='");
	strbuf_escaped(&c->out->b, a->text);
	strbuf_str(&c->out->b, "'\n");
}

/* "name=text", or name and then the words of the text. */
static int alias_run(struct call *c)
{
	struct strbuf text = { 0 };
	if (!c->nwords) {
		for (const struct alias *a = c->session->aliases; a; a = a->next)
			print(c, a);
		return STATUS_FINE;
	}
	const char *name = c->words[0], *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	if (!n || strcspn(name, " \t|>") < n)
		return call_fail(c, err_new(E_USAGE, "an alias is NAME=TEXT"));
	if (!eq && c->nwords == 1) {
		const struct alias *a = alias_find(c->session, name, n);
		if (!a)
			return call_fail(c, err_new(E_NOTFOUND, "there is no alias %s", name));
		print(c, a);
		return STATUS_FINE;
	}
	strbuf_str(&text, eq ? eq + 1 : "");
	for (size_t i = 1; i < c->nwords; i++)
		strbuf_fmt(&text, "%s%s", text.len ? " " : "", c->words[i]);
	err_t e = text.failed ? ERR_NOMEM : set_alias(c->session, name, n, text.s);
	strbuf_free(&text);
	return e ? call_fail(c, e) : STATUS_FINE;
}

static int unalias_run(struct call *c)
{
	for (size_t i = 0; i < c->nwords; i++)
		if (!remove_alias(c->session, c->words[i]))
			return call_fail(c, err_new(E_NOTFOUND, "there is no alias %s", c->words[i]));
	return c->nwords ? STATUS_FINE : call_fail(c, err_new(E_USAGE, "unalias needs a NAME"));
}

static int exit_run(struct call *c)
{
	c->session->over = true;
	return STATUS_FINE;
}

const struct command cmd_alias = {
	.name = "alias",
	.arguments = "[NAME[=TEXT]]",
	.summary = "give the start of a line a name, or show those there are",
	.description = "alias NAME='TEXT' has a line that starts with NAME run as if it started with TEXT. "
		       "Written into the start file it holds for every session.",
	.flags = CMD_SESSION | CMD_HERE | CMD_REST,
	.run = alias_run,
};

const struct command cmd_unalias = {
	.name = "unalias",
	.arguments = "NAME...",
	.summary = "forget an alias",
	.description = "Forgets the aliases named.",
	.flags = CMD_SESSION | CMD_HERE,
	.run = unalias_run,
};

const struct command cmd_exit = {
	.name = "exit",
	.aliases = { "q", "quit" },
	.arguments = "",
	.summary = "leave; the target runs on",
	.description = "Ends the session, as Ctrl-D does. The target runs on.",
	.flags = CMD_SESSION | CMD_HERE,
	.run = exit_run,
};

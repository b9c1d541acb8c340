/* Help, written from the tables. */
#include "cmd/command.h"
#include "query/list.h"
#include "show/wrap.h"

#include <string.h>

static void pad(struct strbuf *b, size_t from, size_t to)
{
	size_t n = b->len - from;
	do
		strbuf_char(b, ' ');
	while (++n < to);
}

#define WIDTH 78

/* Paragraphs, the first of which goes on in the line that starts at b->s[from]. */
static void wrapped(struct strbuf *b, size_t from, const char *text, size_t indent)
{
	for (;;) {
		size_t n = strcspn(text, "\n");
		strbuf_add(b, text, n);
		wrap_indented(b, from, WIDTH, indent);
		strbuf_char(b, '\n');
		if (!text[n])
			return;
		text += n + 1;
		from = b->len;
	}
}

static void options(struct strbuf *b, const struct command *cmd, const struct option *o)
{
	bool common = o == options_common;
	for (; o->name; o++) {
		if (common && !command_takes(cmd, o))
			continue;
		size_t from = b->len;
		if (o->letter)
			strbuf_fmt(b, "  -%c, --%s", o->letter, o->name);
		else
			strbuf_fmt(b, "      --%s", o->name);
		if (o->value)
			strbuf_fmt(b, "=%s", o->value);
		pad(b, from, 30);
		wrapped(b, from, o->help, 30);
	}
}

static void columns(struct strbuf *b, const struct column *c)
{
	strbuf_str(b, "\nColumns, and keys of --sort:\n");
	for (; c->name; c++) {
		size_t from = b->len;
		strbuf_fmt(b, "  %s", c->name);
		pad(b, from, 30);
		wrapped(b, from, c->help, 30);
	}
}

static void synopsis(struct strbuf *b, const struct command *cmd)
{
	strbuf_fmt(b, "usage: %s%s [OPTIONS]", cmd->flags & CMD_SESSION ? "" : "asyncmon ", cmd->name);
	if (cmd->flags & CMD_TARGET)
		strbuf_str(b, cmd->flags & CMD_MANY ? " TARGET..." : " TARGET");
	if (*cmd->arguments)
		strbuf_fmt(b, " %s", cmd->arguments);
	strbuf_char(b, '\n');
}

void usage_command(struct strbuf *b, const struct command *cmd)
{
	struct args a = { 0 };
	synopsis(b, cmd);
	if (cmd->aliases[0]) {
		strbuf_str(b, "also called:");
		for (size_t i = 0; cmd->aliases[i]; i++)
			strbuf_fmt(b, " %s", cmd->aliases[i]);
		strbuf_char(b, '\n');
	}
	strbuf_char(b, '\n');
	wrapped(b, b->len, cmd->description, 0);
	if (cmd->flags & CMD_WRITES)
		strbuf_str(b, "\nThis changes the target.\n");
	if (cmd->flags & CMD_TARGET && !(cmd->flags & CMD_CORE))
		strbuf_str(b, "\nTARGET is a PID.\n");
	else if (cmd->flags & CMD_TARGET)
		strbuf_str(b, "\nTARGET is a PID, or a file: an ELF core dump.\n");
	command_sets(cmd, &a);
	strbuf_str(b, "\nOptions:\n");
	for (size_t i = 0; a.sets[i]; i++)
		options(b, cmd, a.sets[i]);
	if (cmd->list)
		columns(b, cmd->list->columns);
}

static void names(struct strbuf *b, const struct command *cmd)
{
	size_t from = b->len;
	strbuf_fmt(b, "  %s", cmd->name);
	for (size_t k = 0; cmd->aliases[k]; k++)
		strbuf_fmt(b, "%s%s", k ? ", " : " (", cmd->aliases[k]);
	if (cmd->aliases[0])
		strbuf_char(b, ')');
	pad(b, from, 26);
	strbuf_fmt(b, "%s\n", cmd->summary);
}

void usage_all(struct strbuf *b, bool session)
{
	if (!session)
		strbuf_str(b, "usage: asyncmon COMMAND [OPTIONS] TARGET [ARGUMENTS]\n\n"
			      "Says what the tasks of a running asyncio program are doing, from outside.\n"
			      "TARGET is a PID, or a file: an ELF core dump.\n\n");
	strbuf_str(b, "Commands:\n");
	for (size_t i = 0; commands[i]; i++)
		if (!(commands[i]->flags & (CMD_HIDDEN | (session ? CMD_NO_SESSION : CMD_SESSION))))
			names(b, commands[i]);
	if (session)
		strbuf_str(b, "\nThe first letters of a command do where they are no other's. An empty line\n"
			      "repeats the last command. COMMAND | SHELL COMMAND and COMMAND > FILE do what\n"
			      "they do in a shell; TAB completes; Ctrl-C ends the command that runs.\n"
			      "asyncmon-NAME programs on PATH are commands too: they get all tasks as JSON on\n"
			      "standard input.\n\nhelp COMMAND says more about one; asyncmon(1) about all.\n");
	else
		strbuf_str(b, "\nasyncmon COMMAND --help says more about one; asyncmon(1) about all.\n");
}

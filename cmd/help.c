/* help [COMMAND]: how commands are used. */
#include "cmd/command.h"

static int help_run(struct call *c)
{
	if (!c->nwords) {
		usage_all(&c->out->b);
		return STATUS_FINE;
	}
	const struct command *cmd = command_find(c->words[0]);
	if (!cmd)
		return call_fail(c, err_new(E_USAGE, "there is no command %s", c->words[0]));
	usage_command(&c->out->b, cmd);
	return STATUS_FINE;
}

const struct command cmd_help = {
	.name = "help",
	.aliases = { "?", "h" },
	.arguments = "[COMMAND]",
	.summary = "how commands are used",
	.description = "Lists the commands, or says how one is used.",
	.flags = CMD_PAGER,
	.run = help_run,
};

/* help [COMMAND]: how commands are used. */
#include "cmd/command.h"

static int help_run(struct call *c)
{
	if (!c->nwords) {
		usage_all(&c->out->b, c->session);
		return STATUS_FINE;
	}
	const struct command *cmd = NULL;
	err_t e = command_lookup(c->words[0], c->session, &cmd);
	if (e)
		return call_fail(c, e);
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

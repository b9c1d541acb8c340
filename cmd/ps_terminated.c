/* ps-terminated: the tasks that ended. */
#include "cmd/command.h"
#include "show/ended.h"
#include "cmd/list_answer.h"

static int ps_terminated_run(struct call *c)
{
	struct snapshot *s = NULL;
	err_t e = list_check(&list_ended, &c->args);
	if (!e)
		e = call_snapshot(c, SNAPSHOT_ENDED, &s);
	if (!e)
		e = ended_check(s);
	if (!e)
		e = list_answer(c, &list_ended, s, (struct rows){ s->ended, s->nended, sizeof *s->ended }, NULL);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

const struct command cmd_ps_terminated = {
	.name = "ps-terminated",
	.aliases = { "pst", "pt" },
	.arguments = "",
	.summary = "the tasks that ended, newest first",
	.description = "Lists the tasks that ended, as far back as the agent in the target remembers: how each "
		       "ended, what it failed with, who cancelled it. Needs the agent (run, inject).",
	.list = &list_ended,
	.flags = CMD_TARGET | CMD_MANY | CMD_CORE | CMD_SELECT | CMD_LIST | CMD_PAGER,
	.run = ps_terminated_run,
};

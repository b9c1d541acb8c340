/* ps: the live tasks. */
#include "cmd/command.h"
#include "show/json_types.h"
#include "cmd/list_answer.h"

static const struct option ps_options[] = {
	{ "all", 'a', NULL, "also tasks that are done but still alive" },
	{ "all-rows", 0, NULL, "on a terminal: do not fold rows that are alike" },
	{ NULL, 0, NULL, NULL }
};

static void loops(struct json *j, const struct snapshot *s)
{
	json_key(j, "loops");
	json_loops(j, s);
}

/* States of tasks that are done ask for those tasks. */
static unsigned what(const struct call *c)
{
	const unsigned done = 1u << TASK_FINISHED | 1u << TASK_FAILED | 1u << TASK_CANCELLED;
	struct selection sel = { 0 };
	err_free(selection_parse(&sel, &c->args));
	return opt_given(&c->args, "all") || sel.states & done ? SNAPSHOT_DONE : 0;
}

static int ps_run(struct call *c)
{
	struct snapshot *s = NULL;
	err_t e = list_check(&list_tasks, &c->args);
	if (!e)
		e = call_snapshot(c, what(c), &s);
	if (!e && !s->ntasks && !s->nloops)
		snapshot_note(s, "No event loop was found: this process has imported asyncio, but runs none.");
	if (!e)
		e = list_answer(c, &list_tasks, s, (struct rows){ s->tasks, s->ntasks, sizeof *s->tasks }, loops);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

const struct command cmd_ps = {
	.name = "ps",
	.aliases = { "p" },
	.arguments = "",
	.summary = "the live tasks",
	.description = "Lists the tasks of a process: where each is suspended and what it waits for. On a "
		       "terminal that is too low for all rows, those of more than ten tasks that are alike "
		       "(in state, place and kind of wait) are told in a line but for the three oldest.",
	.options = ps_options,
	.list = &list_tasks,
	.flags = CMD_TARGET | CMD_MANY | CMD_CORE | CMD_SELECT | CMD_LIST | CMD_PAGER,
	.run = ps_run,
};

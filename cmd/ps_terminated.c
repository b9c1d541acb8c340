/* ps-terminated: the tasks that ended. */
#include "cmd/command.h"
#include "show/ended.h"
#include "show/json_types.h"
#include "cmd/list_answer.h"

void json_ended(struct json *j, const struct ended *t, bool open)
{
	json_object(j);
	json_key(j, "serial");
	json_int(j, t->serial);
	json_key(j, "name");
	json_str(j, t->name);
	json_key(j, "coro");
	json_str(j, t->coro);
	json_key(j, "outcome");
	json_str(j, task_state_name(t->outcome));
	json_key(j, "started_at");
	json_instant(j, t->started_at);
	json_key(j, "ended_at");
	json_instant(j, t->ended_at);
	json_key(j, "lifetime");
	json_double(j, t->ended_at - t->started_at);
	json_key(j, "lifetime_at_least");
	json_double(j, t->ended_at - t->seen_at);
	json_key(j, "exception");
	json_exception(j, t->exception);
	json_key(j, "persistent");
	json_bool(j, t->persistent);
	if (!open)
		json_object_end(j);
}

err_t ended_check(const struct snapshot *s)
{
	if (s->agent)
		return NULL;
	if (s->agent_unread)
		return err_new(E_BADDATA, "%s", s->agent_unread);
	return err_new(E_UNSUPPORTED, s->source == SNAPSHOT_OF_CORE
		? "there was no agent in this process: tasks that ended were not remembered"
		: "there is no agent in process %d: `asyncmon inject %d` puts it there, and from then on it remembers",
		(int)s->pid, (int)s->pid);
}

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

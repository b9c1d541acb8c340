#include "show/ended.h"

#include "show/json_types.h"

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
	return err_new(E_UNSUPPORTED, s->source != SNAPSHOT_OF_PROCESS
		? "there was no agent in this process: tasks that ended were not remembered"
		: "there is no agent in process %d: `asyncmon inject %d` puts it there, and from then on it remembers",
		(int)s->pid, (int)s->pid);
}

void json_ended_whole(struct json *j, const struct ended *t)
{
	json_ended(j, t, true);
	json_key(j, "stack");
	json_stack(j, &t->stack);
	json_key(j, "created");
	json_created(j, t->created);
	json_key(j, "cancels");
	json_cancels(j, t->cancels, t->ncancels);
	json_key(j, "chain");
	json_chain(j, t->chain, t->nchain);
	json_object_end(j);
}

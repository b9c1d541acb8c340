/* why: what tasks wait for in the end. */
#include <stdlib.h>

#include "cmd/command.h"
#include "query/resolve.h"
#include "show/why.h"

/* *n: how many tasks they are, at most as many as there are words. */
static err_t chosen(const struct call *c, const struct snapshot *s, uint32_t *v, size_t *n)
{
	*n = c->nwords;
	const struct task **tasks = calloc(*n + 1, sizeof *tasks);
	err_t e = tasks ? resolve_tasks(s, c->words, n, tasks) : ERR_NOMEM;
	for (size_t i = 0; !e && i < *n; i++)
		v[i] = (uint32_t)(tasks[i] - s->tasks);
	free(tasks);
	return e;
}

static err_t answer(struct call *c, struct snapshot *s)
{
	struct why y;
	uint32_t *tasks = calloc(c->nwords + 1, sizeof *tasks);
	size_t n = 0;
	err_t e = tasks ? chosen(c, s, tasks, &n) : ERR_NOMEM;
	if (e) {
		free(tasks);
		return e;
	}
	e = why_make(&y, s);
	if (!e) {
		call_answer(c, s);
		if (c->as_json && n)
			json_why_chains(&c->json, &y, tasks, n);
		else if (c->as_json)
			json_why_roots(&c->json, &y);
		if (c->many && !c->as_json)
			strbuf_fmt(&c->out->b, "%sPID %d: python %s\n", c->shown > 1 ? "\n" : "", (int)s->pid, s->python);
		if (!c->as_json && !n)
			text_why_roots(c->out, &c->term, &y);
		for (size_t i = 0; !c->as_json && i < n; i++)
			text_why_chain(c->out, &c->term, &y, tasks[i]);
	}
	why_free(&y);
	free(tasks);
	return e;
}

/* --exit: what keeps the process from ending. */
static err_t answer_exit(struct call *c, struct snapshot *s)
{
	struct keeps k = { 0 };
	err_t e = keeps_make(&k, s->arena, s);
	if (!e) {
		call_answer(c, s);
		if (c->as_json)
			json_keeps(&c->json, &k);
		else
			text_keeps(c->out, &c->term, &k);
	}
	vec_free(&k);
	return e;
}

static int why_run(struct call *c)
{
	struct snapshot *s = NULL;
	bool exit = opt_given(&c->args, "exit");
	err_t e = exit && c->nwords ? err_new(E_USAGE, "why takes a TASK or --exit, not both") : NULL;
	if (!e)
		e = call_snapshot(c, SNAPSHOT_THREADS, &s);
	if (!e)
		e = exit ? answer_exit(c, s) : answer(c, s);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

static const struct option why_options[] = {
	{ "exit", 0, NULL, "what keeps the process from ending" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_why = {
	.name = "why",
	.arguments = "[TASK...]",
	.summary = "what tasks wait for in the end: the lock's holder, and whom that waits for",
	.description = "Follows each waiting task to what it waits for in the end: through awaits, task "
		       "groups, gathers, and through locks to whoever is inside of them. Without TASK, all "
		       "waiting tasks are told, those that end alike in one sentence; deadlocks come first. "
		       "With TASK, the whole chain of it. With --exit, what keeps the process from ending: "
		       "tasks that did not heed asyncio.run()'s cancel, calls in executors, threads that are "
		       "no daemons.",
	.options = why_options,
	.flags = CMD_TARGET | CMD_CORE | CMD_PAGER,
	.run = why_run,
};

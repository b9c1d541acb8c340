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

static int why_run(struct call *c)
{
	struct snapshot *s = NULL;
	err_t e = call_snapshot(c, SNAPSHOT_THREADS, &s);
	if (!e)
		e = answer(c, s);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

const struct command cmd_why = {
	.name = "why",
	.arguments = "[TASK...]",
	.summary = "what tasks wait for in the end: the lock's holder, and whom that waits for",
	.description = "Follows each waiting task to what it waits for in the end: through awaits, task "
		       "groups, gathers, and through locks to whoever is inside of them. Without TASK, all "
		       "waiting tasks are told, those that end alike in one sentence; deadlocks come first. "
		       "With TASK, the whole chain of it.",
	.flags = CMD_TARGET | CMD_CORE | CMD_PAGER,
	.run = why_run,
};

/* stacktrace: every thread's stack. */
#include "cmd/command.h"
#include "show/json_types.h"
#include "cmd/page.h"
#include "query/shape.h"

static void thread_json(struct json *j, const struct thread_stack *t)
{
	json_object(j);
	json_key(j, "tid");
	json_int(j, t->tid);
	json_key(j, "name");
	json_str(j, t->name);
	json_key(j, "gil");
	if (t->gil < 0)
		json_null(j);
	else
		json_bool(j, t->gil);
	json_key(j, "loop");
	json_id(j, t->loop);
	json_key(j, "task");
	json_id(j, t->task);
	json_key(j, "frames");
	json_thread_frames(j, t->frames, t->nframes);
	json_key(j, "broken");
	json_str(j, t->broken);
	json_object_end(j);
}

static void thread_line(struct page *p, const struct snapshot *s, const struct thread_stack *t)
{
	const struct task *task = t->task ? snapshot_task(s, t->task) : NULL;
	size_t from = p->c->out->b.len;
	strbuf_fmt(&p->text, "Thread %d", (int)t->tid);
	page_put(p, "1");
	if (t->name)
		strbuf_fmt(&p->text, " %s", t->name);
	if (t->gil == 1)
		strbuf_str(&p->text, ", holds the GIL");
	if (t->loop) {
		strbuf_str(&p->text, ", runs loop ");
		strbuf_hex(&p->text, t->loop);
	}
	if (t->task) {
		strbuf_str(&p->text, ", in task ");
		shape_name(&p->text, task ? task->name : NULL, t->task);
	}
	page_put(p, NULL);
	strbuf_str(&p->c->out->b, !t->nframes ? (t->python ? ": no frames" : ": not of Python")
					      : " (most recent call last):");
	page_end_line(p, from, 4);
}

static void thread_text(struct page *p, const struct snapshot *s, const struct thread_stack *t)
{
	thread_line(p, s, t);
	page_thread_frames(p, t->frames, t->nframes, 2);
	if (t->broken) {
		strbuf_fmt(&p->text, "(%s)", t->broken);
		page_line(p, 2, "33");
	}
}

static void answer(struct call *c, const struct snapshot *s)
{
	struct page p = { .c = c, .source = { .target = call_target(c), .python = s->python } };
	call_answer(c, s);
	if (c->as_json) {
		json_key(&c->json, "threads");
		json_array(&c->json);
	} else if (c->many) {
		strbuf_fmt(&c->out->b, "%sPID %d: python %s\n", c->shown > 1 ? "\n" : "", (int)s->pid, s->python);
	}
	for (size_t i = 0; i < s->nthreads; i++) {
		if (c->as_json) {
			thread_json(&c->json, &s->threads[i]);
			continue;
		}
		if (i)
			strbuf_char(&c->out->b, '\n');
		thread_text(&p, s, &s->threads[i]);
	}
	if (c->as_json)
		json_array_end(&c->json);
	page_free(&p);
}

static int stacktrace_run(struct call *c)
{
	struct snapshot *s = NULL;
	unsigned what = SNAPSHOT_THREADS | (opt_given(&c->args, "native") ? SNAPSHOT_NATIVE : 0);
	err_t e = call_snapshot(c, what, &s);
	if (err_code(e) == E_NOASYNCIO) {
		err_free(e);
		e = call_snapshot(c, what | SNAPSHOT_NO_TASKS, &s);
	}
	if (!e)
		answer(c, s);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

static const struct option stacktrace_options[] = {
	{ "native", 0, NULL, "merge the C frames in" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_stacktrace = {
	.name = "stacktrace",
	.aliases = { "st", "stack" },
	.arguments = "",
	.summary = "every thread's Python stack",
	.description = "Shows the stack of every thread as Python prints it, which loop and task it runs and "
		       "whether it holds the GIL. Works for programs without asyncio too.",
	.options = stacktrace_options,
	.flags = CMD_TARGET | CMD_MANY | CMD_CORE | CMD_PAGER,
	.run = stacktrace_run,
};

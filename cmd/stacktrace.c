/* stacktrace: every thread's stack. */
#include "cmd/command.h"
#include "show/json_types.h"
#include "cmd/page.h"
#include "query/coalesce.h"
#include "query/shape.h"

/* Threads named on one line. */
#define NAMED 12

/* What is told: each thread, or with --coalesce one for all that are alike. */
struct threads {
	const struct snapshot *s;
	struct coalesced same;
	bool coalesced;
};

static bool alike(const void *ctx, uint32_t a, uint32_t b)
{
	const struct snapshot *s = ctx;
	return threads_alike(&s->threads[a], &s->threads[b]);
}

static uint64_t likeness(const void *ctx, uint32_t i)
{
	const struct snapshot *s = ctx;
	return thread_likeness(&s->threads[i]);
}

static err_t threads_make(struct threads *x, const struct snapshot *s, bool coalesced)
{
	struct kinds k = { .alike = alike, .ctx = s };
	*x = (struct threads){ .s = s, .coalesced = coalesced };
	if (!coalesced)
		return NULL;
	err_t e = coalesce(&x->same, s->nthreads, &k, likeness);
	kinds_free(&k);
	return e;
}

static size_t stands_for(const struct threads *x, size_t i)
{
	return x->coalesced ? x->same.count[i] : 1;
}

static void count_json(struct json *j, const struct threads *x, size_t i)
{
	json_key(j, "count");
	json_int(j, x->same.count[i]);
	json_key(j, "tids");
	json_array(j);
	for (size_t k = i, left = x->same.count[i]; left; k++)
		if (x->same.first[k] == i) {
			json_int(j, x->s->threads[k].tid);
			left--;
		}
	json_array_end(j);
}

static void thread_json(struct json *j, const struct threads *x, size_t i)
{
	const struct thread_stack *t = &x->s->threads[i];
	json_object(j);
	json_key(j, "tid");
	json_int(j, t->tid);
	json_key(j, "name");
	json_str(j, t->name);
	json_key(j, "title");
	json_str(j, t->title);
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
	json_thread_wait(j, "wait", t->wait);
	if (x->coalesced)
		count_json(j, x, i);
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

/* "×3 threads 101, 102, 103" */
static void threads_line(struct page *p, const struct threads *x, size_t i)
{
	size_t from = p->c->out->b.len, count = x->same.count[i], named = 0;
	strbuf_fmt(&p->text, "×%zu threads", count);
	page_put(p, "1");
	for (size_t k = i; k < x->s->nthreads && named < NAMED; k++)
		if (x->same.first[k] == i)
			strbuf_fmt(&p->text, "%s %d", named++ ? "," : "", (int)x->s->threads[k].tid);
	if (count > named)
		strbuf_fmt(&p->text, ", and %zu more", count - named);
	page_put(p, NULL);
	strbuf_str(&p->c->out->b, x->s->threads[i].nframes ? " (most recent call last):" : ": no frames");
	page_end_line(p, from, 4);
}

static void thread_text(struct page *p, const struct threads *x, size_t i)
{
	const struct thread_stack *t = &x->s->threads[i];
	if (stands_for(x, i) > 1)
		threads_line(p, x, i);
	else
		thread_line(p, x->s, t);
	page_thread_frames(p, t->frames, t->nframes, 2);
	if (t->broken) {
		strbuf_fmt(&p->text, "(%s)", t->broken);
		page_line(p, 2, "33");
	}
}

static err_t answer(struct call *c, const struct snapshot *s)
{
	struct page p = { .c = c, .source = { .target = call_target(c), .python = s->python } };
	struct threads x;
	TRY(threads_make(&x, s, opt_given(&c->args, "coalesce")));
	call_answer(c, s);
	if (c->as_json) {
		json_key(&c->json, "threads");
		json_array(&c->json);
	} else if (c->many) {
		strbuf_fmt(&c->out->b, "%sPID %d: python %s\n", c->shown > 1 ? "\n" : "", (int)s->pid, s->python);
	}
	for (size_t i = 0, told = 0; i < s->nthreads; i++) {
		if (!stands_for(&x, i))
			continue;
		if (c->as_json) {
			thread_json(&c->json, &x, i);
			continue;
		}
		if (told++)
			strbuf_char(&c->out->b, '\n');
		thread_text(&p, &x, i);
	}
	if (c->as_json)
		json_array_end(&c->json);
	page_free(&p);
	coalesced_free(&x.same);
	return NULL;
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
		e = answer(c, s);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

static const struct option stacktrace_options[] = {
	{ "native", 0, NULL, "merge the C frames in" },
	{ "coalesce", 0, NULL, "equal stacks once, with a count" },
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

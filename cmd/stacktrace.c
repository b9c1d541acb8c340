/* stacktrace: every thread's stack. */
#include "cmd/command.h"
#include "show/answers.h"
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

static void answer_text(struct call *c, const struct threads *x)
{
	struct page p = page_of(c, x->s);
	if (c->many)
		strbuf_fmt(&c->out->b, "%sPID %d: python %s\n", c->shown > 1 ? "\n" : "", (int)x->s->pid, x->s->python);
	for (size_t i = 0, told = 0; i < x->s->nthreads; i++) {
		if (!stands_for(x, i))
			continue;
		if (told++)
			strbuf_char(&c->out->b, '\n');
		thread_text(&p, x, i);
	}
	page_free(&p);
}

static err_t answer(struct call *c, const struct snapshot *s)
{
	struct threads x;
	TRY(threads_make(&x, s, opt_given(&c->args, "coalesce")));
	call_answer(c, s);
	if (c->as_json)
		json_threads(&c->json, s, x.coalesced ? &x.same : NULL);
	else
		answer_text(c, &x);
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

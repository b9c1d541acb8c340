/* save: a look, whole, in a file that other commands take as their target. */
#include "base/outfile.h"
#include "cmd/command.h"
#include "cmd/page.h"
#include "cmd/source_keep.h"
#include "snapshot/saved.h"
#include "tasks/narrow.h"

#define WRITER "asyncmon " ASYNCMON_VERSION

/* All that there is to see; of a Python without asyncio its threads. */
static err_t look(struct call *c, struct snapshot **out)
{
	err_t e = call_snapshot(c, SNAPSHOT_ALL, out);
	if (err_code(e) != E_NOASYNCIO)
		return e;
	err_free(e);
	TRY(call_snapshot(c, SNAPSHOT_ALL | SNAPSHOT_NO_TASKS, out));
	(*out)->no_asyncio = true;
	return NULL;
}

static err_t keep_sources(struct call *c, struct snapshot *s)
{
	if (!call_target(c))
		return NULL; /* of a saved look: it has them already */
	struct page p = page_of(c, s);
	err_t e = source_keep(&p.source, s);
	source_free(&p.source);
	return e;
}

static err_t write_file(struct outfile *file, const char *path, const struct snapshot *s, size_t *size)
{
	struct out o = { .fd = file->fd };
	err_t e = saved_write(s, WRITER, &o.b);
	*size = o.b.len;
	if (!e)
		out_flush(&o);
	if (!e && o.errnum)
		e = err_errno(E_IO, o.errnum, path);
	out_free(&o);
	return e ? e : outfile_keep(file);
}

static void answer(struct call *c, const struct snapshot *s, const char *path, size_t size)
{
	struct json *j = &c->json;
	call_answer(c, s);
	if (!c->as_json) {
		strbuf_escaped(&c->out->b, path);
		strbuf_fmt(&c->out->b, ": %zu task%s, %zu thread%s", s->ntasks, s->ntasks == 1 ? "" : "s", s->nthreads,
			   s->nthreads == 1 ? "" : "s");
		if (s->agent)
			strbuf_fmt(&c->out->b, ", %zu that ended", s->nended);
		strbuf_fmt(&c->out->b, "; %zu kB\n", (size + 1023) / 1024);
		return;
	}
	json_key(j, "saved");
	json_object(j);
	json_key(j, "file");
	json_str(j, path);
	json_key(j, "bytes");
	json_int(j, (int64_t)size);
	json_key(j, "tasks");
	json_int(j, (int64_t)s->ntasks);
	json_key(j, "threads");
	json_int(j, (int64_t)s->nthreads);
	json_key(j, "ended");
	json_int(j, (int64_t)s->nended);
	json_object_end(j);
}

static int save_run(struct call *c)
{
	struct snapshot *s = NULL;
	struct outfile file = { .fd = -1 };
	const char *path = c->nwords == 1 ? c->words[0] : NULL;
	size_t size = 0;
	err_t e = path ? NULL : err_new(E_USAGE, "save needs the name of one file to write, after the target");
	/* Before the target is stopped for nothing. */
	if (!e)
		e = outfile_begin(&file, path, 0600, opt_given(&c->args, "force"));
	if (!e)
		e = look(c, &s);
	if (!e)
		e = keep_sources(c, s);
	if (!e) {
		s->no_locals |= opt_given(&c->args, "no-locals");
		e = write_file(&file, path, s, &size);
	}
	outfile_end(&file);
	if (!e)
		answer(c, s, path, size);
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	return status;
}

static const struct option save_options[] = {
	{ "force", 0, NULL, "replace a file that is there already" },
	{ "no-locals", 0, NULL, "leave out arguments and locals, whose values may be secrets" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_save = {
	.name = "save",
	.arguments = "FILE",
	.summary = "a look, whole, in a file that every command that looks takes as its target",
	.description = "Looks once and writes all of it to FILE: tasks, threads with their C frames, what the agent "
		       "remembers, locals, the source lines of all stacks. Commands that only look take FILE where "
		       "they take a PID, on any machine, and answer as they would have then. Only its owner can "
		       "read FILE; it is there once it is whole.",
	.options = save_options,
	.flags = CMD_TARGET | CMD_CORE,
	.run = save_run,
};

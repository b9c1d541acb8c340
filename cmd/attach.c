/* attach: the interactive session. */
#include "cmd/procs.h"
#include "cmd/session.h"

#include <stdio.h>
#include <stdlib.h>

/* All values of -e, ended by NULL; NULL: none. */
static err_t script(const struct args *a, const char ***out)
{
	size_t n = 0;
	*out = NULL;
	if (!opt_given(a, "execute"))
		return NULL;
	const char **v = calloc(a->ngiven + 1, sizeof *v);
	if (!v)
		return ERR_NOMEM;
	for (size_t i = 0; i < a->ngiven; i++)
		if (a->given[i].opt->letter == 'e')
			v[n++] = a->given[i].value;
	*out = v;
	return NULL;
}

/* The words, and the processes of --tree. Each string is the caller's. */
static err_t targets(const struct call *c, char ***out, size_t *n)
{
	struct pids tree = { 0 };
	const char *root = opt_value(&c->args, "tree");
	if (root)
		TRY(pids_tree(root, &tree));
	char **v = calloc(c->nwords + tree.n + 1, sizeof *v);
	bool fine = v != NULL;
	*n = 0;
	for (size_t i = 0; fine && i < c->nwords; i++)
		fine = asprintf(&v[(*n)++], "%s", c->words[i]) >= 0;
	for (size_t i = 0; fine && i < tree.n; i++)
		fine = asprintf(&v[(*n)++], "%d", (int)tree.v[i]) >= 0;
	free(tree.v);
	*out = v;
	return fine ? NULL : ERR_NOMEM;
}

static err_t run(struct call *c, int *status)
{
	struct session s = { 0 };
	char **words = NULL;
	const char **lines = NULL;
	size_t n = 0;
	err_t e = targets(c, &words, &n);
	if (!e && !n)
		e = err_new(E_USAGE, "attach needs a target: a PID, a core file or a saved look");
	if (!e)
		e = script(&c->args, &lines);
	const struct session_opts o = {
		.targets = (const char *const *)words,
		.ntargets = n,
		.skip_others = opt_given(&c->args, "tree"),
		.script = lines,
		.rc = opt_value(&c->args, "rc"),
		.no_rc = opt_given(&c->args, "no-rc"),
		.target = {
			.exe = opt_value(&c->args, "exe"),
			.sysroot = opt_value(&c->args, "sysroot"),
			.debug_dir = opt_value(&c->args, "debug-dir"),
		},
	};
	for (size_t i = 0; i < n && !e && !o.skip_others; i++)
		e = call_wait(c, words[i], &o.target);
	if (!e)
		e = session_open(&s, &o);
	if (!e)
		*status = session_run(&s, &o);
	session_close(&s);
	for (size_t i = 0; i < n; i++)
		free(words[i]);
	free(words);
	free(lines);
	return e;
}

static int attach_run(struct call *c)
{
	int status = STATUS_FINE;
	err_t e = run(c, &status);
	/* A core that is not there is no task that was not found. */
	if (err_code(e) == E_NOTFOUND) {
		err_t io = err_new(E_IO, "%s", e->msg);
		err_free(e);
		e = io;
	}
	return e ? call_fail(c, e) : status;
}

static const struct option attach_options[] = {
	{ "execute", 'e', "LINE", "run this line in place of standard input; may be given again" },
	{ "tree", 0, "PID", "that process and those of its descendants that run Python with asyncio" },
	{ "rc", 0, "FILE", "run the lines of this start file first" },
	{ "no-rc", 0, NULL, "leave the start file alone" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_attach = {
	.name = "attach",
	.arguments = "TARGET...",
	.summary = "the interactive session: every command on a target that stays open",
	.description = "Opens a session in which every command works without its TARGET. The target runs "
		       "freely but for the moment in which a command looks; several sessions on one target "
		       "do not disturb each other. With -e, or where standard input is no terminal, the lines "
		       "are run without a word, and the exit status is that of the first that failed. "
		       "With several targets a task is called PID/TASK.\n"
		       "TARGET is a PID, or a file: an ELF core dump.",
	.options = attach_options,
	.flags = CMD_NO_SESSION | CMD_CORE,
	.run = attach_run,
};

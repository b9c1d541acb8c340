/* run: a program with the agent in it from its first task. */
#include "inject/agent_files.h"
#include "cmd/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"

/* Python's site imports sitecustomize from PYTHONPATH, whatever starts that Python and
 * however late; ours stands first there, and steps aside (agent/sitecustomize.py). */
static err_t prepare(const char *dir, bool children)
{
	const char *old = getenv("PYTHONPATH");
	struct strbuf path = { 0 };
	strbuf_fmt(&path, "%s/shim", dir);
	if (old && *old)
		strbuf_fmt(&path, ":%s", old);
	bool good = !path.failed && setenv("PYTHONPATH", path.s, 1) == 0 &&
		    setenv("ASYNCMON_RUN", children ? "children" : "first", 1) == 0;
	strbuf_free(&path);
	return good ? NULL : ERR_NOMEM;
}

/* What Python would be started without, and with nothing said. */
static err_t check_files(const char *dir)
{
	static const char *const files[] = { "shim/sitecustomize.py", "asyncmon_agent.py" };
	if (strchr(dir, ':'))
		return err_new(E_IO, "the agent's folder, %s, has a colon in its name: PYTHONPATH cannot hold it", dir);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[PATH_MAX];
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		if (access(path, R_OK) != 0)
			return err_errno(E_IO, errno, path);
	}
	return NULL;
}

/* The option by which this Python's command line has it ignore PYTHONPATH or
 * sitecustomize; 0: none, or no Python that can be told. */
static char isolation(const struct call *c)
{
	const char *slash = strrchr(c->words[0], '/'), *base = slash ? slash + 1 : c->words[0];
	if (strncmp(base, "python", 6) != 0)
		return 0;
	for (size_t i = 1; i < c->nwords && c->words[i][0] == '-' && c->words[i][1]; i++) {
		const char *w = c->words[i] + 1;
		size_t plain = *w == '-' ? 0 : strcspn(w, "cmXWQ"), at = strcspn(w, "IES");
		if (at < plain)
			return w[at];
		if (w[plain] == 'c' || w[plain] == 'm')
			return 0;
		/* -X and -W have a value, here or in the next word. */
		i += *w != '-' && w[plain] && !w[plain + 1];
	}
	return 0;
}

static int run_run(struct call *c)
{
	char *dir = NULL;
	err_t e = c->nwords ? agent_files_dir(&dir)
			    : err_new(E_USAGE, "run needs a command: asyncmon run -- CMD...");
	if (!e)
		e = check_files(dir);
	char **argv = e ? NULL : calloc(c->nwords + 1, sizeof *argv);
	if (!e && !argv)
		e = ERR_NOMEM;
	if (!e)
		e = prepare(dir, opt_given(&c->args, "children"));
	free(dir);
	if (e) {
		free(argv);
		return call_fail(c, e);
	}
	char alone = isolation(c);
	if (alone)
		fprintf(stderr, "asyncmon: with -%c Python takes no notice of what run sets up: it starts without "
			"the agent (inject can put it in later)\n", alone);
	for (size_t i = 0; i < c->nwords; i++)
		argv[i] = (char *)(uintptr_t)c->words[i];
	descriptors_restore();
	execvp(argv[0], argv);
	/* As a shell and env(1) have it. */
	int status = errno == ENOENT ? 127 : 126;
	call_fail(c, err_errno(errno == ENOENT ? E_NOTFOUND : E_IO, errno, argv[0]));
	free(argv);
	return status;
}

static const struct option run_options[] = {
	{ "children", 0, NULL, "also in the Pythons that a Python started so starts in turn" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_run = {
	.name = "run",
	.arguments = "-- CMD...",
	.summary = "start a program with the agent in it from its first task",
	.description = "Starts CMD with the agent in every Python that it becomes or starts: a script, a shell "
		       "script, a server with workers, python -m. A Python with the agent in gives the Pythons "
		       "it starts by exec the environment as it was, so that they run without; forked workers "
		       "have the agent. --children keeps the environment for all.",
	.options = run_options,
	.flags = CMD_REST | CMD_NO_SESSION,
	.run = run_run,
};

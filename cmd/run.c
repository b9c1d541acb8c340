/* run: a program with the agent in it from its first task, and what it does when it takes
 * too long. */
#include "inject/agent_files.h"
#include "cmd/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/signals.h"
#include "cmd/run_timed.h"
#include "query/list.h"

#define KILL_AFTER_S 10.0

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

/* Only what cannot start comes back: its status, as a shell and env(1) have it. */
static int become(struct call *c)
{
	char **argv = calloc(c->nwords + 1, sizeof *argv);
	if (!argv)
		return call_fail(c, ERR_NOMEM);
	for (size_t i = 0; i < c->nwords; i++)
		argv[i] = (char *)(uintptr_t)c->words[i];
	descriptors_restore();
	signals_restore_pipe();
	execvp(argv[0], argv);
	int status = errno == ENOENT ? 127 : 126;
	call_fail(c, err_errno(errno == ENOENT ? E_NOTFOUND : E_IO, errno, argv[0]));
	free(argv);
	return status;
}

/* Sets up the agent for what is started. */
static err_t prepare_agent(struct call *c)
{
	char *dir = NULL;
	TRY(agent_files_dir(&dir));
	err_t e = check_files(dir);
	if (!e)
		e = prepare(dir, opt_given(&c->args, "children"));
	free(dir);
	char alone = e ? 0 : isolation(c);
	if (alone)
		fprintf(stderr, "asyncmon: with -%c Python takes no notice of what run sets up: it starts without "
			"the agent (inject can put it in later)\n", alone);
	return e;
}

static err_t parse(const struct call *c, struct timed *t)
{
	const char *timeout = opt_value(&c->args, "timeout"), *after = opt_value(&c->args, "kill-after");
	*t = (struct timed){
		.kill_after = KILL_AFTER_S, .report = opt_value(&c->args, "report"),
		.agent = !opt_given(&c->args, "no-agent"),
	};
	if (!c->nwords)
		return err_new(E_USAGE, "run needs a command: asyncmon run -- CMD...");
	if (!timeout && (after || t->report))
		return err_new(E_USAGE, "--%s goes with --timeout", after ? "kill-after" : "report");
	if (timeout)
		TRY(duration_parse(timeout, &t->timeout));
	if (timeout && !(t->timeout > 0))
		return err_new(E_USAGE, "--timeout takes a duration that is longer than %s", timeout);
	return after ? duration_parse(after, &t->kill_after) : NULL;
}

static int run_run(struct call *c)
{
	struct timed t;
	bool in_command = true;
	int status = STATUS_FINE;
	err_t e = parse(c, &t);
	if (!e && t.agent)
		e = prepare_agent(c);
	if (!e && t.timeout > 0)
		e = run_timed(&t, &in_command, &status);
	if (e)
		return call_fail(c, e);
	return in_command ? become(c) : status;
}

static const struct option run_options[] = {
	{ "children", 0, NULL, "also in the Pythons that a Python started so starts in turn" },
	{ "no-agent", 0, NULL, "start it without the agent" },
	{ "timeout", 0, "DURATION", "when CMD is not done by then: say what its processes are doing, end "
				    "them all, exit 124" },
	{ "report", 0, "FILE", "say it there, not on stderr; no such file is left when CMD is done in time" },
	{ "kill-after", 0, "DURATION", "how long after SIGTERM to send SIGKILL (10s)" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_run = {
	.name = "run",
	.arguments = "-- CMD...",
	.summary = "start a program with the agent in it from its first task",
	.description = "Starts CMD with the agent in every Python that it becomes or starts: a script, a shell "
		       "script, a server with workers, python -m. A Python with the agent in gives the Pythons "
		       "it starts by exec the environment as it was, so that they run without; forked workers "
		       "have the agent. --children keeps the environment for all.\n"
		       "With --timeout, for CI: when the time is over, each Python process under CMD is looked "
		       "at as why, check, stacktrace --native, tree and ps-terminated do. Then all processes "
		       "under CMD get SIGTERM, and SIGKILL after --kill-after.",
	.options = run_options,
	.flags = CMD_REST | CMD_NO_SESSION,
	.run = run_run,
};

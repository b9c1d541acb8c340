/* inject: the agent put into a running process, or switched off there. */
#include "inject/agent_files.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "cmd/link.h"
#include "query/list.h"
#include "inject/limits.h"
#include "inject/seccomp.h"
#include "inject/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Loads the module from the bytes that came along, with nothing of it in any file, and
 * starts it. The shared object is opened through a memfd; where /proc is not mounted,
 * through a file that is gone before the text ends. The memfd's number is a high one: a
 * debugger will look for the path that stays in the link map, and must not find another
 * file there, which may be a pipe that it waits on. */
static const char start_text[] =
	"import sys\n"
	"def load(library):\n"
	"    import os, fcntl, importlib.machinery, importlib.util\n"
	"    name = '_asyncmon_agent'\n"
	"    gone = None\n"
	"    if hasattr(os, 'memfd_create') and os.path.exists('/proc/self/fd'):\n"
	"        f = os.memfd_create('libasyncmon-agent.so')\n"
	"        for high in (1000, 500, 200):\n"
	"            try:\n"
	"                g = fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, high)\n"
	"            except OSError:\n"
	"                continue\n"
	"            os.close(f)\n"
	"            f = g\n"
	"            break\n"
	"        path = '/proc/self/./fd/%d' % f\n"
	"    else:\n"
	"        import tempfile\n"
	"        f, path = tempfile.mkstemp(prefix='libasyncmon-agent.so.')\n"
	"        gone = path\n"
	"    try:\n"
	"        view = memoryview(library)\n"
	"        while view:\n"
	"            view = view[os.write(f, view):]\n"
	"        spec = importlib.util.spec_from_loader(name, importlib.machinery.ExtensionFileLoader(name, path))\n"
	"        module = importlib.util.module_from_spec(spec)\n"
	"        spec.loader.exec_module(module)\n"
	"        return module\n"
	"    finally:\n"
	"        os.close(f)\n"
	"        if gone:\n"
	"            os.unlink(gone)\n"
	"def go(history, memory):\n"
	"    data = blob()\n"
	"    n = int.from_bytes(data[:8], 'little')\n"
	"    agent = sys.modules.get('asyncmon_agent')\n"
	"    if agent is None:\n"
	"        agent = type(sys)('asyncmon_agent')\n"
	"        exec(compile(data[8:8 + n], '<asyncmon_agent>', 'exec'), agent.__dict__)\n"
	"        agent._native = load(data[8 + n:])\n"
	"        sys.modules['asyncmon_agent'] = agent\n"
	"    if agent.running() is not None:\n"
	"        return 'running'\n"
	"    agent.start(history=history or None, memory=memory or None)\n"
	"    return 'started'\n";

static const char remove_text[] =
	"import sys\n"
	"agent = sys.modules.get('asyncmon_agent')\n"
	"was = agent is not None and agent.running() is not None\n"
	"if was:\n"
	"    agent.stop()\n"
	"reply = 'removed' if was else 'absent'\n";

/* The agent's own default, in bytes (agent/memory.c). */
#define MEMORY (64ull << 20)

static err_t number(const struct args *a, const char *option, double unit, unsigned long long *v)
{
	const char *text = opt_value(a, option);
	size_t n = 0;
	*v = 0;
	if (!text)
		return NULL;
	TRY(count_parse(option, text, &n));
	*v = (unsigned long long)((double)n * unit);
	return NULL;
}

struct wanted {
	bool remove;
	unsigned long long history, memory;
	uint64_t left;           /* of memory, where that is why the agent gets less; else 0 */
	unsigned deadline_ms;
};

static err_t parse(struct call *c, struct wanted *w)
{
	double s = 10;
	const char *timeout = opt_value(&c->args, "timeout");
	w->remove = opt_given(&c->args, "remove");
	TRY(number(&c->args, "history", 1, &w->history));
	TRY(number(&c->args, "memory", 1 << 20, &w->memory));
	if (timeout)
		TRY(duration_parse(timeout, &s));
	if (!(s > 0 && s < 86400))
		return err_new(E_USAGE, "--timeout takes a duration up to a day, not %s", timeout);
	w->deadline_ms = (unsigned)(s * 1000) + 1;
	return NULL;
}

/* The memory that the agent may take, where the process may not take much more itself. */
static err_t fit(struct call *c, struct wanted *w)
{
	uint64_t left = limits_memory_left(call_target(c));
	if (w->memory && w->memory > left / 2)
		return err_new(E_UNSUPPORTED, "the process may take only %llu MiB more (setrlimit, control group), and "
			       "--memory asks for more than half of that", (unsigned long long)(left >> 20));
	uint64_t share = limits_memory_share(left, MEMORY);
	if (w->memory || share == MEMORY)
		return NULL;
	w->memory = share;
	w->left = left;
	return NULL;
}

/* The module's source, behind its length, then the shared object. */
static err_t payload(struct strbuf *b)
{
	char *dir = NULL, *source = NULL, *library = NULL;
	size_t source_len = 0, library_len = 0;
	err_t e = agent_files_dir(&dir);
	if (!e)
		e = agent_file_read(dir, "asyncmon_agent.py", &source, &source_len);
	if (!e)
		e = agent_file_read(dir, "libasyncmon-agent.so", &library, &library_len);
	if (!e) {
		uint64_t n = source_len;
		strbuf_add(b, (const char *)&n, sizeof n);
		strbuf_add(b, source, source_len);
		strbuf_add(b, library, library_len);
		if (b->failed)
			e = ERR_NOMEM;
	}
	free(dir);
	free(source);
	free(library);
	return e;
}

static err_t inject(struct call *c, const struct wanted *w, char **reply)
{
	struct inject_site *site = calloc(1, sizeof *site);
	struct strbuf text = { 0 }, blob = { 0 };
	struct inject_text x = {
		.deadline_ms = w->deadline_ms,
		.uses = w->remove ? 0 : USE_AGENT,
		.force = opt_given(&c->args, "force"),
		.thread_at = link_thread_at,
		.arg = c,
	};
	err_t e = site ? inject_site_find(c->cap->python, site) : ERR_NOMEM;
	if (!e && !w->remove)
		e = payload(&blob);
	if (w->remove)
		strbuf_str(&text, remove_text);
	else
		strbuf_fmt(&text, "%sreply = go(%llu, %llu)\n", start_text, w->history, w->memory);
	x.text = text.s;
	x.blob = blob.s;
	x.blob_len = x.file_bytes = blob.len;
	if (!e)
		e = text.failed ? ERR_NOMEM : inject_run(call_target(c), site, &x, reply);
	strbuf_free(&text);
	strbuf_free(&blob);
	free(site);
	return e;
}

/* From 3.12 on each interpreter has types of its own, and what is injected runs in the
 * main one. */
static bool others_untouched(const struct python *py, const struct snapshot *s)
{
	for (size_t i = 0; i < s->nloops; i++)
		if (s->loops[i].interpreter && py->layout.interp_types)
			return true;
	return false;
}

static void say_limits(const struct call *c, const struct wanted *w, struct snapshot *s, const char *reply)
{
	bool running = strcmp(reply, "running") == 0;
	if (w->left && !running && !w->remove)
		snapshot_note(s, "The agent uses %llu MiB at most, for the process may take only %llu MiB more (setrlimit, "
			      "control group).", w->memory >> 20, (unsigned long long)(w->left >> 20));
	if (running && (w->history || (w->memory && !w->left)))
		snapshot_note(s, "The agent keeps the limits that it was started with: --history and --memory count "
			      "for one that starts (inject --remove switches it off).");
	if ((running || strcmp(reply, "started") == 0) && others_untouched(c->cap->python, s))
		snapshot_note(s, "Tasks of subinterpreters are not recorded by it: start it in each, by "
			      "asyncmon_agent.start() or asyncmon run.");
}

static void answer(struct call *c, const struct snapshot *s, const char *reply)
{
	static const struct { const char *outcome, *text; } said[] = {
		{ "started", "The agent was put into process %d (Python %s).\n" },
		{ "running", "The agent is in process %d (Python %s) already.\n" },
		{ "removed", "The agent in process %d (Python %s) was switched off.\n" },
		{ "absent", "There is no agent in process %d (Python %s).\n" },
	};
	call_answer(c, s);
	if (c->as_json) {
		json_key(&c->json, "outcome");
		json_str(&c->json, reply);
		return;
	}
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (strcmp(reply, said[i].outcome) == 0)
			strbuf_fmt(&c->out->b, said[i].text, (int)s->pid, s->python);
}

static int inject_run_command(struct call *c)
{
	struct snapshot *s = NULL;
	struct wanted w = { 0 };
	char *reply = NULL;
	err_t e = parse(c, &w);
	/* A target without asyncio is none for the agent: the look says so. */
	if (!e)
		e = call_snapshot(c, 0, &s);
	snapshot_free(s);
	s = NULL;
	if (!e && !w.remove)
		e = fit(c, &w);
	if (!e)
		e = inject(c, &w, &reply);
	if (!e)
		e = call_snapshot(c, 0, &s);
	if (!e) {
		say_limits(c, &w, s, reply ? reply : "");
		answer(c, s, reply ? reply : "");
	}
	int status = e ? call_fail(c, e) : call_end(c, s);
	snapshot_free(s);
	free(reply);
	return status;
}

static const struct option inject_options[] = {
	{ "remove", 0, NULL, "switch the agent off" },
	{ "history", 0, "N", "how many ended tasks to remember" },
	{ "memory", 0, "MIB", "how much memory the agent may use at most (64)" },
	{ "timeout", 0, "DURATION", "how long to wait until the target looks (10s)" },
	{ "force", 0, NULL, "also where a seccomp filter may kill the process for it" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_inject = {
	.name = "inject",
	.arguments = "",
	.summary = "put the agent into a running process, or switch it off",
	.description = "Has the process load the agent, which from then on remembers who created, cancelled and "
		       "ended each task. Nothing but data is changed in the process; where it does not look "
		       "before the timeout, that is taken back and the reason said.",
	.options = inject_options,
	.flags = CMD_TARGET | CMD_WRITES,
	.run = inject_run_command,
};

/* From a command line to a command: which one, its options, its targets, where its
 * output goes. */
#include "cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/hands.h"
#include "base/oom.h"
#include "cmd/capture.h"
#include "cmd/procs.h"
#include "query/shape.h"

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
		for (size_t k = 0; commands[i]->aliases[k]; k++)
			if (!strcmp(commands[i]->aliases[k], name))
				return commands[i];
	}
	return NULL;
}

void command_sets(const struct command *cmd, struct args *a)
{
	size_t n = 0;
	if (cmd->options) // NOLINT(clang-analyzer-core.NullDereference): command_lookup() gave it
		a->sets[n++] = cmd->options;
	if (cmd->flags & CMD_SELECT)
		a->sets[n++] = options_select;
	if (cmd->flags & CMD_LIST)
		a->sets[n++] = options_list;
	if (cmd->flags & CMD_MANY)
		a->sets[n++] = options_many;
	a->sets[n++] = options_common;
	a->sets[n] = NULL;
}

bool command_takes(const struct command *cmd, const struct option *o)
{
	static const char *const always[] = { "json", "help" }, *const of_cores[] = { "exe", "sysroot", "debug-dir" };
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		if (strcmp(o->name, always[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof of_cores / sizeof *of_cores; i++)
		if (strcmp(o->name, of_cores[i]) == 0)
			return cmd->flags & CMD_CORE;
	return cmd->flags & (CMD_TARGET | CMD_CORE) && !(cmd->flags & CMD_NO_LOOK);
}

static bool known(const struct command *cmd, bool session)
{
	return !(cmd->flags & (session ? CMD_NO_SESSION : CMD_SESSION));
}

static err_t unknown_command(const char *name, bool session)
{
	struct nearest near = { .word = name };
	for (size_t i = 0; commands[i]; i++)
		if (known(commands[i], session) && !(commands[i]->flags & CMD_HIDDEN))
			nearest_try(&near, commands[i]->name);
	if (near.best)
		return err_new(E_USAGE, "there is no command %s; did you mean %s?", name, near.best);
	return err_new(E_USAGE, "there is no command %s; %s lists them", name,
		       session ? "help" : "asyncmon --help");
}

static err_t by_prefix(const char *name, const struct command **out)
{
	struct strbuf b = { 0 };
	size_t n = 0;
	for (size_t i = 0; *name && commands[i]; i++) {
		if (strncmp(commands[i]->name, name, strlen(name)) != 0 || !known(commands[i], true))
			continue;
		strbuf_fmt(&b, "%s%s", n++ ? ", " : "", commands[i]->name);
		*out = commands[i];
	}
	err_t e = n > 1 ? err_new(E_USAGE, "%s could be %s", name, b.s) : NULL;
	strbuf_free(&b);
	return e ? e : n ? NULL : unknown_command(name, true);
}

err_t command_lookup(const char *name, bool session, const struct command **out)
{
	const struct command *cmd = command_find(name);
	if (!cmd)
		return session ? by_prefix(name, out) : unknown_command(name, session);
	if (!known(cmd, session))
		return err_new(E_USAGE, session ? "%s is not a command of the session"
						: "%s is a command of the session (asyncmon attach)", cmd->name);
	*out = cmd;
	return NULL;
}

static err_t where_of(const struct args *a)
{
	const char *which = opt_value(a, "where");
	bool innermost = which && strcmp(which, "innermost") == 0;
	if (which && !innermost && strcmp(which, "user") != 0)
		return err_new(E_USAGE, "--where takes user or innermost, not %s", which);
	shape_set_where(innermost ? WHERE_INNERMOST : WHERE_USER);
	return NULL;
}

static err_t colour_of(const struct args *a, enum term_when *when)
{
	const char *v = opt_value(a, "color");
	*when = !v || !strcmp(v, "auto") ? WHEN_AUTO : !strcmp(v, "always") ? WHEN_ALWAYS : WHEN_NEVER;
	if (v && *when == WHEN_NEVER && strcmp(v, "never") != 0)
		return err_new(E_USAGE, "--color is auto, always or never, not %s", v);
	return NULL;
}

/* Runs the command on one target and closes what it opened. */
static int run_one(struct call *c, struct capture *held)
{
	c->cap = held;
	int status = c->cmd->run(c);
	if (c->cap != held)
		capture_close(c->cap);
	c->cap = held;
	return status;
}

static void run_next(struct call *c, const char *target, int *worst)
{
	c->target = target;
	int status = run_one(c, NULL);
	*worst = status > *worst ? status : *worst;
}

static void many_end(struct call *c)
{
	if (c->as_json && c->shown) {
		json_array_end(&c->json);
		json_object_end(&c->json);
	}
	c->many = c->skippable = false;
}

/* Several targets, an answer each. With --tree, those of the tree that have no asyncio
 * to show are left out. */
static int run_many(struct call *c, const struct pids *tree)
{
	int worst = STATUS_FINE;
	c->many = true;
	for (size_t i = 0; i < c->args.nwords && worst != STATUS_USAGE; i++)
		run_next(c, c->args.words[i], &worst);
	c->skippable = true;
	for (size_t i = 0; i < tree->n && worst != STATUS_USAGE; i++) {
		char word[24];
		snprintf(word, sizeof word, "%d", (int)tree->v[i]);
		run_next(c, word, &worst);
	}
	c->target = NULL;
	many_end(c);
	if (!c->shown && !worst)
		return call_fail(c, err_new(E_NOTPYTHON,
			"neither process %s nor any descendant of it runs Python with asyncio",
			opt_value(&c->args, "tree")));
	return worst;
}

static int run_targets(struct call *c)
{
	struct pids tree = { 0 };
	const char *root = c->cmd->flags & CMD_MANY ? opt_value(&c->args, "tree") : NULL;
	err_t e = root ? pids_tree(root, &tree) : NULL;
	if (e)
		return call_fail(c, e);
	if (!root && c->args.nwords == 0)
		return call_fail(c, err_new(E_USAGE, "%s needs a target: %s", c->cmd->name,
					      c->cmd->flags & CMD_CORE ? "a PID, a core file or a saved look" : "a PID"));
	if (root || (c->cmd->flags & CMD_MANY && c->args.nwords > 1)) {
		int status = run_many(c, &tree);
		free(tree.v);
		return status;
	}
	c->target = c->args.words[0];
	c->words = c->args.words + 1;
	c->nwords = c->args.nwords - 1;
	return run_one(c, NULL);
}

/* Which of the targets held a word means: "PID/rest", or "PID" where there are several;
 * *len: how much of it says that. h->n: none of them. */
static size_t chosen(const struct held *h, const char *word, size_t *len)
{
	size_t digits = strspn(word, "0123456789"), i = 0;
	if (!digits || (word[digits] != '/' && (word[digits] || h->n < 2)))
		return h->n;
	while (i < h->n && (!capture_is_process(h->caps[i]) || capture_pid(h->caps[i]) != atol(word)))
		i++;
	*len = i < h->n ? digits + (word[digits] == '/') : 0;
	return i;
}

/* Takes what chooses a target from the words of c: c->words are the others. */
static err_t choose(struct call *c, const struct held *h, size_t *which)
{
	size_t n = 0;
	*which = h->n;
	for (size_t i = 0; i < c->args.nwords; i++) {
		const char *word = c->args.words[i];
		size_t len = 0, k = c->cmd->flags & CMD_REST ? h->n : chosen(h, word, &len);
		if (k < h->n && *which < h->n && k != *which)
			return err_new(E_USAGE, "%s takes the tasks of one process at a time", c->cmd->name);
		if (k < h->n)
			*which = k;
		if (!len || word[len - 1] == '/')
			c->args.words[n++] = word + len;
	}
	c->words = c->args.words;
	c->nwords = n;
	if (h->n == 1)
		*which = 0;
	return NULL;
}

static int run_held(struct call *c, const struct held *h)
{
	size_t which;
	int worst = STATUS_FINE;
	err_t e = choose(c, h, &which);
	if (!e && c->cmd->flags & CMD_MANY && c->nwords)
		e = err_new(E_USAGE, "%s of the session takes no %s", c->cmd->name, c->words[0]);
	if (!e && which == h->n && (c->nwords || c->cmd->flags & CMD_WRITES))
		e = err_new(E_USAGE, "which process? Say PID/%s", c->nwords ? c->words[0] : "TASK");
	if (e)
		return call_fail(c, e);
	if (which < h->n)
		return run_one(c, h->caps[which]);
	c->many = c->skippable = true;
	for (size_t i = 0; i < h->n; i++) {
		char word[24];
		snprintf(word, sizeof word, "%d", (int)capture_pid(h->caps[i]));
		c->target = word;
		int status = run_one(c, h->caps[i]);
		worst = status > worst ? status : worst;
		if (status == STATUS_USAGE)
			break;
	}
	many_end(c);
	return worst;
}

static int run(struct call *c, const struct held *h)
{
	c->session = h ? h->session : NULL;
	bool target = c->cmd->flags & CMD_TARGET && !(c->cmd->alone && opt_given(&c->args, c->cmd->alone));
	if (h && target)
		return run_held(c, h);
	if (target)
		return run_targets(c);
	c->words = c->args.words;
	c->nwords = c->args.nwords;
	return run_one(c, NULL);
}

static int help(struct call *c)
{
	usage_command(&c->out->b, c->cmd);
	return STATUS_FINE;
}

static bool taller_than_screen(const struct strbuf *b, unsigned rows)
{
	unsigned n = 0;
	for (const char *p = b->s; p && (p = strchr(p, '\n')) && n < rows; p++)
		n++;
	return n + 1 >= rows;
}

/* What was held back for the pager, to it or to stdout. */
static void deliver(struct call *c)
{
	pid_t pid = 0;
	int pager = c->out->fd < 0 && taller_than_screen(&c->out->b, c->term.height) ? pager_start(&c->term, &pid) : -1;
	c->out->fd = pager >= 0 ? pager : STDOUT_FILENO;
	out_flush(c->out);
	if (pager >= 0) {
		pager_finish(pager, pid);
		c->out->errnum = 0;
	}
}

static void write_all(int fd, const char *s, size_t n)
{
	for (ssize_t put; n && ((put = write(fd, s, n)) > 0 || errno == EINTR); s += put > 0 ? put : 0)
		n -= put > 0 ? (size_t)put : 0;
}

/* Everything out: data first, then the notes. A reader that has gone is no failure of
 * ours worth a word, but nothing was delivered either. */
static int finish(struct call *c, int status)
{
	deliver(c);
	if (c->out->errnum && c->out->errnum != EPIPE) {
		call_note(c, "writing to standard output: %s", strerror(c->out->errnum));
		status = status ? status : STATUS_ATTACH;
	}
	if (oom_noted() && status <= STATUS_FINDING) {
		call_note(c, "memory was out while the answer was made: something may be missing from it");
		status = STATUS_INCOMPLETE;
	}
	/* Written without a buffer of stdio's, which there may be no memory for. */
	static const char nomem[] = "asyncmon: out of memory\n";
	write_all(STDERR_FILENO, c->notes->s, c->notes->len);
	if (c->notes->failed)
		write_all(STDERR_FILENO, nomem, sizeof nomem - 1);
	strbuf_free(c->notes);
	out_free(c->out);
	args_free(&c->args);
	return status;
}

static err_t prepare(struct call *c, const struct args *before, int argc, char **argv, bool session)
{
	enum term_when when = WHEN_AUTO;
	TRY(command_lookup(argv[0], session, &c->cmd));
	command_sets(c->cmd, &c->args);
	for (size_t i = 0; before && i < before->ngiven; i++)
		TRY(args_give(&c->args, before->given[i].opt, before->given[i].value));
	TRY(args_parse(&c->args, argc - 1, argv + 1, c->cmd->flags & CMD_REST ? UNTIL_WORD : UNTIL_END));
	TRY(colour_of(&c->args, &when));
	TRY(where_of(&c->args));
	term_look(&c->term, when);
	return NULL;
}

static bool asks_json(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], "--json"))
			return true;
	return false;
}

/* Whether the command that runs prints JSON; for the one who ends it from another thread. */
static bool running_json;

/* The command is stuck in the kernel, for good: this is all that is said. */
static int stuck(const char *message)
{
	static char *json[] = { "--json" };
	return command_fail(err_new(E_BUSY, "%s", message), running_json, json);
}

int command_run(const struct args *before, struct capture *cap, int argc, char **argv)
{
	const struct held h = { .caps = &cap, .n = 1 };
	return command_run_held(before, cap ? &h : NULL, argc, argv);
}

int command_run_held(const struct args *before, const struct held *h, int argc, char **argv)
{
	struct out out = { .fd = STDOUT_FILENO };
	struct strbuf notes = { 0 };
	struct call c = { .out = &out, .notes = &notes, .json.out = &out };
	err_t e = prepare(&c, before, argc, argv, h != NULL);
	int status;
	c.as_json = opt_given(&c.args, "json") || asks_json(argc, argv);
	running_json = c.as_json;
	hang_watch(stuck);
	if (!e && opt_given(&c.args, "help")) {
		status = help(&c);
	} else {
		if ((h && h->text) || (!e && c.cmd->flags & CMD_PAGER && c.term.out && !c.as_json))
			out.fd = -1;
		/* What is read by a program, or drawn over, has nobody to be chatty to, and no
		 * screen that rows would be folded for. */
		if (h && h->text)
			c.term.err = false, c.term.height = 0;
		status = e ? call_fail(&c, e) : run(&c, h);
		if (c.json.comma)
			json_end(&c.json);
	}
	if (h && h->text) {
		strbuf_add(h->text, out.b.s ? out.b.s : "", out.b.len);
		strbuf_clear(&out.b);
	}
	return finish(&c, status);
}

int command_fail(err_t e, int argc, char **argv)
{
	struct out out = { .fd = STDOUT_FILENO };
	struct strbuf notes = { 0 };
	struct call c = { .out = &out, .notes = &notes, .json.out = &out, .as_json = asks_json(argc, argv) };
	int status = call_fail(&c, e);
	if (c.as_json)
		json_end(&c.json);
	return finish(&c, status);
}

#include "cmd/offers.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "cmd/procs.h"
#include "base/signals.h"
#include "query/findings.h"
#include "watch/trace.h"
#include "show/list_look.h"

/* How long a look at the target serves, in seconds; and what is listed of it. */
#define FRESH 2
#define MOST 20000

static void clear(struct offers *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].word);
		free(o->v[i].about);
	}
	o->n = 0;
	o->files = o->goes_on = false;
	strbuf_clear(&o->head);
}

/* Whether a terminal shows the word as it is. */
static bool printable(const char *word)
{
	struct strbuf b = { 0 };
	strbuf_escaped(&b, word);
	bool same = b.s && strcmp(b.s, word) == 0;
	strbuf_free(&b);
	return same;
}

static void offer(struct offers *o, const char *prefix, const char *word, const char *about)
{
	if (!word || strncmp(word, prefix, strlen(prefix)) != 0 || !printable(word) || o->n >= MOST)
		return;
	struct strbuf b = { 0 }, whole = { 0 };
	if (about)
		strbuf_escaped(&b, about);
	strbuf_fmt(&whole, "%s%s", o->head.s ? o->head.s : "", word);
	if (whole.failed || !vec_push(o, (struct offer){ whole.s, b.s })) {
		strbuf_free(&whole);
		strbuf_free(&b);
	}
}

/* A name that is written in capitals, but may be typed in small letters. */
static void offer_capitals(struct offers *o, const char *prefix, const char *word, const char *about)
{
	char small[64];
	size_t n = strlen(word);
	if (!islower((unsigned char)*prefix) || n >= sizeof small) {
		offer(o, prefix, word, about);
		return;
	}
	for (size_t i = 0; i <= n; i++)
		small[i] = (char)tolower((unsigned char)word[i]);
	offer(o, prefix, small, about);
}

/* ---- looks ---- */

static void forget_looks(struct offers *o)
{
	const struct session *s = o->s ? o->s : &o->own;
	for (size_t i = 0; o->snaps && i < s->n; i++)
		snapshot_free(o->snaps[i]);
	free(o->snaps);
	o->snaps = NULL;
}

/* The target of a shell's line, held as a session holds its own. */
static void open_target(struct offers *o, const char *word)
{
	const struct target_opts none = { 0 };
	struct session *s = &o->own;
	if (o->s || s->n || !word)
		return;
	s->caps = calloc(1, sizeof *s->caps);
	s->ended = calloc(1, sizeof *s->ended);
	err_t e = s->caps && s->ended ? capture_open(word, &none, s->caps) : ERR_NOMEM;
	s->n = !e;
	err_free(e);
}

static const struct session *take_looks(struct offers *o)
{
	const struct session *s = o->s ? o->s : &o->own;
	time_t now = time(NULL);
	if (o->snaps && now - o->taken < FRESH)
		return s;
	forget_looks(o);
	o->snaps = calloc(s->n + 1, sizeof *o->snaps);
	o->taken = now;
	for (size_t i = 0; o->snaps && i < s->n; i++)
		if (!s->ended[i])
			err_free(capture_take(s->caps[i], SNAPSHOT_ENDED, &o->snaps[i]));
	return s;
}

/* Calls fn with each snapshot that could be had. */
static void each_look(struct offers *o, const char *prefix,
		      void (*fn)(struct offers *o, const char *prefix, const struct snapshot *s, const char *process))
{
	const struct session *s = take_looks(o);
	for (size_t i = 0; o->snaps && i < s->n; i++) {
		char process[24] = "";
		if (s->n > 1)
			snprintf(process, sizeof process, "%d/", (int)capture_pid(s->caps[i]));
		if (o->snaps[i])
			fn(o, prefix, o->snaps[i], process);
	}
}

/* ---- kinds of words ---- */

struct program_offer { struct offers *o; const char *prefix; };

static void program(void *ctx, const char *name)
{
	struct program_offer *p = ctx;
	offer(p->o, p->prefix, name, "a program on PATH");
}

static void commands_of(struct offers *o, const char *prefix)
{
	struct program_offer p = { o, prefix };
	for (size_t i = 0; commands[i]; i++)
		if (!(commands[i]->flags & ((o->s ? CMD_NO_SESSION : CMD_SESSION) | CMD_HIDDEN)))
			offer(o, prefix, commands[i]->name, commands[i]->summary);
	for (const struct alias *a = o->s ? o->s->aliases : NULL; a; a = a->next)
		offer(o, prefix, a->name, a->text);
	if (o->s)
		program_each(program, &p);
}

/* cmd NULL: before any command. */
static void options_of(struct offers *o, const struct command *cmd, const struct option *const *sets, const char *prefix)
{
	char word[64];
	for (; *sets; sets++)
		for (const struct option *x = *sets; x->name; x++) {
			snprintf(word, sizeof word, "--%s", x->name);
			if (!cmd || *sets != options_common || command_takes(cmd, x))
				offer(o, prefix, word, x->help);
		}
}

static void pids_of(struct offers *o, const char *prefix)
{
	struct processes p = { 0 };
	char word[24];
	err_free(processes_of_python(&p));
	for (size_t i = 0; i < p.n; i++) {
		snprintf(word, sizeof word, "%d", (int)p.v[i].pid);
		offer(o, prefix, word, p.v[i].command);
	}
	processes_free(&p);
}

static void targets_of(struct offers *o, const char *prefix)
{
	pids_of(o, prefix);
	o->files = true;
}

/* Its name; where a terminal would not show that as it is, its id. Ids and serials else
 * only where one was begun. */
static void task_of(struct offers *o, const char *prefix, const struct task *t, const char *process)
{
	char word[64], *name = NULL;
	bool named = t->name && *t->name && printable(t->name);
	snprintf(word, sizeof word, "%s0x%llx", process, (unsigned long long)t->id);
	if (*prefix || !named)
		offer(o, prefix, word, t->coro);
	snprintf(word, sizeof word, "%s#%lld", process, (long long)t->serial);
	if (*prefix && t->serial >= 0)
		offer(o, prefix, word, t->coro);
	if (named && asprintf(&name, "%s%s", process, t->name) >= 0) {
		offer(o, prefix, name, t->coro);
		free(name);
	}
}

static void tasks_of(struct offers *o, const char *prefix, const struct snapshot *s, const char *process)
{
	for (size_t i = 0; i < s->ntasks; i++)
		task_of(o, prefix, &s->tasks[i], process);
}

static void ended_of(struct offers *o, const char *prefix, const struct snapshot *s, const char *process)
{
	char word[32];
	(void)process;
	for (size_t i = 0; i < s->nended; i++) {
		snprintf(word, sizeof word, "#%lld", (long long)s->ended[i].serial);
		offer(o, prefix, word, s->ended[i].coro);
	}
}

static void coros_of(struct offers *o, const char *prefix, const struct snapshot *s, const char *process)
{
	(void)process;
	for (size_t i = 0; i < s->ntasks; i++)
		offer(o, prefix, s->tasks[i].coro, NULL);
}

static void loops_of(struct offers *o, const char *prefix, const struct snapshot *s, const char *process)
{
	char word[32];
	(void)process;
	for (size_t i = 0; i < s->nloops; i++) {
		snprintf(word, sizeof word, "0x%llx", (unsigned long long)s->loops[i].id);
		offer(o, prefix, word, s->loops[i].type);
	}
}

static void signals_of(struct offers *o, const char *prefix)
{
	for (int n = 1; n < NSIG; n++)
		offer(o, prefix, signal_name(n), strsignal(n));
}

static void words_of(struct offers *o, const char *prefix, const char *const *words)
{
	for (; *words; words++)
		offer(o, prefix, *words, NULL);
}

/* ---- values of options ---- */

static void colours(struct offers *o, const char *prefix, const struct command *cmd)
{
	static const char *const words[] = { "auto", "always", "never", NULL };
	(void)cmd;
	words_of(o, prefix, words);
}

static void severities(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	for (int i = FINDING_ERROR; i >= FINDING_INFO; i--)
		offer(o, prefix, severity_name(i), NULL);
}

static void rules_of(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	for (const struct rule *r = rules; r->name; r++)
		offer(o, prefix, r->name, r->about);
}

static void groups(struct offers *o, const char *prefix, const struct command *cmd)
{
	for (const struct column *const *c = cmd->list ? cmd->list->groups_by : NULL; c && *c; c++)
		offer(o, prefix, (*c)->name, NULL);
}

static void states(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	for (unsigned i = 0; i < TASK_STATES; i++)
		offer(o, prefix, task_state_name(i), NULL);
}

static void columns(struct offers *o, const char *prefix, const struct command *cmd)
{
	for (const struct column *c = cmd->list ? cmd->list->columns : NULL; c && c->name; c++)
		offer_capitals(o, prefix, c->name, c->help);
}

static void coros(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	each_look(o, prefix, coros_of);
}

static void loops(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	each_look(o, prefix, loops_of);
}

static void formats(struct offers *o, const char *prefix, const struct command *cmd)
{
	static const char *const of_trace[] = { "text", "json", "perfetto", NULL };
	static const char *const of_flame[] = { "collapsed", "speedscope", "html", NULL };
	words_of(o, prefix, strcmp(cmd->name, "trace") == 0 ? of_trace : of_flame);
}

static void events(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	for (enum trace_kind k = 0; k < TRACE_LOST; k++)
		offer(o, prefix, trace_kind_name(k), NULL);
}

static void pids(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)cmd;
	pids_of(o, prefix);
}

static void files(struct offers *o, const char *prefix, const struct command *cmd)
{
	(void)prefix;
	(void)cmd;
	o->files = true;
}

static const struct {
	const char *option;
	void (*offer)(struct offers *o, const char *prefix, const struct command *cmd);
	bool list;               /* several, with commas between them */
} values[] = {
	{ "color", colours, false }, { "fail-on", severities, false }, { "rule", rules_of, false },
	{ "group-by", groups, false }, { "state", states, true }, { "sort", columns, false },
	{ "output", columns, true }, { "coro", coros, false }, { "filter", coros, false },
	{ "loop", loops, false }, { "tree", pids, false }, { "exe", files, false },
	{ "sysroot", files, false }, { "debug-dir", files, false }, { "rc", files, false },
	{ "out", files, false }, { "format", formats, false }, { "events", events, true },
};

static void values_of(struct offers *o, const char *option, const char *prefix, const struct command *cmd)
{
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		if (strcmp(values[i].option, option) != 0)
			continue;
		const char *comma = values[i].list ? strrchr(prefix, ',') : NULL;
		size_t skip = comma ? (size_t)(comma + 1 - prefix) : values[i].list && *prefix == '+';
		strbuf_add(&o->head, prefix, skip);
		values[i].offer(o, prefix + skip, cmd);
		o->goes_on = values[i].list;
	}
}

/* ---- the line up to the cursor ---- */

/* The option whose value a word behind `word` is, or NULL. */
static const char *wants_value(const struct option *const *sets, const char *word)
{
	if (word[0] != '-' || strchr(word, '='))
		return NULL;
	for (; *sets; sets++)
		for (const struct option *o = *sets; o->name; o++)
			if (o->value && (word[1] == '-' ? strcmp(o->name, word + 2) == 0
							: o->letter && word[strlen(word) - 1] == o->letter))
				return o->name;
	return NULL;
}

static bool is(const struct command *cmd, const char *name)
{
	return strcmp(cmd->name, name) == 0;
}

/* The nth word that is no option. */
static void argument(struct offers *o, const struct command *cmd, const char *prefix, size_t nth, const char *first)
{
	bool attach = strncmp(cmd->arguments, "TARGET", 6) == 0, target = !o->s && cmd->flags & CMD_TARGET;
	if (attach || (target && (nth == 0 || cmd->flags & CMD_MANY)))
		targets_of(o, prefix);
	else if (is(cmd, "help"))
		commands_of(o, prefix);
	else if (is(cmd, "signal"))
		signals_of(o, prefix);
	else if (cmd->flags & CMD_REST)
		o->files = true;
	else if (target)
		open_target(o, first);
	if (is(cmd, "where-terminated") && (nth || o->s))
		each_look(o, prefix, ended_of);
	else if (strncmp(cmd->arguments, "TASK", 4) == 0 && (nth || o->s))
		each_look(o, prefix, tasks_of);
}

static void at_command(struct offers *o, char *const *words, int n, const char *prefix);

/* watch takes a command line of its own. True: that was it. */
static bool nested(struct offers *o, const struct command *cmd, const struct option *const *sets,
		   char *const *words, int n, const char *prefix)
{
	int i = 0;
	if (!is(cmd, "watch"))
		return false;
	while (i < n && words[i][0] == '-')
		i += wants_value(sets, words[i]) ? 2 : 1;
	if (i > n || (i == n && *prefix == '-'))
		return false;
	at_command(o, words + i, n - i, prefix);
	return true;
}

/* words: those behind the command. */
static void behind_command(struct offers *o, const struct command *cmd, char *const *words, int n, const char *prefix)
{
	struct args a = { 0 };
	const char *first = NULL, *eq = strchr(prefix, '=');
	size_t nth = 0;
	command_sets(cmd, &a);
	if (nested(o, cmd, a.sets, words, n, prefix))
		return;
	for (int i = 0; i < n; i++) {
		if (wants_value(a.sets, words[i])) {
			i++;
		} else if (words[i][0] != '-') {
			first = nth++ ? first : words[i];
		}
	}
	const char *wants = n ? wants_value(a.sets, words[n - 1]) : NULL;
	if (!o->s && cmd->flags & CMD_TARGET)
		open_target(o, nth ? first : NULL);
	if (wants) {
		values_of(o, wants, prefix, cmd);
	} else if (strncmp(prefix, "--", 2) == 0 && eq) {
		char *option = strndup(prefix + 2, (size_t)(eq - prefix - 2));
		strbuf_add(&o->head, prefix, (size_t)(eq + 1 - prefix));
		if (option)
			values_of(o, option, eq + 1, cmd);
		free(option);
	} else if (*prefix == '-') {
		options_of(o, cmd, a.sets, prefix);
	} else {
		argument(o, cmd, prefix, nth, first);
	}
}

static void at_command(struct offers *o, char *const *words, int n, const char *prefix)
{
	const struct command *cmd = NULL;
	static const struct option *const common[] = { options_common, NULL };
	int i = 0;
	while (!o->s && i < n && words[i][0] == '-')
		i += wants_value(common, words[i]) ? 2 : 1;
	if (i >= n && *prefix == '-') {
		options_of(o, NULL, common, prefix);
	} else if (i >= n) {
		commands_of(o, prefix);
		if (!o->s && isdigit((unsigned char)*prefix))
			pids_of(o, prefix);
	} else {
		err_free(command_lookup(words[i], o->s != NULL, &cmd));
		if (cmd)
			behind_command(o, cmd, words + i + 1, n - i - 1, prefix);
		o->files |= !cmd;
	}
}

void offers_find(struct offers *o, char *const *words, int n, const char *prefix)
{
	clear(o);
	at_command(o, words, n, prefix);
}

void offers_free(struct offers *o)
{
	forget_looks(o);
	clear(o);
	for (size_t i = 0; i < o->own.n; i++)
		capture_close(o->own.caps[i]);
	free(o->own.caps);
	free(o->own.ended);
	strbuf_free(&o->head);
	free(o->v);
	*o = (struct offers){ 0 };
}

/* check: what looks wrong, in full sentences; for people and for CI. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/command.h"
#include "query/findings.h"
#include "show/answers.h"
#include "show/json_types.h"
#include "query/list.h"
#include "show/wrap.h"

#define INTERVAL_S 1.0
#define INTERVAL_MAX_S 86400.0
#define RULES_MAX 64

struct asked {
	const struct rule *only[RULES_MAX + 1]; /* ended by NULL; empty: all */
	size_t n;
	double interval;
	int fail_on;             /* severity */
	size_t many;
};

static err_t unknown_rule(const char *name)
{
	struct nearest near = { .word = name };
	for (const struct rule *r = rules; r->name; r++)
		nearest_try(&near, r->name);
	return near.best ? err_new(E_USAGE, "there is no rule %s; the nearest is %s", name, near.best)
			 : err_new(E_USAGE, "there is no rule %s; \"check --list-rules\" lists them", name);
}

static err_t parse_rules(const struct args *a, struct asked *out)
{
	for (size_t i = 0; i < a->ngiven; i++) {
		if (strcmp(a->given[i].opt->name, "rule") != 0)
			continue;
		const struct rule *r = rule_find(a->given[i].value);
		if (!r)
			return unknown_rule(a->given[i].value);
		if (out->n < RULES_MAX)
			out->only[out->n++] = r;
	}
	return NULL;
}

static err_t parse(const struct args *a, struct asked *out)
{
	const char *interval = opt_value(a, "interval"), *fail_on = opt_value(a, "fail-on");
	const char *many = opt_value(a, "many");
	*out = (struct asked){ .interval = INTERVAL_S, .fail_on = FINDING_WARNING };
	TRY(parse_rules(a, out));
	if (interval)
		TRY(duration_parse(interval, &out->interval));
	if (!(out->interval >= 0 && out->interval <= INTERVAL_MAX_S))
		return err_new(E_USAGE, "--interval takes up to a day, not %s", interval);
	if (many)
		TRY(count_parse("many", many, &out->many));
	for (int s = FINDING_INFO; fail_on; s++) {
		if (s > FINDING_ERROR)
			return err_new(E_USAGE, "--fail-on takes error, warning or info, not %s", fail_on);
		out->fail_on = s;
		if (strcmp(fail_on, severity_name(s)) == 0)
			break;
	}
	return NULL;
}

static bool any_rule(const struct asked *k, bool twice)
{
	if (!k->n)
		return true;
	for (size_t i = 0; i < k->n; i++)
		if (twice ? k->only[i]->twice : k->only[i]->done)
			return true;
	return false;
}

/* One look, or two with the interval between them where a rule wants it and the target
 * can change. */
static err_t look(struct call *c, const struct asked *k, struct snapshot **before, struct snapshot **now)
{
	unsigned first = SNAPSHOT_THREADS | SNAPSHOT_WATCHED, what = first | (any_rule(k, false) ? SNAPSHOT_DONE : 0);
	if (!any_rule(k, true))
		return call_snapshot(c, what, now);
	TRY(call_snapshot(c, first, before));
	if ((*before)->source != SNAPSHOT_OF_PROCESS) {
		snapshot_free(*before);
		*before = NULL;
	} else {
		sleep_seconds(k->interval);
	}
	return call_snapshot(c, what, now);
}

static const char *colour(int severity)
{
	return severity == FINDING_ERROR ? "31;1" : severity == FINDING_WARNING ? "33" : "36";
}

static void finding_text(struct call *c, const struct finding *f)
{
	struct out *o = c->out;
	size_t from = o->b.len;
	term_sgr(&c->term, &o->b, colour((int)f->severity), severity_name((int)f->severity));
	strbuf_fmt(&o->b, " [%s] ", f->rule);
	strbuf_escaped(&o->b, f->message);
	wrap_indented(&o->b, from, c->term.width, 4);
	strbuf_char(&o->b, '\n');
	out_tick(o);
}

static void answer(struct call *c, const struct snapshot *s, const struct asked *k)
{
	size_t nrules = k->n;
	call_answer(c, s);
	if (c->as_json) {
		json_findings(&c->json, s);
		return;
	}
	if (c->many)
		strbuf_fmt(&c->out->b, "%sPID %d: python %s\n", c->shown > 1 ? "\n" : "", (int)s->pid, s->python);
	for (size_t i = 0; i < s->nfindings; i++)
		finding_text(c, &s->findings[i]);
	while (!k->n && rules[nrules].name)
		nrules++;
	if (!s->nfindings)
		strbuf_fmt(&c->out->b, "Nothing found by %zu rule%s in %zu task%s.\n", nrules, nrules == 1 ? "" : "s",
			   s->ntasks, s->ntasks == 1 ? "" : "s");
}

/* A finding is there whatever else could not be read. */
static int status_with(const struct snapshot *s, const struct asked *k, int status)
{
	for (size_t i = 0; i < s->nfindings; i++)
		if ((int)s->findings[i].severity >= k->fail_on)
			return STATUS_FINDING;
	return status;
}

static int list_rules(struct call *c)
{
	struct json *j = &c->json;
	if (c->as_json) {
		json_answer(j);
		json_key(j, "rules");
		json_array(j);
	}
	for (const struct rule *r = rules; r->name; r++) {
		if (!c->as_json) {
			strbuf_fmt(&c->out->b, "%-26s %-8s %s\n", r->name, severity_name(r->severity), r->about);
			continue;
		}
		json_object(j);
		json_key(j, "rule");
		json_str(j, r->name);
		json_key(j, "severity");
		json_str(j, severity_name(r->severity));
		json_key(j, "about");
		json_str(j, r->about);
		json_object_end(j);
	}
	if (c->as_json) {
		json_array_end(j);
		json_object_end(j);
	}
	return STATUS_FINE;
}

static int check_run(struct call *c)
{
	struct snapshot *before = NULL, *now = NULL;
	struct asked k;
	err_t e = parse(&c->args, &k);
	if (!e && opt_given(&c->args, "list-rules"))
		return list_rules(c);
	if (!e)
		e = look(c, &k, &before, &now);
	if (!e)
		e = findings_make(now, before, &(struct findings_opts){
			.only = k.n ? k.only : NULL, .many = k.many,
			.apart = before ? now->taken_at - before->taken_at : 0 });
	int status;
	if (e) {
		status = call_fail(c, e);
	} else {
		answer(c, now, &k);
		status = status_with(now, &k, call_end(c, now));
	}
	snapshot_free(before);
	snapshot_free(now);
	return status;
}

static const struct option check_options[] = {
	{ "rule", 0, "NAME", "only this rule; may be given again" },
	{ "list-rules", 0, NULL, "list the rules; needs no target" },
	{ "interval", 0, "SECONDS", "time between the two looks that some rules take (1)" },
	{ "many", 0, "N", "how many tasks of one origin are too many (1000)" },
	{ "fail-on", 0, "SEVERITY", "exit 1 from this on: error, warning (default) or info" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_check = {
	.name = "check",
	.arguments = "",
	.summary = "what looks wrong, in full sentences; for CI",
	.description = "Looks for what is wrong or soon will be: tasks that wait in a circle, blocked loops, "
		       "saturated executors, crowds of tasks, cancels that had no effect, lost exceptions. Each "
		       "finding says what to look at next. A running target is looked at twice, --interval "
		       "apart, for what only time tells; a core dump once.",
	.options = check_options,
	.alone = "list-rules",
	.flags = CMD_TARGET | CMD_MANY | CMD_CORE,
	.run = check_run,
};

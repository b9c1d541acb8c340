/* A list as a command's answer, text or JSON. */
#include "cmd/list_answer.h"

#include "show/answers.h"

#include <string.h>

/* For a person who looks on: a line about the whole. What the answer itself ends with is
 * not said again. */
static void summary(struct call *c, const struct list *l, const struct list_look *k)
{
	const struct snapshot *s = l->snap;
	struct strbuf b = { 0 };
	if (!l->filtered || k->raw || opt_given(&c->args, "group-by"))
		strbuf_fmt(&b, "%zu of %zu %.*s; ", l->n + l->folds.rows, l->total,
			   (int)strlen(l->kind->noun) - (l->total == 1), l->kind->noun);
	strbuf_fmt(&b, "%zu loop%s; python %s; ", s->nloops, s->nloops == 1 ? "" : "s", s->python);
	if (s->paused_us >= 0)
		strbuf_fmt(&b, "paused %.1f ms", (double)s->paused_us / 1e3);
	else
		strbuf_str(&b, s->source == SNAPSHOT_OF_CORE ? "a core" : "not paused");
	if (k->left_out.len)
		strbuf_fmt(&b, "; no room for %s", k->left_out.s);
	if (!b.failed)
		call_note(c, "%s", b.s);
	strbuf_free(&b);
}

/* A person who asked for no rows in particular has more of them than the screen is high. */
static bool crowded(const struct call *c, const struct list *l)
{
	static const char *const chosen[] = { "all-rows", "raw", "sort", "head", "tail", "output" };
	for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
		if (opt_given(&c->args, chosen[i]))
			return false;
	return l->kind->alike && c->term.out && c->term.height && l->n >= c->term.height;
}

static err_t text(struct call *c, struct list *l, const struct tallies *t)
{
	struct list_look k;
	err_t e = list_look_make(&k, l, &c->args, &c->term);
	if (!e && !t && crowded(c, l))
		e = list_fold(l);
	if (!e && c->many && k.raw && !opt_given(&c->args, "output"))
		e = list_look_tell_apart(&k, l, c->shown == 1);
	if (!e && c->many && !k.raw)
		strbuf_fmt(&c->out->b, "%sPID %d: python %s, %zu %.*s\n", c->shown > 1 ? "\n" : "",
			   (int)l->snap->pid, l->snap->python, l->total,
			   (int)strlen(l->kind->noun) - (l->total == 1), l->kind->noun);
	if (!e)
		e = t ? tallies_print(c->out, t, opt_value(&c->args, "group-by"), &k) : list_print(c->out, l, &k);
	if (!e && c->term.err)
		summary(c, l, &k);
	list_look_free(&k);
	return e;
}

err_t list_answer(struct call *c, const struct list_kind *kind, struct snapshot *s,
		  struct rows rows, void (*before)(struct json *, const struct snapshot *))
{
	struct list l = { 0 };
	struct tallies t = { 0 };
	bool grouped = opt_given(&c->args, "group-by");
	err_t e = list_make(&l, kind, s, rows);
	if (!e)
		e = list_query(&l, &c->args, &t);
	if (!e) {
		list_say_unjudged(s, l.unjudged, kind->noun);
		/* A table has their number, which is of all. */
		if (c->as_json && !grouped)
			list_say_cut(s, &l);
		call_answer(c, s);
		if (c->as_json && before)
			before(&c->json, s);
		if (c->as_json)
			json_rows(&c->json, &l, grouped ? &t : NULL, opt_value(&c->args, "group-by"));
		else
			e = text(c, &l, grouped ? &t : NULL);
	}
	tallies_free(&t);
	list_free(&l);
	return e;
}

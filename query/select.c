#include "query/list.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "query/shape.h"

err_t duration_parse(const char *text, double *seconds)
{
	static const struct { const char *unit; double s; } units[] = {
		{ "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 }, { "w", 604800 },
	};
	const char *p = text;
	double sum = 0;
	do {
		char *end = NULL;
		double v = *p >= '0' && *p <= '9' ? strtod(p, &end) : NAN;
		if (!end || !isfinite(v))
			goto bad;
		size_t n = strspn(end, "abcdefghijklmnopqrstuvwxyz"), u = 0;
		while (u < sizeof units / sizeof *units &&
		       (strlen(units[u].unit) != n || memcmp(units[u].unit, end, n) != 0))
			u++;
		if (n == 0 && p == text && !*end) {
			*seconds = v;
			return NULL;
		}
		if (u == sizeof units / sizeof *units)
			goto bad;
		sum += v * units[u].s;
		p = end + n;
	} while (*p);
	*seconds = sum;
	return NULL;
bad:
	return err_new(E_USAGE, "%s is not a duration such as 90s, 5m, 2h, 1d or 1h30m", text);
}

static err_t states_parse(const char *text, unsigned *states)
{
	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ",");
		unsigned k = 0;
		while (k < TASK_STATES && (strlen(task_state_name(k)) != n || memcmp(task_state_name(k), p, n) != 0))
			k++;
		if (k == TASK_STATES)
			return err_new(E_USAGE, "there is no state %.*s; there are running, runnable, waiting, "
				       "finished, failed and cancelled", (int)n, p);
		*states |= 1u << k;
		p += n;
		if (!*p)
			return NULL;
	}
}

err_t selection_parse(struct selection *sel, const struct args *a)
{
	const char *age = opt_value(a, "older-than"), *states = opt_value(a, "state");
	*sel = (struct selection){
		.text = opt_value(a, "filter"),
		.coro = opt_value(a, "coro"),
		.created = opt_value(a, "created"),
		.persistent = opt_given(a, "persistent"),
		.older_than = NAN,
	};
	if (states)
		TRY(states_parse(states, &sel->states));
	if (age)
		TRY(duration_parse(age, &sel->older_than));
	return NULL;
}

bool selection_any(const struct selection *sel)
{
	return sel->text || sel->coro || sel->created || sel->states || sel->persistent ||
	       !isnan(sel->older_than);
}

const struct frame *created_at(const struct created *c)
{
	return c ? shape_last(&c->stack) : NULL;
}

/* The glob is tried on path:line and on its last part, with and without the line. */
static bool place_matches(const char *glob, const struct frame *f)
{
	struct strbuf b = { 0 };
	bool match = false;
	if (!f || !f->file)
		return false;
	strbuf_str(&b, f->file);
	size_t colon = b.len;
	strbuf_fmt(&b, ":%d", f->line);
	if (!b.failed) {
		const char *slash = strrchr(f->file, '/');
		const char *base = b.s + (slash ? slash + 1 - f->file : 0);
		match = !fnmatch(glob, b.s, 0) || !fnmatch(glob, base, 0);
		b.s[colon] = '\0';
		match = match || !fnmatch(glob, b.s, 0) || !fnmatch(glob, base, 0);
	}
	strbuf_free(&b);
	return match;
}

bool selection_matches(const struct selection *sel, const struct subject *x)
{
	if (sel->text && !(x->name && strstr(x->name, sel->text)) && !(x->coro && strstr(x->coro, sel->text)) &&
	    !(x->body && strstr(x->body, sel->text)))
		return false;
	if (sel->states && !(sel->states & 1u << x->state))
		return false;
	if (sel->coro && !(x->coro && !fnmatch(sel->coro, x->coro, 0)) && !(x->body && !fnmatch(sel->coro, x->body, 0)))
		return false;
	if (sel->persistent && !x->persistent)
		return false;
	if (!isnan(sel->older_than) && !(x->created && x->created->age > sel->older_than))
		return false;
	return !sel->created || place_matches(sel->created, created_at(x->created));
}

bool selection_cannot_judge(const struct selection *sel, const struct subject *x)
{
	struct selection rest = *sel;
	rest.older_than = NAN;
	rest.created = NULL;
	rest.persistent = false;
	return ((sel->persistent && !x->recorded) ||
		(!isnan(sel->older_than) && !(x->created && !isnan(x->created->age))) ||
		(sel->created && !created_at(x->created))) &&
	       selection_matches(&rest, x);
}

void list_say_unjudged(struct snapshot *s, size_t n, const char *noun)
{
	if (n)
		snapshot_lacks(s, "%zu %.*s %s left out because what the filter asks for is not known of %s: only the "
			      "agent sees that.", n, (int)strlen(noun) - (n == 1), noun, n == 1 ? "is" : "are",
			      n == 1 ? "it" : "them");
}

void list_say_cut(struct snapshot *s, const struct list *l)
{
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct subject x = { 0 };
		l->kind->subject(l->rows[i], &x);
		n += x.cancels_kept > 0;
		kept = x.cancels_kept > kept ? x.cancels_kept : kept;
	}
	if (n)
		snapshot_note(s, "Of tasks that were asked to cancel more than %zu times (%zu here) the first request and "
			      "the last ones are kept.", kept, n);
}

void list_select(struct list *l, const struct selection *sel)
{
	size_t kept = 0;
	if (!selection_any(sel))
		return;
	l->filtered = true;
	for (size_t i = 0; i < l->n; i++) {
		struct subject x = { 0 };
		l->kind->subject(l->rows[i], &x);
		l->unjudged += selection_cannot_judge(sel, &x);
		if (selection_matches(sel, &x))
			l->rows[kept++] = l->rows[i];
	}
	l->n = kept;
}

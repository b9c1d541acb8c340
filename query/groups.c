#include "query/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

/* Some keys mean something else, or more, than the column of their name. */
static const struct column *by_column(const struct list_kind *kind, const char *by)
{
	for (const struct column *const *c = kind->groups_by; *c; c++)
		if (!strcasecmp((*c)->name, by))
			return *c;
	for (const struct column *c = kind->columns; c->name; c++)
		if (!strcasecmp(c->name, by))
			return c;
	return NULL;
}

static err_t unknown_group(const struct list_kind *kind, const char *by)
{
	struct strbuf b = { 0 };
	for (const struct column *const *c = kind->groups_by; *c; c++)
		strbuf_fmt(&b, "%s, ", (*c)->name);
	err_t e = b.failed ? ERR_NOMEM : err_new(E_USAGE, "--group-by takes %sor a column, not %s", b.s, by);
	strbuf_free(&b);
	return e;
}

static int by_key(const void *a, const void *b)
{
	return natural_compare(((const struct tally *)a)->key, ((const struct tally *)b)->key);
}

static int exact(const void *a, const void *b)
{
	return strcmp(((const struct tally *)a)->key, ((const struct tally *)b)->key);
}

static int by_count(const void *pa, const void *pb)
{
	const struct tally *a = pa, *b = pb;
	return a->count != b->count ? (a->count > b->count ? -1 : 1) : by_key(pa, pb);
}

/* Equal keys side by side become one with a count. */
static void count(struct tallies *t)
{
	size_t n = 0;
	qsort(t->v, t->n, sizeof *t->v, exact);
	for (size_t i = 0; i < t->n; i++) {
		if (n && !strcmp(t->v[n - 1].key, t->v[i].key))
			t->v[n - 1].count++;
		else
			t->v[n++] = t->v[i];
	}
	t->n = n;
}

static err_t order(struct tallies *t, const char *sort)
{
	static const struct { const char *name; bool key, reverse; } orders[] = {
		{ "count", false, true }, { "count:asc", false, true }, { "count:desc", false, false },
		{ "key", true, false }, { "key:asc", true, false }, { "key:desc", true, true },
	};
	size_t i = 0;
	if (!sort)
		sort = "count:desc";
	while (i < sizeof orders / sizeof *orders && strcmp(orders[i].name, sort) != 0)
		i++;
	if (i == sizeof orders / sizeof *orders)
		return err_new(E_USAGE, "groups are sorted by key or count, not by %s", sort);
	qsort(t->v, t->n, sizeof *t->v, orders[i].key ? by_key : by_count);
	for (size_t k = 0; orders[i].reverse && k < t->n / 2; k++) {
		struct tally x = t->v[k];
		t->v[k] = t->v[t->n - 1 - k];
		t->v[t->n - 1 - k] = x;
	}
	return NULL;
}

static err_t cut(struct tallies *t, const struct args *a)
{
	const char *head = opt_value(a, "head"), *tail = opt_value(a, "tail");
	size_t n = 0;
	if (head) {
		TRY(count_parse("head", head, &n));
		t->n = n < t->n ? n : t->n;
	}
	if (tail) {
		TRY(count_parse("tail", tail, &n));
		n = n < t->n ? n : t->n;
		memmove(t->v, t->v + (t->n - n), n * sizeof *t->v);
		t->n = n;
	}
	return NULL;
}

static err_t collect(const struct list *l, const struct column *col, struct tallies *out)
{
	struct strbuf b = { 0 };
	out->v = calloc(l->n ? l->n : 1, sizeof *out->v);
	out->arena = arena_new();
	bool fine = out->v && out->arena;
	for (size_t i = 0; i < l->n && fine; i++) {
		strbuf_clear(&b);
		bool known = col->text(&b, l->snap, l->rows[i]);
		out->v[i].key = arena_str(out->arena, known && b.s ? b.s : "-");
		out->v[i].count = 1;
		fine = out->v[i].key && !b.failed;
		out->n = i + 1;
	}
	strbuf_free(&b);
	return fine ? NULL : ERR_NOMEM;
}

err_t list_group_column(const struct list_kind *kind, const char *by, const struct column **out)
{
	*out = by_column(kind, by);
	return *out ? NULL : unknown_group(kind, by);
}

err_t list_group(const struct list *l, const struct args *a, struct tallies *out)
{
	const struct column *col;
	TRY(list_group_column(l->kind, opt_value(a, "group-by"), &col));
	TRY(collect(l, col, out));
	count(out);
	TRY(order(out, opt_value(a, "sort")));
	return cut(out, a);
}

void tallies_free(struct tallies *t)
{
	free(t->v);
	arena_free(t->arena);
	*t = (struct tallies){ 0 };
}

/* Which columns a list is printed with: those asked for, or the default ones and
 * those of which something is known. */
#include "show/list_look.h"

#include <stdlib.h>
#include <string.h>

static bool known_anywhere(const struct list *l, const struct column *c)
{
	struct strbuf b = { 0 };
	bool known = false;
	for (size_t i = 0; i < l->n && !known; i++)
		known = c->text(&b, l->snap, l->rows[i]);
	strbuf_free(&b);
	return known;
}

static err_t add(struct list_look *k, size_t *n, const struct column *c)
{
	const struct column **v = realloc(k->columns, (*n + 2) * sizeof *v);
	if (!v)
		return ERR_NOMEM;
	k->columns = v;
	v[(*n)++] = c;
	v[*n] = NULL;
	return NULL;
}

static err_t defaults(struct list_look *k, size_t *n, const struct list *l)
{
	for (const struct column *c = l->kind->columns; c->name; c++)
		if (c->show != COL_ASKED && (c->show != COL_KNOWN || known_anywhere(l, c)))
			TRY(add(k, n, c));
	return NULL;
}

static bool shown(const struct list_look *k, size_t n, const struct column *c)
{
	while (n && k->columns[n - 1] != c)
		n--;
	return n;
}

/* `more`: beside those that are shown already. */
static err_t asked(struct list_look *k, size_t *n, const struct list *l, const char *text, bool more)
{
	for (;; text++) {
		size_t len = strcspn(text, ",");
		const struct column *c = column_find(l->kind->columns, text, len);
		if (!c) {
			char *word = strndup(text, len);
			err_t e = word ? unknown_column(l->kind->columns, "output", word) : ERR_NOMEM;
			free(word);
			return e;
		}
		if (!more || !shown(k, *n, c))
			TRY(add(k, n, c));
		text += len;
		if (!*text)
			return NULL;
	}
}

err_t list_look_tell_apart(struct list_look *k, const struct list *l, bool first)
{
	const struct column *pid = column_find(l->kind->columns, "PID", 3);
	size_t n = 0;
	k->noheadings |= !first;
	k->may_drop = false;
	while (k->columns[n])
		n++;
	if (!pid)
		return NULL;
	TRY(add(k, &n, pid));
	memmove(k->columns + 1, k->columns, (n - 1) * sizeof *k->columns);
	k->columns[0] = pid;
	return NULL;
}

err_t list_look_make(struct list_look *k, const struct list *l, const struct args *a, const struct term *term)
{
	const char *output = opt_value(a, "output");
	size_t n = 0;
	*k = (struct list_look){
		.noheadings = opt_given(a, "noheadings"), .raw = opt_given(a, "raw"), .term = term,
		.may_drop = !output,
	};
	if (!output || *output == '+')
		TRY(defaults(k, &n, l));
	if (output)
		TRY(asked(k, &n, l, output + (*output == '+'), *output == '+'));
	return NULL;
}

void list_look_free(struct list_look *k)
{
	free(k->columns);
	k->columns = NULL;
	strbuf_free(&k->left_out);
}

/* What is wrong with the options shows on a list of nothing. */
err_t list_check(const struct list_kind *kind, const struct args *a)
{
	static const struct snapshot nothing;
	static const struct term nowhere;
	struct list l;
	struct tallies t = { 0 };
	struct list_look k = { 0 };
	TRY(list_make(&l, kind, &nothing, (struct rows){ 0 }));
	err_t e = list_query(&l, a, &t);
	if (!e)
		e = list_look_make(&k, &l, a, &nowhere);
	list_look_free(&k);
	tallies_free(&t);
	list_free(&l);
	return e;
}

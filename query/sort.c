#include "query/list.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

const struct column *column_find(const struct column *table, const char *name, size_t n)
{
	for (; table->name; table++)
		if (strlen(table->name) == n && !strncasecmp(table->name, name, n))
			return table;
	return NULL;
}

err_t unknown_column(const struct column *table, const char *what, const char *name)
{
	struct strbuf b = { 0 };
	char word[32];
	struct nearest near = { .word = word };
	size_t n = 0;
	for (; n < sizeof word - 1 && name[n]; n++)
		word[n] = name[n] >= 'a' && name[n] <= 'z' ? name[n] - 32 : name[n];
	word[n] = '\0';
	strbuf_fmt(&b, "--%s: there is no column %s; ", what, name);
	for (const struct column *c = table; c->name; c++)
		nearest_try(&near, c->name);
	if (near.best)
		strbuf_fmt(&b, "did you mean %s? ", near.best);
	strbuf_str(&b, "There are");
	for (const struct column *c = table; c->name; c++)
		strbuf_fmt(&b, "%s %s", c == table ? "" : c[1].name ? "," : " and", c->name);
	err_t e = b.failed ? ERR_NOMEM : err_new(E_USAGE, "%s", b.s);
	strbuf_free(&b);
	return e;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

int natural_compare(const char *a, const char *b)
{
	while (*a && *b) {
		if (!digit(*a) || !digit(*b)) {
			if (*a != *b)
				return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
			a++, b++;
			continue;
		}
		a += strspn(a, "0");
		b += strspn(b, "0");
		size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
		int d = na != nb ? (na < nb ? -1 : 1) : memcmp(a, b, na);
		if (d)
			return d;
		a += na;
		b += nb;
	}
	return *a ? 1 : *b ? -1 : 0;
}

struct keyed {
	const void *row;
	size_t place;
	const char *text;
	double number;
	bool known;
};

static int compare(const void *pa, const void *pb, void *down)
{
	const struct keyed *a = pa, *b = pb;
	int d = 0;
	if (a->known != b->known)
		return a->known ? -1 : 1;
	if (a->known && a->text)
		d = natural_compare(a->text, b->text);
	else if (a->known)
		d = a->number < b->number ? -1 : a->number > b->number;
	if (d)
		return *(bool *)down ? -d : d;
	return a->place < b->place ? -1 : 1;
}

static err_t keys(struct keyed *k, const struct list *l, const struct column *col, struct arena *arena)
{
	struct strbuf b = { 0 };
	bool fine = true;
	for (size_t i = 0; i < l->n && fine; i++) {
		k[i] = (struct keyed){ .row = l->rows[i], .place = i };
		if (col->number) {
			k[i].known = col->number(l->snap, l->rows[i], &k[i].number) && !isnan(k[i].number);
			continue;
		}
		strbuf_clear(&b);
		k[i].known = col->text(&b, l->snap, l->rows[i]);
		if (k[i].known)
			fine = (k[i].text = arena_str(arena, b.s ? b.s : "")) != NULL;
	}
	fine &= !b.failed;
	strbuf_free(&b);
	return fine ? NULL : ERR_NOMEM;
}

static err_t key_parse(const struct list *l, const char *key, const struct column **col, bool *down)
{
	const char *colon = strrchr(key, ':');
	size_t n = colon ? (size_t)(colon - key) : strlen(key);
	*down = colon && !strcmp(colon, ":desc");
	if (colon && !*down && strcmp(colon, ":asc") != 0)
		return err_new(E_USAGE, "--sort takes KEY or KEY:desc, not %s", key);
	*col = column_find(l->kind->columns, key, n);
	if (!*col) {
		char *word = strndup(key, n);
		err_t e = word ? unknown_column(l->kind->columns, "sort", word) : ERR_NOMEM;
		free(word);
		return e;
	}
	return NULL;
}

err_t list_sort(struct list *l, const char *key)
{
	const struct column *col = NULL;
	bool down = false;
	if (!key)
		return NULL;
	TRY(key_parse(l, key, &col, &down));
	if (!col)
		return NULL;
	struct arena *arena = arena_new();
	struct keyed *k = calloc(l->n ? l->n : 1, sizeof *k);
	err_t e = arena && k ? keys(k, l, col, arena) : ERR_NOMEM;
	if (!e) {
		qsort_r(k, l->n, sizeof *k, compare, &down);
		for (size_t i = 0; i < l->n; i++)
			l->rows[i] = k[i].row;
	}
	free(k);
	arena_free(arena);
	return e;
}

err_t count_parse(const char *option, const char *text, size_t *out)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (!digit(*text) || *end || errno)
		return err_new(E_USAGE, "--%s takes a number, not %s", option, text);
	*out = v;
	return NULL;
}

err_t list_cut(struct list *l, const struct args *a)
{
	const char *head = opt_value(a, "head"), *tail = opt_value(a, "tail");
	size_t n = 0;
	l->filtered |= head || tail;
	if (head) {
		TRY(count_parse("head", head, &n));
		l->n = n < l->n ? n : l->n;
	}
	if (tail) {
		TRY(count_parse("tail", tail, &n));
		if (n < l->n) {
			memmove(l->rows, l->rows + (l->n - n), n * sizeof *l->rows);
			l->n = n;
		}
	}
	return NULL;
}

/* Folding rows that are alike, so that in a list longer than a screen the rare ones are
 * seen. Of a crowd its oldest rows stay, for whatever has been stuck longest is among
 * them. */
#include "query/list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* So many rows that are alike are no crowd yet. */
#define CROWD 10

/* Rows that stay of a crowd. */
#define KEPT 3

struct keyed { const char *key; double age; size_t row; };

/* By key; of one key the oldest first, then as they were. */
static int by_key(const void *pa, const void *pb)
{
	const struct keyed *a = pa, *b = pb;
	int d = strcmp(a->key, b->key);
	if (d)
		return d;
	if (a->age != b->age)
		return a->age > b->age ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static int by_count(const void *pa, const void *pb)
{
	const struct fold *a = pa, *b = pb;
	return a->more != b->more ? (a->more > b->more ? -1 : 1) : strcmp(a->text, b->text);
}

static double age_of(const struct list *l, const struct column *age, const void *row)
{
	double v = NAN;
	return age && age->number && age->number(l->snap, row, &v) && !isnan(v) ? v : -1;
}

static bool keys(const struct list *l, struct arena *arena, struct keyed *v)
{
	const struct column *age = column_find(l->kind->columns, "AGE", 3);
	struct strbuf b = { 0 };
	bool fine = true;
	for (size_t i = 0; i < l->n && fine; i++) {
		strbuf_clear(&b);
		l->kind->alike(&b, l->snap, l->rows[i]);
		v[i] = (struct keyed){ arena_str(arena, b.s ? b.s : ""), age_of(l, age, l->rows[i]), i };
		fine = v[i].key && !b.failed;
	}
	strbuf_free(&b);
	return fine;
}

/* The crowds among v; their rows but a few become NULL. */
static bool fold(struct list *l, const struct keyed *v)
{
	struct folds *f = &l->folds;
	size_t end;
	f->v = calloc(l->n / CROWD + 1, sizeof *f->v);
	for (size_t i = 0; f->v && i < l->n; i = end) {
		for (end = i + 1; end < l->n && !strcmp(v[i].key, v[end].key);)
			end++;
		if (end - i <= CROWD)
			continue;
		f->v[f->n++] = (struct fold){ v[i].key, end - i - KEPT };
		f->rows += end - i - KEPT;
		for (size_t k = i + KEPT; k < end; k++)
			l->rows[v[k].row] = NULL;
	}
	return f->v;
}

err_t list_fold(struct list *l)
{
	size_t n = 0;
	struct keyed *v = calloc(l->n + 1, sizeof *v);
	l->folds.arena = arena_new();
	bool fine = v && l->folds.arena && keys(l, l->folds.arena, v);
	if (fine) {
		qsort(v, l->n, sizeof *v, by_key);
		fine = fold(l, v);
	}
	free(v);
	if (!fine)
		return ERR_NOMEM;
	qsort(l->folds.v, l->folds.n, sizeof *l->folds.v, by_count);
	for (size_t i = 0; i < l->n; i++)
		if (l->rows[i])
			l->rows[n++] = l->rows[i];
	l->n = n;
	return NULL;
}

#include "show/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* A cell of a table is cut here, that one hostile name does not widen every row. */
#define CELL_MAX 256

/* What a column needs in order to say enough, times its share: 25 columns of 0.3. */
#define LEGIBLE 85

/* A handle that is cut keeps at least so many digits. */
#define DIGITS_LEAST 4

/* A cell's text, fit for a terminal and not too long. */
static const char *shown(struct strbuf *escaped, struct strbuf *cell, bool known)
{
	strbuf_clear(escaped);
	if (!known || !cell->len)
		return "-";
	if (cell->len > CELL_MAX) {
		size_t n = CELL_MAX;
		while (n && (cell->s[n] & 0xC0) == 0x80)
			n--;
		cell->s[n] = '\0';
		strbuf_escaped(escaped, cell->s);
		strbuf_str(escaped, "...");
	} else {
		strbuf_escaped(escaped, cell->s);
	}
	return escaped->s ? escaped->s : "";
}

static const char *whole_cell(struct layout *x, const void *row, const struct column *c)
{
	strbuf_clear(&x->cell);
	bool known = c->text(&x->cell, x->l->snap, row);
	return shown(&x->escaped, &x->cell, known);
}

const char *layout_cell(struct layout *x, const void *row, size_t column)
{
	const struct column *c = x->k->columns[column];
	const char *text = whole_cell(x, row, c);
	strbuf_clear(&x->cut);
	if (c->show == COL_HANDLE && x->handle && strlen(text) > x->handle + 1)
		strbuf_fmt(&x->cut, "…%s", text + strlen(text) - x->handle);
	else
		fit_cut(&x->cut, text, x->fits[column].get, c->fit.end);
	return x->cut.s ? x->cut.s : "";
}

static size_t count(const struct list_look *k)
{
	size_t n = 0;
	while (k->columns[n])
		n++;
	return n;
}

static size_t legible(const struct fit *f)
{
	size_t enough = (size_t)(LEGIBLE * f->share);
	return f->share > 0 && enough < f->need ? enough : f->need;
}

/* What each column needs. */
static bool measure(struct layout *x)
{
	const struct list_look *k = x->k;
	size_t n = count(k);
	x->fits = calloc(n + 1, sizeof *x->fits);
	for (size_t c = 0; c < n && x->fits; c++) {
		struct fit *f = &x->fits[c];
		f->need = f->least = k->noheadings ? 1 : strlen(k->columns[c]->name);
		f->share = k->columns[c]->fit.share;
		for (size_t i = 0; i < x->l->n; i++) {
			size_t w = utf8_width(whole_cell(x, x->l->rows[i], k->columns[c]));
			f->need = w > f->need ? w : f->need;
		}
		f->get = f->need;
	}
	return x->fits;
}

static size_t sum(const struct layout *x, size_t (*of)(const struct fit *))
{
	size_t all = 0;
	for (size_t c = 0; x->k->columns[c]; c++)
		all += of(&x->fits[c]) + (c > 0);
	return all;
}

static size_t needed(const struct fit *f)
{
	return f->need;
}

static void leave_out(struct layout *x, size_t column)
{
	struct list_look *k = x->k;
	size_t after = count(k) - column;
	strbuf_fmt(&k->left_out, "%s%s", k->left_out.len ? ", " : "", k->columns[column]->name);
	memmove(k->columns + column, k->columns + column + 1, after * sizeof *k->columns);
	memmove(x->fits + column, x->fits + column + 1, after * sizeof *x->fits);
}

/* Texts of a column, each row's. */
struct texts { char **v; size_t n; };

static void texts_free(struct texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i]);
	free(t->v);
}

/* False: out of memory, or a row has none. */
static bool texts_of(struct layout *x, const struct column *c, struct texts *t)
{
	t->v = calloc(x->l->n + 1, sizeof *t->v);
	for (size_t i = 0; t->v && i < x->l->n; i++) {
		strbuf_clear(&x->cell);
		if (!c->text(&x->cell, x->l->snap, x->l->rows[i]) || !x->cell.len)
			return false;
		t->v[i] = strdup(x->cell.s);
		t->n += t->v[i] != NULL;
		if (!t->v[i])
			return false;
	}
	return t->v != NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No two rows have the same in this column. */
static bool tells_apart(struct layout *x, const struct column *c)
{
	struct texts t = { 0 };
	bool apart = c && texts_of(x, c, &t);
	if (apart)
		qsort(t.v, t.n, sizeof *t.v, by_text);
	for (size_t i = 1; apart && i < t.n; i++)
		apart = strcmp(t.v[i - 1], t.v[i]) != 0;
	texts_free(&t);
	return apart;
}

static int by_end(const void *a, const void *b)
{
	const char *s = *(char *const *)a, *t = *(char *const *)b;
	const char *i = s + strlen(s), *k = t + strlen(t);
	while (i > s && k > t) {
		i--;
		k--;
		if (*i != *k)
			return (unsigned char)*i - (unsigned char)*k;
	}
	return (i > s) - (k > t);
}

static size_t same_end(const char *s, const char *t)
{
	size_t a = strlen(s), b = strlen(t), n = 0;
	while (n < a && n < b && s[a - 1 - n] == t[b - 1 - n])
		n++;
	return n;
}

/* How many of their last digits tell the handles of all rows apart. */
static size_t digits_apart(struct layout *x, const struct column *c)
{
	struct texts t = { 0 };
	size_t n = DIGITS_LEAST;
	bool fine = texts_of(x, c, &t);
	if (fine)
		qsort(t.v, t.n, sizeof *t.v, by_end);
	for (size_t i = 1; fine && i < t.n; i++) {
		size_t same = same_end(t.v[i - 1], t.v[i]);
		n = same >= n ? same + 1 : n;
	}
	texts_free(&t);
	return fine ? n : 0;
}

static size_t find_show(const struct list_look *k, enum column_show show)
{
	size_t i = count(k);
	while (i-- > 0)
		if (k->columns[i]->show == show)
			return i;
	return SIZE_MAX;
}

/* A row's handle goes where its name does as well, else only its digits that tell. */
static void shorten_handle(struct layout *x)
{
	size_t i = find_show(x->k, COL_HANDLE);
	if (i == SIZE_MAX)
		return;
	if (tells_apart(x, column_find(x->l->kind->columns, "NAME", 4))) {
		leave_out(x, i);
		return;
	}
	x->handle = digits_apart(x, x->k->columns[i]);
	if (x->handle && x->handle + 1 < x->fits[i].need)
		x->fits[i].need = x->fits[i].get = x->handle + 1;
	else
		x->handle = 0;
}

/* Columns that are shown because something is known of them give way, the last first;
 * then those that say least. */
static void give_way(struct layout *x, size_t width)
{
	size_t i;
	if (sum(x, needed) > width)
		shorten_handle(x);
	while (sum(x, legible) > width && (i = find_show(x->k, COL_KNOWN)) != SIZE_MAX)
		leave_out(x, i);
	while (sum(x, legible) > width && (i = find_show(x->k, COL_SPARE)) != SIZE_MAX)
		leave_out(x, i);
}

err_t layout_make(struct layout *x, const struct list *l, struct list_look *k)
{
	*x = (struct layout){ .l = l, .k = k };
	if (!measure(x))
		return ERR_NOMEM;
	if (!k->term->width)
		return NULL;
	if (k->may_drop)
		give_way(x, k->term->width);
	fit_columns(x->fits, count(k), k->term->width);
	return NULL;
}

void layout_free(struct layout *x)
{
	strbuf_free(&x->cell);
	strbuf_free(&x->escaped);
	strbuf_free(&x->cut);
	free(x->fits);
}

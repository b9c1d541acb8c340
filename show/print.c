/* Printing lists: raw lines by our own writer, since libsmartcols takes milliseconds
 * for thousands of them; tables by libsmartcols, as util-linux prints them. */
#include "show/fit.h"
#include "show/list_look.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

/* A cell of a table is cut here, that one hostile name does not widen every row. */
#define CELL_MAX 256

struct cells {
	struct strbuf cell, escaped, cut;
	struct fit *fits;      /* of each column; NULL: nothing is cut */
};

static void raw_cell(struct strbuf *b, struct strbuf *cell, bool known, bool first)
{
	if (!first)
		strbuf_char(b, ' ');
	if (known && cell->len)
		strbuf_field(b, cell->s);
	else
		strbuf_char(b, '-');
}

static err_t print_raw(struct out *o, const struct list *l, const struct list_look *k)
{
	struct strbuf cell = { 0 };
	for (size_t c = 0; k->columns[c] && !k->noheadings; c++)
		strbuf_fmt(&o->b, "%s%s", c ? " " : "", k->columns[c]->name);
	if (!k->noheadings)
		strbuf_char(&o->b, '\n');
	for (size_t i = 0; i < l->n && !o->errnum; i++) {
		for (size_t c = 0; k->columns[c]; c++) {
			strbuf_clear(&cell);
			bool known = k->columns[c]->text(&cell, l->snap, l->rows[i]);
			raw_cell(&o->b, &cell, known, c == 0);
		}
		strbuf_char(&o->b, '\n');
		out_tick(o);
	}
	bool failed = cell.failed || o->b.failed;
	strbuf_free(&cell);
	return failed ? ERR_NOMEM : NULL;
}

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

/* A cell of a row, cut where there are fits. */
static const char *cell_of(struct cells *x, const struct list *l, const struct list_look *k, const void *row,
			   size_t c)
{
	const struct column *col = k->columns[c];
	strbuf_clear(&x->cell);
	bool known = col->text(&x->cell, l->snap, row);
	const char *text = shown(&x->escaped, &x->cell, known);
	if (!x->fits)
		return text;
	strbuf_clear(&x->cut);
	fit_cut(&x->cut, text, x->fits[c].get, col->width < 0, k->term->utf8);
	return x->cut.s ? x->cut.s : "";
}

/* What each column needs, and gets of the terminal's width. */
static bool measure(struct cells *x, const struct list *l, const struct list_look *k)
{
	size_t n = 0;
	while (k->columns[n])
		n++;
	struct fit *f = calloc(n + 1, sizeof *f);
	for (size_t c = 0; c < n && f; c++) {
		f[c].need = k->noheadings ? 1 : strlen(k->columns[c]->name);
		f[c].least = f[c].need;
		f[c].share = k->columns[c]->width < 0 ? -k->columns[c]->width : k->columns[c]->width;
	}
	for (size_t i = 0; i < l->n && f; i++)
		for (size_t c = 0; c < n; c++) {
			size_t w = fit_width(cell_of(x, l, k, l->rows[i], c));
			f[c].need = w > f[c].need ? w : f[c].need;
		}
	if (f)
		fit_columns(f, n, k->term->width);
	x->fits = f;
	return f;
}

/* Below that a cell that was cut says little. */
#define LEGIBLE 10

static bool illegible(const struct cells *x, const struct list_look *k)
{
	for (size_t c = 0; k->columns[c]; c++)
		if (x->fits[c].get < x->fits[c].need && x->fits[c].get < LEGIBLE)
			return true;
	return false;
}

/* On a terminal that is too narrow for all, columns that are shown because something is
 * known of them give way, the last first. */
static bool fit(struct cells *x, const struct list *l, const struct list_look *k)
{
	size_t n = 0;
	if (!measure(x, l, k))
		return false;
	while (k->columns[n])
		n++;
	while (k->may_drop && n && k->columns[n - 1]->show == COL_KNOWN && illegible(x, k)) {
		k->columns[--n] = NULL;
		fit_columns(x->fits, n, k->term->width);
	}
	return true;
}

/* No terminal to libsmartcols: it would cut a second time. */
static struct libscols_table *table_new(const struct list_look *k)
{
	struct libscols_table *tb = scols_new_table();
	if (!tb)
		return NULL;
	scols_table_enable_noencoding(tb, 1);
	scols_table_enable_noheadings(tb, k->noheadings);
	scols_table_enable_colors(tb, k->term->colour);
	scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	return tb;
}

static bool table_column(struct libscols_table *tb, const struct column *c)
{
	return scols_table_new_column(tb, c->name, 0, c->right ? SCOLS_FL_RIGHT : 0);
}

static bool table_print(struct libscols_table *tb, struct out *o)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return false;
	scols_table_set_stream(tb, f);
	bool fine = scols_print_table(tb) == 0;
	fine &= fclose(f) == 0;
	if (fine)
		strbuf_add(&o->b, text, n);
	free(text);
	out_tick(o);
	return fine;
}

/* libsmartcols prints nothing, not even headings, for a table without rows. */
static void headings_only(struct out *o, const struct list_look *k)
{
	for (size_t c = 0; k->columns[c] && !k->noheadings; c++)
		strbuf_fmt(&o->b, "%s%s", c ? " " : "", k->columns[c]->name);
	if (!k->noheadings)
		strbuf_char(&o->b, '\n');
}

static bool state_column(const struct column *c)
{
	return !strcmp(c->name, "STATE") || !strcmp(c->name, "OUTCOME");
}

static bool table_row(struct libscols_table *tb, const struct list *l, const struct list_look *k,
		      const void *row, struct cells *x)
{
	struct libscols_line *ln = scols_table_new_line(tb, NULL);
	const char *colour = k->term->colour && l->kind->colour ? l->kind->colour(row) : NULL;
	if (!ln)
		return false;
	for (size_t c = 0; k->columns[c]; c++) {
		if (scols_line_set_data(ln, c, cell_of(x, l, k, row, c)))
			return false;
		if (colour && state_column(k->columns[c]))
			scols_cell_set_color(scols_line_get_cell(ln, c), colour);
	}
	return true;
}

static err_t print_table(struct out *o, const struct list *l, const struct list_look *k)
{
	struct cells x = { 0 };
	struct libscols_table *tb = table_new(k);
	bool fine = tb && (!k->term->width || fit(&x, l, k));
	for (size_t c = 0; k->columns[c] && fine; c++)
		fine = table_column(tb, k->columns[c]);
	for (size_t i = 0; i < l->n && fine; i++)
		fine = table_row(tb, l, k, l->rows[i], &x);
	if (fine && l->n)
		fine = table_print(tb, o);
	else if (fine)
		headings_only(o, k);
	fine &= !x.cell.failed && !x.escaped.failed && !x.cut.failed;
	scols_unref_table(tb);
	strbuf_free(&x.cell);
	strbuf_free(&x.escaped);
	strbuf_free(&x.cut);
	free(x.fits);
	return fine ? NULL : ERR_NOMEM;
}

err_t list_print(struct out *o, const struct list *l, const struct list_look *k)
{
	if (k->raw)
		return print_raw(o, l, k);
	TRY(print_table(o, l, k));
	if (l->filtered)
		strbuf_fmt(&o->b, "%zu of %zu %s\n", l->n, l->total, l->kind->noun);
	return NULL;
}

static void tally_raw(struct out *o, const struct tally *t)
{
	strbuf_int(&o->b, (int64_t)t->count);
	strbuf_char(&o->b, ' ');
	strbuf_field(&o->b, *t->key ? t->key : "-");
	strbuf_char(&o->b, '\n');
	out_tick(o);
}

err_t tallies_print(struct out *o, const struct tallies *t, const char *by, const struct list_look *k)
{
	struct strbuf escaped = { 0 };
	if (!k->noheadings) {
		strbuf_str(&o->b, k->raw ? "COUNT " : "  COUNT ");
		for (; *by; by++)
			strbuf_char(&o->b, (char)(*by >= 'a' && *by <= 'z' ? *by - 32 : *by));
		strbuf_char(&o->b, '\n');
	}
	for (size_t i = 0; i < t->n; i++) {
		if (k->raw) {
			tally_raw(o, &t->v[i]);
			continue;
		}
		strbuf_clear(&escaped);
		strbuf_escaped(&escaped, t->v[i].key);
		strbuf_fmt(&o->b, "%7zu %s\n", t->v[i].count, escaped.s ? escaped.s : "");
		out_tick(o);
	}
	strbuf_free(&escaped);
	return NULL;
}

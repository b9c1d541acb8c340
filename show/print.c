/* Printing lists: raw lines, or a table. Columns are measured, cut and padded here, by
 * the width that UTF-8 has on a terminal. */
#include "show/layout.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

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

static void blanks(struct strbuf *b, size_t n)
{
	while (n--)
		strbuf_char(b, ' ');
}

/* A cell and what parts it from the next. */
static void put_cell(struct out *o, const struct layout *x, size_t c, const char *text, const char *sgr)
{
	const struct column *col = x->k->columns[c];
	size_t w = utf8_width(text), pad = x->fits[c].get > w ? x->fits[c].get - w : 0;
	if (col->right)
		blanks(&o->b, pad);
	term_sgr(x->k->term, &o->b, sgr, text);
	if (!x->k->columns[c + 1])
		return;
	blanks(&o->b, col->right ? 1 : pad + 1);
}

static bool state_column(const struct column *c)
{
	return !strcmp(c->name, "STATE") || !strcmp(c->name, "OUTCOME");
}

static void put_row(struct out *o, struct layout *x, const void *row)
{
	const char *colour = x->l->kind->colour ? x->l->kind->colour(row) : NULL;
	for (size_t c = 0; x->k->columns[c]; c++)
		put_cell(o, x, c, layout_cell(x, row, c), state_column(x->k->columns[c]) ? colour : NULL);
	strbuf_char(&o->b, '\n');
	out_tick(o);
}

static err_t print_table(struct out *o, const struct list *l, struct list_look *k)
{
	struct layout x;
	err_t e = layout_make(&x, l, k);
	for (size_t c = 0; !e && !k->noheadings && k->columns[c]; c++)
		put_cell(o, &x, c, k->columns[c]->name, NULL);
	if (!e && !k->noheadings)
		strbuf_char(&o->b, '\n');
	for (size_t i = 0; !e && i < l->n && !o->errnum; i++)
		put_row(o, &x, l->rows[i]);
	if (!e && (x.cell.failed || x.escaped.failed || x.cut.failed))
		e = ERR_NOMEM;
	layout_free(&x);
	return e;
}

/* "2,994" */
static void with_commas(struct strbuf *b, size_t n)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof digits, "%zu", n);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			strbuf_char(b, ',');
		strbuf_char(b, digits[i]);
	}
}

/* A line for each crowd, and with the last of them how to see the rows. */
static void print_folds(struct out *o, const struct folds *f, const struct list_look *k)
{
	static const char all[] = "; --all-rows shows them";
	struct strbuf text = { 0 }, escaped = { 0 };
	for (size_t i = 0; i < f->n; i++) {
		size_t after = i + 1 == f->n ? strlen(all) : 0, from = o->b.len, width = k->term->width;
		with_commas(&o->b, f->v[i].more);
		strbuf_str(&o->b, " more ");
		size_t used = o->b.len - from + after;
		strbuf_clear(&text);
		strbuf_clear(&escaped);
		strbuf_escaped(&escaped, f->v[i].text);
		fit_cut(&text, escaped.s ? escaped.s : "", width > used ? width - used : 1, FIT_KEEP_BOTH);
		strbuf_fmt(&o->b, "%s%s\n", text.s ? text.s : "", after ? all : "");
	}
	strbuf_free(&text);
	strbuf_free(&escaped);
}

err_t list_print(struct out *o, const struct list *l, struct list_look *k)
{
	if (k->raw)
		return print_raw(o, l, k);
	TRY(print_table(o, l, k));
	print_folds(o, &l->folds, k);
	if (l->filtered)
		strbuf_fmt(&o->b, "%zu of %zu %.*s\n", l->n + l->folds.rows, l->total,
			   (int)strlen(l->kind->noun) - (l->total == 1), l->kind->noun);
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

#include "cmd/source_keep.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "snapshot/visit.h"

struct kept_line { const char *file; int line; const char *text; };

struct keeping {
	struct source *src;
	struct arena *arena;
	struct map seen;         /* file and line, the same string being the same file */
	struct VEC(struct kept_line) lines;
	bool collect, nomem;
};

static void keep_line(void *ctx, const struct frame_place *at)
{
	struct keeping *k = ctx;
	struct strbuf b = { 0 };
	/* Addresses have 47 bits: two lines have one key at the same file's 131,072nd line. */
	uint64_t key = (uint64_t)(uintptr_t)at->file ^ (uint64_t)(uint32_t)at->line << 47;
	if (!at->file || at->line < 1 || !map_add(&k->seen, key, 1))
		return;
	if (source_line(k->src, &(struct source_place){ at->function, at->file, at->line, at->first }, &b) && k->collect) {
		const char *text = arena_str(k->arena, b.s ? b.s : "");
		k->nomem |= !text || !vec_push(&k->lines, (struct kept_line){ at->file, at->line, text });
	}
	strbuf_free(&b);
}

static int by_place(const void *a, const void *b)
{
	const struct kept_line *x = a, *y = b;
	int files = strcmp(x->file, y->file);
	return files ? files : (x->line > y->line) - (x->line < y->line);
}

/* Every line of one file; those of all files stand in order. */
static bool rows_of(struct keeping *k, const char *path, struct source_text *out)
{
	size_t from = 0, n = 0;
	while (from < k->lines.n && strcmp(k->lines.v[from].file, path) != 0)
		from++;
	while (from + n < k->lines.n && strcmp(k->lines.v[from + n].file, path) == 0)
		n++;
	struct source_row *rows = arena_array(k->arena, n ? n : 1, sizeof *rows);
	for (size_t i = 0; rows && i < n; i++) {
		const struct kept_line *l = &k->lines.v[from + i];
		if (!i || rows[out->nrows - 1].line != l->line)
			rows[out->nrows++] = (struct source_row){ l->line, l->text };
	}
	/* The look outlives the source. */
	out->file = arena_str(k->arena, path);
	out->rows = rows;
	return out->file && rows;
}

static bool files(struct keeping *k, struct snapshot *s)
{
	size_t n = 0;
	while (source_path(k->src, n))
		n++;
	struct source_text *v = arena_array(k->arena, n ? n : 1, sizeof *v);
	bool fine = v != NULL;
	for (size_t i = 0; i < n && fine; i++) {
		struct source_text *t = &v[s->nsources];
		struct strbuf b = { 0 };
		fine = rows_of(k, source_path(k->src, i), t);
		if (source_said(k->src, i, &b))
			t->said = arena_str(k->arena, b.s ? b.s : "");
		strbuf_free(&b);
		s->nsources += t->nrows || t->said;
	}
	s->sources = v;
	return fine;
}

err_t source_keep(struct source *src, struct snapshot *s)
{
	struct keeping k = { .src = src, .arena = s->arena };
	/* Any function may show that a file is not the text that ran: so first all of them are
	 * asked for, then lines are taken. */
	bool fine = snapshot_each_frame(s, keep_line, &k) && !k.seen.failed;
	map_free(&k.seen);
	k.collect = true;
	fine = fine && snapshot_each_frame(s, keep_line, &k) && !k.seen.failed && !k.nomem;
	if (fine && k.lines.n)
		qsort(k.lines.v, k.lines.n, sizeof *k.lines.v, by_place);
	fine = fine && files(&k, s);
	map_free(&k.seen);
	vec_free(&k.lines);
	return fine && !arena_failed(s->arena) ? NULL : ERR_NOMEM;
}

#include "query/list.h"

#include <stdlib.h>

#include "base/arena.h"

err_t list_make(struct list *l, const struct list_kind *kind, const struct snapshot *s, struct rows r)
{
	*l = (struct list){ .kind = kind, .snap = s, .n = r.n, .total = r.n };
	l->rows = calloc(r.n ? r.n : 1, sizeof *l->rows);
	if (!l->rows)
		return ERR_NOMEM;
	for (size_t i = 0; i < r.n; i++)
		l->rows[i] = (const char *)r.base + i * r.size;
	return NULL;
}

void list_free(struct list *l)
{
	free(l->rows);
	free(l->folds.v);
	arena_free(l->folds.arena);
	*l = (struct list){ 0 };
}

const char *list_order(const struct list_kind *kind, const struct args *a)
{
	const char *asked = opt_value(a, "sort");
	bool machine = opt_given(a, "json") || opt_given(a, "raw");
	return asked ? asked : machine ? NULL : kind->sort;
}

err_t list_query(struct list *l, const struct args *a, struct tallies *groups)
{
	struct selection sel;
	TRY(selection_parse(&sel, a));
	list_select(l, &sel);
	if (opt_given(a, "group-by"))
		return list_group(l, a, groups);
	TRY(list_sort(l, list_order(l->kind, a)));
	return list_cut(l, a);
}

/* Lists as a person or a script reads them: which columns, how wide, drawn or raw. */
#ifndef ASYNCMON_SHOW_LIST_LOOK_H
#define ASYNCMON_SHOW_LIST_LOOK_H

#include "base/term.h"
#include "query/list.h"

struct list_look {
	const struct column **columns; /* ended by NULL; list_look_free() */
	bool noheadings, raw;
	bool may_drop;         /* a terminal too narrow may have fewer columns */
	const struct term *term;
	struct strbuf left_out; /* names of the columns that there was no room for */
};
/* look.c */
/* E_USAGE for what is wrong with the list options, before anything is captured. */
err_t list_check(const struct list_kind *kind, const struct args *a);
err_t list_look_make(struct list_look *k, const struct list *l, const struct args *a, const struct term *term);
/* For one of several lists: a column that says which process a row is of; headings
 * with the first only. */
err_t list_look_tell_apart(struct list_look *k, const struct list *l, bool first);
void list_look_free(struct list_look *k);
/* print.c: the table, raw or drawn. */
err_t list_print(struct out *o, const struct list *l, struct list_look *k);
err_t tallies_print(struct out *o, const struct tallies *t, const char *by, const struct list_look *k);

/* tasklist.c */
extern const struct list_kind list_tasks;

#endif

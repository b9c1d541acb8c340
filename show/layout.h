/* Which columns of a list a terminal has room for, how wide each is, and its cells. */
#ifndef ASYNCMON_SHOW_LAYOUT_H
#define ASYNCMON_SHOW_LAYOUT_H

#include "show/list_look.h"

struct layout {
	const struct list *l;
	struct list_look *k;
	struct fit *fits;        /* of each of k->columns */
	size_t handle;           /* digits that a column of handles is cut to; 0: whole */
	struct strbuf cell, escaped, cut;
};

/* Takes columns that there is no room for out of k->columns, where k may drop any, into
 * k->left_out. Only ERR_NOMEM. */
err_t layout_make(struct layout *x, const struct list *l, struct list_look *k);
/* The text of a cell, fit for a terminal; valid until the next. */
const char *layout_cell(struct layout *x, const void *row, size_t column);
void layout_free(struct layout *x);

#endif

/* Lists of things of a snapshot (its tasks, those that ended): columns, filters, sort,
 * groups. A kind of list is data; the rest is shared. show/list_look.h prints them.
 *
 * Pure: rows point into the snapshot, which outlives the list. */
#ifndef ASYNCMON_QUERY_LIST_H
#define ASYNCMON_QUERY_LIST_H

#include "base/json.h"
#include "base/term.h"
#include "base/fit.h"
#include "base/options.h"
#include "snapshot/snapshot.h"

enum column_show {
	COL_ASKED,   /* only when -o names it */
	COL_DEFAULT,
	COL_KNOWN,   /* by default where some row has it */
	COL_SPARE,   /* by default where there is room */
	COL_HANDLE   /* by default; not needed where names tell the rows apart */
};

struct column {
	const char *name;         /* capitals; NULL ends a table */
	const char *help;
	enum column_show show;
	bool right;               /* aligned */
	struct fit_manner fit;    /* on a terminal that is too narrow */
	/* Appends the cell's text, not escaped; false: unknown. */
	bool (*text)(struct strbuf *b, const struct snapshot *s, const void *row);
	/* For sorting by number; NULL: by text, digits in it by value. */
	bool (*number)(const struct snapshot *s, const void *row, double *v);
};

/* What filters look at. */
struct subject {
	const char *name, *coro, *body; /* body: NULL where the coroutine itself is it */
	enum task_state state;
	const struct created *created;
	bool persistent;
	bool recorded;           /* the agent has a record of it: else that is not known */
	size_t cancels_kept;   /* requests that are shown, where there were more; else 0 */
};

struct list_kind {
	const char *noun;             /* "tasks" */
	const char *noun_json;        /* the key of its array */
	const char *sort;             /* the order for people, where --sort says none; may be NULL */
	const struct column *columns;
	const struct column *const *groups_by; /* of --group-by, ended by NULL */
	void (*subject)(const void *row, struct subject *out);
	const char *(*colour)(const void *row); /* of STATE; NULL: none. May be NULL */
	void (*json)(struct json *j, const void *row);
	/* What rows that are alike have in common, after "41 more ": "wait on the same line
	 * (work app.py:8, sleep)". NULL: no row is like another. */
	void (*alike)(struct strbuf *b, const struct snapshot *s, const void *row);
};

/* Rows that are not shown, for others are like them. */
struct fold { const char *text; size_t more; };
struct folds { struct fold *v; size_t n, rows; struct arena *arena; };

struct list {
	const struct list_kind *kind;
	const struct snapshot *snap;
	const void **rows;
	size_t n, total;       /* rows left, rows there were */
	bool filtered;
	size_t unjudged;       /* rows left out for want of an age or a place of making */
	struct folds folds;    /* of rows that were left and are told in a line; list_fold() */
};

struct rows { const void *base; size_t n, size; }; /* n elements of `size` bytes */

err_t list_make(struct list *l, const struct list_kind *kind, const struct snapshot *s, struct rows r);
void list_free(struct list *l);

/* select.c: the filters of options_select. */
struct selection {
	const char *text, *coro, *created;
	unsigned states;       /* a bit for each; 0: any */
	double older_than;     /* seconds; NAN: any age */
	bool persistent;
	bool recorded;           /* the agent has a record of it: else that is not known */
};
err_t selection_parse(struct selection *sel, const struct args *a);
bool selection_any(const struct selection *sel); /* it filters at all */
bool selection_matches(const struct selection *sel, const struct subject *x);
/* It would be selected by all else, but nothing is known of its making. */
bool selection_cannot_judge(const struct selection *sel, const struct subject *x);
/* Notes how many were left out so, that an empty list is not taken for "there are none". */
void list_say_unjudged(struct snapshot *s, size_t n, const char *noun);
/* Notes of how many rows not all cancel requests are shown. */
void list_say_cut(struct snapshot *s, const struct list *l);
void list_select(struct list *l, const struct selection *sel);
/* Seconds of "90s", "1h30m", "500ms", "2.5"; E_USAGE. */
err_t duration_parse(const char *text, double *seconds);
/* Where a thing was made: the last frame outside asyncio itself, or NULL. */
const struct frame *created_at(const struct created *c);

/* sort.c */
const struct column *column_find(const struct column *table, const char *name, size_t n);
err_t unknown_column(const struct column *table, const char *what, const char *name);
/* Digits compare by value, other bytes as they are. */
int natural_compare(const char *a, const char *b);
/* "KEY", "KEY:desc", "KEY:asc"; NULL: as it is. Equal rows keep their order, unknown
 * ones come last either way. */
err_t list_sort(struct list *l, const char *key);
/* --head and --tail. */
err_t list_cut(struct list *l, const struct args *a);
err_t count_parse(const char *option, const char *text, size_t *out);

/* groups.c: --group-by. Most first, unless sorted by "key" or "count". */
struct tally { const char *key; size_t count; };
struct tallies { struct tally *v; size_t n; struct arena *arena; };
err_t list_group(const struct list *l, const struct args *a, struct tallies *out);
void tallies_free(struct tallies *t);
/* What a --group-by of that name counts by; E_USAGE. */
err_t list_group_column(const struct list_kind *kind, const char *by, const struct column **out);

/* crowd.c: takes rows out of each crowd that is alike, into l->folds, the largest first.
 * l->kind->alike is not NULL. */
err_t list_fold(struct list *l);

/* The order asked for; else, in what a person reads, the kind's own. May be NULL. */
const char *list_order(const struct list_kind *kind, const struct args *a);
/* Selects, groups or sorts, and cuts, as the options say. */
err_t list_query(struct list *l, const struct args *a, struct tallies *groups);

#endif

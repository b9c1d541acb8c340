/* Pages: what they have in common, and a function for each. Data and a place to write in, a
 * page out; nothing here looks at a target. */
#ifndef ASYNCMON_SHOW_HTML_PAGE_H
#define ASYNCMON_SHOW_HTML_PAGE_H

#include "base/options.h"
#include "base/url.h"
#include "query/list.h"
#include "query/why.h"
#include "show/html.h"

struct page_view {
	struct strbuf *b;
	const char *key;         /* of the target, in addresses; NULL: of all */
	const char *command;     /* its command line */
	const char *path;        /* of this page */
	const struct field *fields;
	size_t nfields;
	const struct snapshot *s;
	uint64_t look;           /* the number of the look */
	bool pinned;             /* by its number: the page stays as it is */
	bool ended;
	double interval;         /* seconds between two looks */
	const char *form;        /* goes into each form; NULL: there is nothing to act with */
	/* Appends the line of source that a frame is at; false: it cannot be had. May be NULL. */
	bool (*source)(void *ctx, const struct frame *f, struct strbuf *b);
	void *ctx;
};

/* Opens the page. view: its name in the list of views, or NULL. */
void page_begin(const struct page_view *p, const char *title, const char *view);
void page_finish(const struct page_view *p);
/* A page of one sentence, which may hold text of a target. */
void html_error(struct strbuf *b, const char *message);

/* A link to a task, by its name where it has one. */
void html_task_link(const struct page_view *p, uint64_t id, const char *name);
/* The task of that id, as a link; "?" where it is 0. */
void html_task_ref(const struct page_view *p, uint64_t id);
void html_stack(const struct page_view *p, const struct stack *st);

/* One of all targets. */
struct overview_row { const char *key, *command, *trouble; bool ended; const struct snapshot *s; };
void html_overview(const struct page_view *p, const struct overview_row *v, size_t n);

#define PAGE_ROWS 50
/* A page of rows of a list that has been queried, from row `from` on. */
void html_list(const struct page_view *p, const struct list *l, size_t from, const char *view);
void html_groups(const struct page_view *p, const struct list *l, const struct tallies *t, const char *by, const char *view);
void html_task(const struct page_view *p, const struct task *t, const struct why *y);
void html_ended(const struct page_view *p, const struct ended *t);
err_t html_tree(const struct page_view *p, const struct args *a, bool grouped);
void html_threads(const struct page_view *p);
void html_findings(const struct page_view *p);
void html_why(const struct page_view *p, const struct why *y);
/* What became of an action: JSON of the command. */
void html_acted(const struct page_view *p, const char *json);

#endif

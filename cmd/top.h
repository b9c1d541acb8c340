/* What the files of `top` share: the targets and their looks, what is shown of them, the
 * screen. */
#ifndef ASYNCMON_CMD_TOP_H
#define ASYNCMON_CMD_TOP_H

#include "base/vec.h"
#include "cmd/capture.h"
#include "cmd/command.h"
#include "query/list.h"
#include "watch/watch.h"

struct top_target {
	char word[16];           /* its PID */
	char command[128];
	struct capture *cap;
	struct snapshot *now, *before; /* NULL: not yet */
	struct watch *watch;
	struct hold held;        /* the last that was told */
	bool holds;              /* and goes on */
	size_t stalls;
	double longest;          /* of them, seconds */
};

struct top {
	struct call *c;
	struct VEC(struct top_target) targets;
	size_t shown;            /* index of that which is on the screen */
	double interval;
	bool paused, quit;
	char filter[128];        /* "": none */
	size_t sort;             /* index + 1 of a column of list_tasks; 0: the order of ps */
	bool reverse;
	size_t group;            /* index + 1 in list_tasks.groups_by; 0: tasks are listed */
	/* The list: its first row on the screen, and the chosen one. */
	size_t first, at, rows;
	uint64_t chosen;         /* that task; 0: none */
	struct strbuf page;      /* text that is read in place of the list; "": the list is shown */
	size_t page_first;
	struct strbuf said;      /* the last line: what became of something */
	char prompt[256];        /* the last line while an answer is waited for; "": none */
	char answer[128];
	enum { ASK_NOTHING, ASK_FILTER, ASK_CANCEL } asks;
	int errors;              /* where standard error goes meanwhile */
};

static inline struct top_target *top_target(struct top *t) { return &t->targets.v[t->shown]; }

/* top.c: runs a command on the target that is shown; its text is appended. */
void top_command(struct top *t, const char *name, const char *task, struct strbuf *text);
/* top_draw.c */
void top_draw(struct top *t);
/* How many rows of the list, or lines of a page, fit. */
size_t top_room(const struct top *t);
/* top_keys.c: what a key, as getch() gives it, brings about. */
void top_key(struct top *t, int key);

#endif

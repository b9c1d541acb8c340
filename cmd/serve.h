/* The parts of `serve`: which processes it watches, the looks that all who ask share, and
 * who answers what.
 *
 * Three processes: one speaks HTTP, without rights (serve/http.h); one looks at the targets
 * and answers it (serve_back.c); the one that was started watches over both, and begins the
 * second anew where what it read brought it down. */
#ifndef ASYNCMON_CMD_SERVE_H
#define ASYNCMON_CMD_SERVE_H

#include "base/options.h"
#include "cmd/capture.h"
#include "cmd/procs.h"
#include "serve/entry.h"
#include "serve/wire.h"
#include "snapshot/snapshot.h"

struct serve_opts {
	const char *const *words; /* PIDs and files that were named */
	size_t nwords;
	const char *tree, *match; /* or NULL */
	bool all;
	double interval;          /* the least time between two looks at one target, in seconds */
	bool allow_actions;
	unsigned no_pause;        /* SNAPSHOT_NO_PAUSE or 0 */
	int64_t pause_ns;
	struct target_opts target;
	struct entry entry;
};

/* What a look has. Answers are the same as those of the commands, so what only some of them
 * ask for is not mixed in: each of these is a look of its own. */
enum look_kind {
	LOOK_LIVE,    /* tasks, threads, those that ended */
	LOOK_DONE,    /* the same, and tasks that are done but alive */
	LOOK_NATIVE,  /* threads with their C frames */
	LOOK_WHOLE,   /* what `where` asks for */
	LOOK_KINDS
};

#define LOOKS_KEPT 4

struct look {
	uint64_t number;         /* counts up in a target; 0: none */
	struct snapshot *s;
	double at, used;         /* now_seconds() */
};

struct watched {
	char key[24];            /* in URLs: the PID, or "file1" */
	char *word, *command;
	pid_t pid;               /* 0: a file */
	bool named;              /* by the one who started us; others are shown once they run asyncio */
	bool ended;
	double ended_at, retry_at;
	char *trouble;           /* why the last look failed, or NULL */
	struct capture *cap;
	struct look looks[LOOK_KINDS][LOOKS_KEPT]; /* newest first */
	uint64_t nlooks;
	double look_seconds, pause_seconds; /* of all looks */
};

struct watches {
	const struct serve_opts *o;
	struct VEC(struct watched *) v;
	double found_at;
};

/* serve_watch.c */
err_t watches_start(struct watches *ws, const struct serve_opts *o);
void watches_end(struct watches *ws);
/* Finds processes that came, and notices those that went; not more often than is of use. */
void watches_refresh(struct watches *ws);
struct watched *watched_find(const struct watches *ws, const char *key);
/* Is there something to show of it? */
bool watched_shown(const struct watched *w);
/* A look that is not older than the interval, taken now where there is none; number: that
 * one, where it is kept yet, else 0. The look stays the target's, until the next call. */
err_t watched_look(struct watches *ws, struct watched *w, enum look_kind kind, uint64_t number, const struct look **out);
/* The look of that kind that is kept and was taken before this one, or NULL. */
const struct look *watched_before(const struct watched *w, enum look_kind kind, const struct look *l);

/* serve_back.c: answers what comes through the channel; returns when the other side is gone.
 * again: another did so before, and was ended. */
void serve_back(const struct serve_opts *o, int channel, bool again);
/* Makes r an error page or, for programs, an error object. Frees e. */
void reply_error(struct reply *r, const struct asked *a, err_t e);
/* The HTTP status that says so. */
int http_status_of(err_t e);

/* serve_api.c: paths below /api/1/ and /metrics. */
void serve_api(struct watches *ws, const struct asked *a, struct reply *r);
void serve_metrics(struct watches *ws, const struct asked *a, struct reply *r);
/* The options of a command out of the fields of a request, and the words of field `words`.
 * E_USAGE for what it does not take. The fields in `but` are left alone. */
err_t args_of_fields(struct args *a, const char *command, const struct asked *q, const char *const *but);
/* Findings of the newest look into view, by the look before it where there is one. */
err_t findings_of(const struct watched *w, const struct look *l, struct snapshot *view);

/* serve_pages.c: HTML. */
void serve_pages(struct watches *ws, const struct asked *a, struct reply *r);
/* That look is about to be freed. */
void pages_forget(const struct watched *w, uint64_t look);
/* serve_act.c: a form that was sent. */
void serve_act(struct watches *ws, const struct asked *a, struct reply *r);

#endif

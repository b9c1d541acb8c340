/* The session: targets held open, and lines that run commands on them.
 *
 * A command that looks or acts runs in a child of its own, which inherits the open
 * targets. So Ctrl-C ends the command at any instant and the session lives; so does it
 * when hostile memory brings a command down. Commands of the session itself (alias,
 * exit) run in place. */
#ifndef ASYNCMON_CMD_SESSION_H
#define ASYNCMON_CMD_SESSION_H

#include "cmd/capture.h"
#include "cmd/command.h"

struct alias { char *name, *text; struct alias *next; };

struct session {
	struct capture **caps;
	char **names;            /* of the targets, for a person: "app.py", "core.17" */
	bool *ended;             /* known to have ended, and said */
	size_t n;
	bool interactive;
	bool warned;             /* that a command writes to the target */
	bool over;
	int status;              /* of the last line */
	struct alias *aliases;
};

/* session.c: opens the targets, runs, closes. `script`: command lines ended by NULL that
 * are run in place of standard input, or NULL. Gives the exit status. */
struct session_opts {
	const char *const *targets;
	size_t ntargets;
	bool skip_others;        /* targets without asyncio are left out */
	const char *const *script;
	const char *rc;          /* start file; NULL: the user's */
	bool no_rc;
	struct target_opts target;
};
err_t session_open(struct session *s, const struct session_opts *o);
int session_run(struct session *s, const struct session_opts *o);
void session_close(struct session *s);

/* session_ends.c: says which targets ended since the last call. True: one did. */
bool session_notice_ends(struct session *s);
/* What the prompt and messages call the target. */
char *session_target_name(const struct capture *cap, const char *word);
void session_banner(struct session *s);

/* session_exec.c: one line, as typed. Gives its status. */
int session_line(struct session *s, const char *line);

/* session_words.c */
struct line {
	char **words;            /* ended by NULL */
	int n;
	char *pipe;              /* shell command behind |, or NULL */
	char *file;              /* behind > or >>, or NULL */
	bool append;
};
/* Blanks part words, quotes and backslashes do what they do in sh; no expansions. E_USAGE. */
err_t line_parse(const char *text, struct line *out);
void line_free(struct line *l);

/* session_alias.c. The line with the alias at its start replaced; the caller frees it. */
char *alias_expand(const struct session *s, const char *line);
const struct alias *alias_find(const struct session *s, const char *name, size_t len);

/* session_programs.c: asyncmon-NAME on PATH. */
char *program_find(const char *name);
/* Calls fn for each name there. */
void program_each(void (*fn)(void *ctx, const char *name), void *ctx);
/* Becomes the program, with the snapshot as its standard input; returns a status only
 * where it could not. */
int program_exec(const struct held *h, const char *path, char **words);

/* complete.c */
void complete_start(struct session *s);
void complete_end(void);

#endif

/* A command, and what it is called with.
 *
 * One table (table.c) has every command: dispatch, help, completion and the check of
 * the man page are fed from it. A new command is a file with its struct command and a
 * row in that table.
 *
 * A command's run() is called once for each target, prints its data to call->out and
 * returns an exit status. It captures by call_snapshot(), which does not care whether
 * the target was named on the command line or is held by a session. */
#ifndef ASYNCMON_CMD_COMMAND_H
#define ASYNCMON_CMD_COMMAND_H

#include "base/json.h"
#include "base/term.h"
#include "base/options.h"
#include "tasks/take.h"

#define ASYNCMON_VERSION "0.1.0"

enum status {
	STATUS_FINE = 0,
	STATUS_FINDING = 1,      /* or no such task */
	STATUS_USAGE = 2,
	STATUS_ATTACH = 3,
	STATUS_UNREADABLE = 4,
	STATUS_INCOMPLETE = 5
};

enum command_flags {
	CMD_TARGET = 1,      /* its first word is a target (in a session: the one held) */
	CMD_MANY = 2,        /* all its words are targets; --tree PID is one too */
	CMD_WRITES = 4,      /* changes the target */
	CMD_CORE = 8,        /* works on core dumps */
	CMD_SELECT = 16,     /* takes the options that select tasks */
	CMD_LIST = 32,       /* takes the list options */
	CMD_REST = 64,       /* options end at the first word */
	CMD_SESSION = 128,   /* known in the session only */
	CMD_NO_SESSION = 256, /* not known in the session */
	CMD_PAGER = 512,     /* its text goes to a pager on a terminal */
	CMD_HERE = 1024,     /* changes the session itself, so runs in its process */
	CMD_HIDDEN = 4096,   /* for programs: no help lists it */
	CMD_FOLLOWS = 16384, /* goes on until it is ended */
	CMD_NO_LOOK = 8192   /* has a target, but does not look into it */
};

struct call;
struct capture;
struct target_opts;
struct list_kind;
struct session;

struct command {
	const char *name;
	const char *aliases[4];       /* ended by NULL */
	const char *arguments;        /* words after the target, for help; "" if none */
	const char *summary;          /* a line without a full stop */
	const char *description;      /* paragraphs for --help */
	const struct option *options; /* its own; NULL: none */
	const struct list_kind *list; /* with CMD_LIST: what it lists */
	const char *alone;            /* an option with which it needs no target; NULL: none */
	unsigned flags;
	int (*run)(struct call *c);
};

extern const struct command *const commands[]; /* ended by NULL */
extern const struct option options_common[], options_select[], options_list[], options_many[];

struct call {
	const struct command *cmd;
	struct args args;
	const char *target;           /* the word; NULL where there is none */
	const char *const *words;     /* those after the target */
	size_t nwords;
	bool many;                    /* one of several targets */
	bool skippable;               /* found by --tree: left out where it is no asyncio program */
	size_t shown;                 /* answers given so far, for all targets */
	bool as_json;
	struct json json;
	struct out *out;              /* data */
	struct strbuf *notes;         /* lines for stderr, printed when the data is out */
	struct term term;
	struct capture *cap;          /* open target; a session's stays open */
	struct session *session;      /* NULL outside of one */
};

/* command.c */
const struct command *command_find(const char *name);
/* By name, alias, or in a session the first letters of a name. E_USAGE names the nearest,
 * or those that it could be. */
err_t command_lookup(const char *name, bool session, const struct command **out);
/* The sets of options that a command takes, into a->sets. */
void command_sets(const struct command *cmd, struct args *a);
/* Whether an option of options_common means something to it. All are accepted. */
bool command_takes(const struct command *cmd, const struct option *o);
/* Runs one command line, argv[0] being the command's name, and prints what it says.
 * before: options given before that name. cap: a session's target, or NULL. */
int command_run(const struct args *before, struct capture *cap, int argc, char **argv);
/* What a session holds for the commands that it runs. */
struct held {
	struct capture *const *caps;  /* open targets */
	size_t n;
	struct session *session;
	struct strbuf *text;          /* where data goes in place of stdout, or NULL */
};
/* The same, on what is held. A word "PID/x", or a PID alone, chooses among several. */
int command_run_held(const struct args *before, const struct held *h, int argc, char **argv);
/* A failure outside a command: JSON where the words ask for it. */
int command_fail(err_t e, int argc, char **argv);

/* call.c: what commands do with their call. */

/* Opens the target where none is held. */
err_t call_open(struct call *c);
/* The same, and looks. `what`: enum snapshot_what;
 * --no-pause is seen to. The caller frees the snapshot. */
err_t call_snapshot(struct call *c, unsigned what, struct snapshot **out);
/* --wait: until that target has a loop. call_snapshot() does it for the call's own. */
err_t call_wait(struct call *c, const char *word, const struct target_opts *o);
/* The open target, after call_snapshot(); c's own. */
struct target *call_target(struct call *c);
/* Says e (JSON: as an error object), frees it, and gives the exit status for it. */
int call_fail(struct call *c, err_t e);
/* JSON: opens the answer with its head; the command's own keys follow. */
void call_answer(struct call *c, const struct snapshot *s);
/* JSON: closes the answer. Text: notes and what is missing, to stderr. Status: 0 or 5. */
int call_end(struct call *c, const struct snapshot *s);
/* One line for stderr, "asyncmon: …", made fit for a terminal. */
void call_note(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says them now; for a command that goes on. */
void call_notes_flush(struct call *c);
int status_of(err_t e);

/* usage.c */
/* Of the session: what is known there. */
void usage_all(struct strbuf *b, bool session);
void usage_command(struct strbuf *b, const struct command *cmd);

#endif

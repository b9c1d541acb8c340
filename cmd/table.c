/* Every command, and the options they share. */
#include "cmd/command.h"

extern const struct command cmd_attach, cmd_watch, cmd_cancel, cmd_console, cmd_signal, cmd_alias, cmd_unalias, cmd_exit;
extern const struct command cmd_ps, cmd_tree, cmd_where, cmd_stacktrace, cmd_save, cmd_diff, cmd_help;
extern const struct command cmd_why, cmd_check, cmd_flame, cmd_trace, cmd_stalls, cmd_serve;
extern const struct command cmd_mcp, cmd_ps_terminated, cmd_where_terminated, cmd_inject, cmd_run, cmd_complete;
extern const struct command cmd_top;

const struct command *const commands[] = {
	&cmd_attach,
	&cmd_ps,
	&cmd_tree,
	&cmd_where,
	&cmd_ps_terminated,
	&cmd_where_terminated,
	&cmd_stacktrace,
	&cmd_save,
	&cmd_diff,
	&cmd_why,
	&cmd_check,
	&cmd_flame,
	&cmd_trace,
	&cmd_stalls,
	&cmd_top,
	&cmd_inject,
	&cmd_run,
	&cmd_serve,
	&cmd_watch,
	&cmd_mcp,
	&cmd_cancel,
	&cmd_console,
	&cmd_signal,
	&cmd_alias,
	&cmd_unalias,
	&cmd_help,
	&cmd_exit,
	&cmd_complete,
	NULL
};

const struct option options_common[] = {
	{ "json", 0, NULL, "print one JSON object" },
	{ "color", 0, "WHEN", "colour: auto (on a terminal), always or never" },
	{ "no-pause", 0, NULL, "read without stopping the target; what is seen may not be of one instant" },
	{ "max-pause", 0, "DURATION", "the longest that the target is stopped for: 50ms, 2s; 1s where not given" },
	{ "wait", 0, "DURATION", "where the process has no event loop yet, wait for one so long" },
	{ "stats", 0, NULL, "say on stderr what the look cost: bytes, pause, time by stage" },
	{ "where", 0, "WHICH", "the frame shown for a stack: user (the last in the user's own code, the default) "
			       "or innermost (the last outside asyncio)" },
	{ "verbose", 'v', NULL, "say more on stderr, and show stacks whole" },
	{ "exe", 0, "FILE", "the executable that a core dump is of" },
	{ "sysroot", 0, "DIR", "where the files that a core dump names lie" },
	{ "debug-dir", 0, "DIR", "where separate debug files lie" },
	{ "help", 'h', NULL, "say how the command is used" },
	{ NULL, 0, NULL, NULL }
};

const struct option options_select[] = {
	{ "filter", 'f', "TEXT", "only those with TEXT in the task's or the coroutine's name" },
	{ "state", 0, "STATE,...", "only those in one of these states: running, runnable, waiting, "
				   "finished, failed, cancelled" },
	{ "coro", 0, "GLOB", "only those whose coroutine's name matches" },
	{ "created", 0, "GLOB", "only those made at a file:line that matches" },
	{ "older-than", 0, "DURATION", "only those made longer ago than that: 90s, 5m, 2h, 1d" },
	{ "persistent", 'p', NULL, "only those marked as persistent" },
	{ NULL, 0, NULL, NULL }
};

const struct option options_list[] = {
	{ "sort", 0, "KEY[:desc]", "sort by a column" },
	{ "group-by", 0, "KEY", "a row and a count for each coro, created, waiting, state, group, by, or any column" },
	{ "head", 0, "N", "only the first N" },
	{ "tail", 0, "N", "only the last N" },
	{ "output", 'o', "COLUMN,...", "these columns; with a + before the first, these too" },
	{ "noheadings", 0, NULL, "no heading line" },
	{ "raw", 0, NULL, "fields apart by one space, blanks in them as \\x20" },
	{ NULL, 0, NULL, NULL }
};

const struct option options_many[] = {
	{ "tree", 0, "PID", "that process and those of its descendants that run Python with asyncio" },
	{ NULL, 0, NULL, NULL }
};

/* The console's two files: running code (console.c), and a person's prompt. */
#ifndef ASYNCMON_CMD_CONSOLE_H
#define ASYNCMON_CMD_CONSOLE_H

#include "cmd/link.h"

struct console {
	struct call *c;
	uint64_t loop;
	struct link link;
};

enum answer {
	ANSWER_NONE, ANSWER_BEGUN, /* more is to come */
	ANSWER_DONE, ANSWER_ERROR, ANSWER_INTERRUPTED,
	ANSWER_MORE,               /* the code is not all yet */
	ANSWER_EXIT,
	ANSWER_GIVEN_UP,           /* the user left while it ran */
	ANSWER_CLOSED              /* the loop, or the target, ended */
};

/* kind 'x': the whole code; 'l': lines, which may want more. Prints what it prints. */
enum answer console_run(struct console *k, char kind, const char *code);
/* What the message that was taken last says; prints it if it is output. */
enum answer console_hear(struct console *k);
/* Prompts until the end. */
enum answer console_prompt(struct console *k);

#endif

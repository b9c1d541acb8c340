/* Lines from a person, by readline: prompt, history, Ctrl-C, and a word from elsewhere
 * while nothing is typed. One at a time in a process. */
#ifndef ASYNCMON_CMD_INPUT_H
#define ASYNCMON_CMD_INPUT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

struct input {
	const char *history;     /* its file's name under the state folder */
	/* Descriptors to watch while waiting for a key, into p; how many. */
	size_t (*watch)(void *ctx, struct pollfd *p, size_t room);
	/* One of them is ready; may print. */
	void (*woken)(void *ctx);
	void *ctx;
};

void input_start(const struct input *i);
/* The caller frees it; NULL at the end. *interrupted: Ctrl-C, there is no line. */
char *input_line(const char *prompt, bool *interrupted);
/* Did Ctrl-C come since the last line was entered? */
bool input_interrupted(void);
/* Gives the line up, as if at the end of input; for woken(). */
void input_give_up(void);
void input_end(void);

/* "$VAR/asyncmon/name" or "$HOME/home/asyncmon/name"; NULL where neither is set. */
char *xdg_path(const char *var, const char *home, const char *name, bool make_folder);

#endif

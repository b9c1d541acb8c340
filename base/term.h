/* The terminal: whether there is one, its size, colour, and the pager. */
#ifndef ASYNCMON_BASE_TERM_H
#define ASYNCMON_BASE_TERM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/strbuf.h"

enum term_when { WHEN_AUTO, WHEN_ALWAYS, WHEN_NEVER };

struct term {
	bool out, err;   /* stdout, stderr are terminals */
	bool colour;     /* of stdout */
	unsigned width;  /* of stdout; 0: no terminal, so nothing is cut */
	unsigned height; /* the same */
};

/* NO_COLOR and TERM=dumb turn WHEN_AUTO off. */
void term_look(struct term *t, enum term_when colour);

/* Text between sgr ("1", "31") and back, where there is colour. */
void term_sgr(const struct term *t, struct strbuf *b, const char *sgr, const char *text);

/* Starts the pager and gives the descriptor of its standard input, or -1 where none
 * is wanted (PAGER empty or "cat", a dumb terminal or none) or it cannot be started. */
int pager_start(const struct term *t, pid_t *pid);
/* Closes fd and waits until the user has left the pager. */
void pager_finish(int fd, pid_t pid);

#endif

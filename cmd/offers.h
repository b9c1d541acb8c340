/* What may stand where the cursor is: in a line of the session, or of a shell. Out of the
 * tables of commands, options and columns, and out of a look at the target. */
#ifndef ASYNCMON_CMD_OFFERS_H
#define ASYNCMON_CMD_OFFERS_H

#include <time.h>

#include "cmd/session.h"

struct offer { char *word, *about; /* fit for a terminal; may be NULL */ };

struct offers {
	struct session *s;       /* whose targets are looked at; NULL: a shell's line, in which
				  * the target is named */
	/* The answer. */
	struct offer *v;         /* words that start with the prefix */
	size_t n, cap;
	bool files;              /* files may stand there as well */
	bool goes_on;            /* more of the same word may follow */
	/* The look at the target, which serves for a while. */
	struct session own;      /* of a shell's line */
	struct snapshot **snaps; /* one a target */
	time_t taken;
	/* The word's part before the one that is offered: "--sort=", "ID,STATE,". */
	struct strbuf head;
};

/* `words`: those before the word that is completed, of a shell's line without the name of
 * the program; `prefix`: what there is of that word. Quotes are off. */
void offers_find(struct offers *o, char *const *words, int n, const char *prefix);
/* Without a look, the next offers_find() takes a new one. */
void offers_free(struct offers *o);

#endif

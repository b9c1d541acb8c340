/* Options as data, and the one parser of them: long and short, `--name value`,
 * `--name=value`, clusters of short ones (`-vf text`), `--`, anywhere among the words.
 *
 * What was parsed points into argv and the option tables; args_free() frees the rest. */
#ifndef ASYNCMON_BASE_OPTIONS_H
#define ASYNCMON_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct option {
	const char *name;  /* long, without dashes; NULL ends a table */
	char letter;       /* short, or 0 */
	const char *value; /* what to call its value in help; NULL: takes none */
	const char *help;
};

#define OPTION_SETS 6

struct args {
	const struct option *sets[OPTION_SETS]; /* the tables searched; ended by NULL */
	struct given { const struct option *opt; const char *value; } *given;
	size_t ngiven;
	const char **words;   /* what is no option, in order */
	size_t nwords;
};

enum parse_until { UNTIL_END, UNTIL_WORD /* the rest are words: a command line */ };

/* a->sets has been filled in. What is already given stays. E_USAGE names the
 * nearest option. */
err_t args_parse(struct args *a, int argc, char **argv, enum parse_until until);
/* Adds one as if it had been parsed. */
err_t args_give(struct args *a, const struct option *o, const char *value);
void args_free(struct args *a);

bool opt_given(const struct args *a, const char *name);
/* The value given last, or NULL. */
const char *opt_value(const struct args *a, const char *name);

/* The candidate nearest to word, or NULL where none is near. */
struct nearest { const char *word, *best; size_t distance; };
void nearest_try(struct nearest *n, const char *candidate);

#endif

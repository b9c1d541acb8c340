/* The source lines of a whole look, for where the files will not be at hand. */
#ifndef ASYNCMON_CMD_SOURCE_KEEP_H
#define ASYNCMON_CMD_SOURCE_KEEP_H

#include "cmd/source.h"

/* Fills s->sources from the files as src reads them. Only ERR_NOMEM. */
err_t source_keep(struct source *src, struct snapshot *s);

#endif

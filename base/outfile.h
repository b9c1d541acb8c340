/* A file that is there whole or not at all: written where nobody sees it, and given its name
 * at the end. What stood under that name stays until then, and is never half overwritten.
 * Killing us in between leaves nothing behind where the file system knows unnamed files
 * (O_TMPFILE), else a file named NAME.PID.new. */
#ifndef ASYNCMON_BASE_OUTFILE_H
#define ASYNCMON_BASE_OUTFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct outfile {
	int fd;          /* to write to */
	char *path;
	char *temporary; /* its name until the end; NULL: it has none */
	bool replace;    /* what has the name already */
	bool direct;     /* the name is a device's or a pipe's: it is written to as it is */
};

/* mode: less the umask. Without `replace` a file that is there already is E_USAGE, now and
 * at the end; pipes and devices are written to in any case. E_IO. */
err_t outfile_begin(struct outfile *f, const char *path, mode_t mode, bool replace);
/* Gives it its name once all was written to fd. */
err_t outfile_keep(struct outfile *f);
/* Closes, and drops what was not kept. Of a zeroed one too. */
void outfile_end(struct outfile *f);

#endif

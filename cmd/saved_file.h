/* A saved look as a target: the file is read once, and each look at it gives what a look at
 * the process gave then. */
#ifndef ASYNCMON_CMD_SAVED_FILE_H
#define ASYNCMON_CMD_SAVED_FILE_H

#include "base/strbuf.h"
#include "snapshot/snapshot.h"

struct saved_file {
	struct strbuf body;
	struct snapshot *first;  /* the first look, until it is asked for */
	pid_t pid;
};

/* *out is NULL where the file is no saved look: it may be a core, or not be there. */
err_t saved_file_open(const char *path, struct saved_file **out);
/* enum snapshot_what. The snapshot is the caller's. */
err_t saved_file_look(struct saved_file *f, unsigned what, struct snapshot **out);
void saved_file_close(struct saved_file *f);

#endif

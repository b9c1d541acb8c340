/* Opening files that somebody else named, in a process of its own: one that has the rights
 * of who named them, and that can be given up. A file system may never answer (a server
 * that is gone, a FUSE that nobody serves); who waits for it in open(), stat() or read()
 * cannot even be killed. So nothing here touches such a file in this process: the opener
 * does, and is waited for up to a deadline. */
#ifndef ASYNCMON_ATTACH_OPENER_H
#define ASYNCMON_ATTACH_OPENER_H

#include <stdint.h>
#include <sys/stat.h>

#include "attach/rights.h"

struct opener;
/* One that has those rights (copied; NULL: ours). The process is started when it is needed. */
struct opener *opener_new(const struct rights *r);
void opener_free(struct opener *o);
const struct rights *opener_rights(const struct opener *o);

/* What is asked for. */
struct opener_ask {
	int root_fd;             /* the path is below that directory, and no link leads out; -1:
				  * it is a path as we see it */
	const char *path;
	uint64_t copy_up_to;     /* not 0: of a file of so many bytes at most, a copy is wanted */
};

/* A regular file, for reading, and what fstat() says of it. *fd is the file, or a copy of it
 * in memory: where one was asked for, and of files on file systems that may stop to answer.
 * E_NOTFOUND; E_BUSY: did not answer in time; E_IO: all else, also without rights. */
err_t opener_open(struct opener *o, const struct opener_ask *ask, int *fd, struct stat *st);

#endif

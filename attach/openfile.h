/* Opening files that someone else named: only regular ones, without side effects.
 *
 * O_PATH opens nothing but the name: no FIFO waits, no device acts. Only what has shown
 * itself to be a regular file is opened in earnest. */
#ifndef ASYNCMON_ATTACH_OPENFILE_H
#define ASYNCMON_ATTACH_OPENFILE_H

#include "base/err.h"

/* A path below the directory root_fd, opened with O_PATH: symlinks, absolute ones too, stay
 * below it. -1 with errno set. Allocates nothing. */
int path_below(int root_fd, const char *path);
/* What was opened with O_PATH, opened for reading; -1 with errno set. */
int reopen(int path_fd);
/* The same of a file of the user's own choice, if it is a regular one. Closes path_fd. name
 * is for the message. */
err_t open_regular(int path_fd, const char *name, int *fd);

#endif

/* Opening files that someone else named: only regular ones, without side effects. */
#ifndef ASYNCMON_ATTACH_OPENFILE_H
#define ASYNCMON_ATTACH_OPENFILE_H

#include "base/err.h"

/* A regular file below the directory root_fd: symlinks, absolute ones too, stay
 * below it; nothing that could block or act on being opened is opened. */
err_t open_below(int root_fd, const char *path, int *fd);
/* What was opened with O_PATH, opened for reading if it is a regular file. Closes
 * path_fd. name is for the message. */
err_t open_regular(int path_fd, const char *name, int *fd);

#endif

/* Compressed cores, as systemd-coredump keeps them. */
#ifndef ASYNCMON_ATTACH_UNPACK_H
#define ASYNCMON_ATTACH_UNPACK_H

#include "base/err.h"

/* When *fd is a zstd or lz4 file: unpacks it into a file without a name (in $TMPDIR,
 * else /var/tmp), zeros left out as holes, and puts that in its place. No more is unpacked
 * than the core's own headers speak of, hardly anything of what is no core, and a tenth
 * of the file system stays free (E_IO, with what to do). Other
 * compressions: E_UNSUPPORTED with the command that unpacks them. Anything else is
 * left as it is. */
err_t unpack(int *fd, const char *path);

#endif

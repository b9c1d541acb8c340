/* Compressed cores, as systemd-coredump keeps them. */
#ifndef ASYNCMON_ATTACH_UNPACK_H
#define ASYNCMON_ATTACH_UNPACK_H

#include "base/err.h"

/* When *fd is a zstd or lz4 file: unpacks it into a file without a name (in $TMPDIR,
 * else /var/tmp), zeros left out as holes, and puts that in its place. Other
 * compressions: E_UNSUPPORTED with the command that unpacks them. Anything else is
 * left as it is. */
err_t unpack(int *fd, const char *path);

#endif

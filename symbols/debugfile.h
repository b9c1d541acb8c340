/* Separate debug files, as distributions install them below /usr/lib/debug
 * or as strip left them beside the file. */
#ifndef ASYNCMON_SYMBOLS_DEBUGFILE_H
#define ASYNCMON_SYMBOLS_DEBUGFILE_H

#include "attach/target.h"
#include "symbols/elf.h"

/* The debug file of that build-id (hex text) in the target's root, or NULL; the
 * caller closes it. */
struct elf *debug_file_open(struct target *t, const char *build_id);
/* The one that .gnu_debuglink of e, the file at path, names: beside it, in .debug
 * there or below /usr/lib/debug. Of the same build-id or, where either has none, of
 * the checksum that the link says. */
struct elf *debug_link_open(struct target *t, struct elf *e, const char *path,
			    const char *build_id);

#endif

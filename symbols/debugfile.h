/* Separate debug files, as distributions install them below /usr/lib/debug
 * or as strip left them beside the file. */
#ifndef ASYNCMON_SYMBOLS_DEBUGFILE_H
#define ASYNCMON_SYMBOLS_DEBUGFILE_H

#include "attach/target.h"
#include "symbols/elf.h"

/* The debug file of e, the file at path in the target's root, or NULL; the caller closes
 * it. The one of that build-id (hex text, "" for none), else the one that .gnu_debuglink
 * names: beside it, in .debug there or below /usr/lib/debug, of the same build-id or,
 * where either has none, of the checksum that the link says. */
struct elf *debug_file_open(struct target *t, struct elf *e, const char *path, const char *build_id);

#endif

/* Separate debug files, as distributions install them below /usr/lib/debug. */
#ifndef ASYNCMON_SYMBOLS_DEBUGFILE_H
#define ASYNCMON_SYMBOLS_DEBUGFILE_H

#include "attach/target.h"
#include "symbols/elf.h"

/* The debug file of that build-id (hex text) in the target's root, or NULL; the
 * caller closes it. */
struct elf *debug_file_open(struct target *t, const char *build_id);

#endif

/* Source lines of one ELF file by address, from its DWARF or that of its separate
 * debug file. Owned by the module.
 *
 * What the file says is not believed: sections and units beyond what compilers write
 * are left alone, walks end by number and by time. Nothing outside of the file is
 * opened: where it shares strings with another (.gnu_debugaltlink), there are no lines.
 * Nor are there where much is compressed, which would take longer than all the rest. */
#ifndef ASYNCMON_SYMBOLS_LINES_H
#define ASYNCMON_SYMBOLS_LINES_H

#include "attach/target.h"
#include "symbols/elf.h"

struct lines;

/* path: as the target sees it; build_id: hex text, "" for none. NULL when there is no
 * DWARF (or memory is out). e must live as long as the result. */
struct lines *lines_read(struct target *t, struct elf *e, const char *path, const char *build_id);
void lines_free(struct lines *ls);
/* The line that vaddr (as the file counts) was compiled from; the file's name lives as
 * long as ls. */
bool lines_find(struct lines *ls, uint64_t vaddr, const char **file, int *line);

#endif

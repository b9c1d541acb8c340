/* Source lines of one ELF file by address, from its DWARF. Owned by the module.
 *
 * What the file says is not believed: sections and units beyond what compilers write
 * are left alone, and so is what would take longer than a stack may. Nothing outside of
 * the file is opened. */
#ifndef ASYNCMON_SYMBOLS_LINES_H
#define ASYNCMON_SYMBOLS_LINES_H

#include "symbols/elf.h"

struct lines;

/* Has it DWARF for lines itself? Else its debug file may (symbols/debugfile.h). */
bool lines_own(struct elf *e);
/* e: the file that has the DWARF; must live as long as the result. NULL when there is none
 * (or memory is out). */
struct lines *lines_read(struct elf *e);
void lines_free(struct lines *ls);
/* The line that vaddr (as the file counts) was compiled from; the file's name lives
 * until the next question. */
bool lines_find(struct lines *ls, uint64_t vaddr, const char **file, int *line);
/* Were lines that the file may have left out, for it has too much? */
bool lines_refused(const struct lines *ls);

#endif

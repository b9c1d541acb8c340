/* Lines of source files, read as the target sees them. */
#ifndef ASYNCMON_CMD_SOURCE_H
#define ASYNCMON_CMD_SOURCE_H

#include "attach/target.h"
#include "base/strbuf.h"

struct source_file;
struct source { struct target *target; struct source_file *files; size_t nfiles; };

/* Appends the line without its indentation and end; false where it cannot be had.
 * Bounded: files of 8 MiB, lines of 400 bytes, 512 files. */
bool source_line(struct source *s, const char *path, int line, struct strbuf *b);
void source_free(struct source *s);

#endif

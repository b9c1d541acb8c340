/* Lines of source files, read as the target sees them. */
#ifndef ASYNCMON_CMD_SOURCE_H
#define ASYNCMON_CMD_SOURCE_H

#include "attach/target.h"
#include "base/strbuf.h"
#include "snapshot/snapshot.h"

struct source_file;
/* Of a frame; first: the line in which its function begins, 0 unknown. */
struct source_place { const char *function, *file; int line, first; };
struct source {
	struct target *target;
	/* Of a saved look: it has the lines. NULL: they are read as the target would. */
	const struct source_text *kept;
	size_t nkept;
	const char *python;  /* the version of the target's */
	struct source_file *files;
	size_t nfiles;
};

/* Appends the line without its indentation and end; false where it cannot be had, and where
 * the file was changed since the process may have loaded it, or does not have the function
 * where it should begin: another text is not what runs.
 * Bounded: files of 8 MiB, lines of 400 bytes, 512 files. */
bool source_line(struct source *s, const struct source_place *at, struct strbuf *b);
/* Why lines of the i-th file were left out or are in doubt, appended as a sentence; false
 * where there is nothing to say (it is right, or there is no such file). */
bool source_said(const struct source *s, size_t i, struct strbuf *b);
/* The path of the i-th; NULL: there are no more. */
const char *source_path(const struct source *s, size_t i);
void source_free(struct source *s);

#endif

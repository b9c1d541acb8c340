/* A look as a file. It has what the snapshot has, as plain structures: not the target's
 * memory, which is many times as large, needs the same asyncmon to make the same of it, and
 * holds what nobody asked for.
 *
 * The file: a line that names it, then, in one zstd frame with a checksum,
 *	who wrote it;
 *	types: a name, and for each field its name, kind and what it is of (fields.h);
 *	the names of enumerations;
 *	blocks, to the end: a type, how many, and that many elements, field by field. What is
 *	pointed to is a block before, by its number + 1; 0 is NULL. Texts are blocks of bytes,
 *	each once, and have numbers of their own. The last block is the snapshot.
 * Numbers are LEB128, signed ones zigzag, floating point is 8 bytes, little-endian.
 *
 * A reader takes fields by name and leaves out what it does not know; what the file does
 * not have is unknown, and both are said in a note. So fields and kinds of waits can be
 * added without a new version; one is for changes of what is written above. */
#ifndef ASYNCMON_SNAPSHOT_SAVED_H
#define ASYNCMON_SNAPSHOT_SAVED_H

#include "base/strbuf.h"
#include "snapshot/snapshot.h"

#define SAVED_MAGIC "asyncmon look 1\n"
#define SAVED_MAGIC_SIZE (sizeof SAVED_MAGIC - 1)

/* Whether a file that begins so is a saved look, of this version or another. */
bool saved_is(const char *head, size_t n);

/* The whole file, appended. Without arguments and locals where s->no_locals says so. writer:
 * who it is, for messages. E_NOMEM. */
err_t saved_write(const struct snapshot *s, const char *writer, struct strbuf *file);

/* What saved_write() compressed. Nothing of the file is believed: E_BADDATA, E_VERSION,
 * E_NOMEM, the latter also for more than `most` bytes. */
err_t saved_unpack(const char *file, size_t n, uint64_t most, struct strbuf *body);
/* The snapshot; source is SNAPSHOT_SAVED. It takes `most` bytes of memory at most. */
err_t saved_read(const char *body, size_t n, uint64_t most, struct snapshot **out);

#endif

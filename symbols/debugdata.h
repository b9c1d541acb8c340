/* The sections of one ELF file that hold debug information, compressed or not
 * (SHF_COMPRESSED: zlib, zstd). Read and decompressed no further than was asked for: most
 * questions end early in them.
 *
 * The ELF stays its owner's and must live as long. Pointers live as long as the
 * struct debugdata. */
#ifndef ASYNCMON_SYMBOLS_DEBUGDATA_H
#define ASYNCMON_SYMBOLS_DEBUGDATA_H

#include "symbols/cursor.h"
#include "symbols/elf.h"

enum debug_section {
	DEBUG_ABBREV,
	DEBUG_ARANGES,
	DEBUG_INFO,
	DEBUG_LINE,
	DEBUG_LINE_STR,
	DEBUG_STR,
	DEBUG_SECTIONS
};

struct unpacking;

struct debugdata {
	struct elf *elf;
	struct {
		uint64_t offset, size;   /* in the file; size 0: not there */
		uint64_t full;           /* bytes when decompressed */
		struct unpacking *unpacking; /* NULL: not compressed */
	} sections[DEBUG_SECTIONS];
	uint64_t unpacked;       /* bytes, of all sections */
	bool refused;            /* something was too large to be decompressed */
};

/* False when memory is out. */
bool debugdata_open(struct debugdata *d, struct elf *e);
void debugdata_close(struct debugdata *d);
/* Decompressed size; 0: no such section. */
uint64_t debugdata_size(const struct debugdata *d, enum debug_section s);
bool debugdata_compressed(const struct debugdata *d, enum debug_section s);
/* NULL when they are not all there. */
const uint8_t *debugdata_at(struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t len);
/* The same, or as many of them as the section has. */
struct cursor debugdata_cursor(struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t most);
/* The same for what is read once, from end to end: it may be put into buf, of `most` bytes,
 * and is good for as long as that. */
struct cursor debugdata_pass(struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t most, void *buf);
const char *debugdata_string(struct debugdata *d, enum debug_section s, uint64_t offset);

#endif

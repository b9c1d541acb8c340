/* Notes of ELF files: the one format that cores and build-ids share. Bytes are the
 * caller's; nothing in them is trusted. */
#ifndef ASYNCMON_ATTACH_ELFNOTE_H
#define ASYNCMON_ATTACH_ELFNOTE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_MAX 64

struct build_id {
	uint8_t bytes[BUILD_ID_MAX];
	size_t n;                 /* 0: none */
};
bool build_id_same(const struct build_id *a, const struct build_id *b);
/* Hex into text, which holds 2 * BUILD_ID_MAX + 1; "none" when there is none. */
const char *build_id_text(const struct build_id *id, char *text);

struct note {
	uint32_t type;
	const char *name;         /* not NUL-terminated */
	size_t name_len;          /* without its NUL */
	const uint8_t *desc;
	size_t desc_len;
};
/* The note at *at in a segment of len bytes, and *at behind it; false at the end. */
bool note_next(const uint8_t *segment, size_t len, size_t *at, struct note *out);
bool note_is(const struct note *n, const char *name, uint32_t type);

/* Bytes of an ELF image wherever they are, by offset in the file. */
struct elf_source {
	bool (*read)(void *ctx, uint64_t offset, void *buf, size_t len);
	void *ctx;
};
/* Its header and program headers; *ph is the caller's to free. False when it is no
 * ELF64 for this machine, or its headers cannot be read. */
bool elf_headers(const struct elf_source *s, Elf64_Ehdr *eh, Elf64_Phdr **ph);
/* The GNU build-id among its notes; n is 0 when there is none to be read. */
void elf_find_build_id(const struct elf_source *s, const Elf64_Phdr *ph, size_t n,
		       struct build_id *out);

#endif

/* One ELF64 file, little-endian: headers, dynamic symbols, sections. Read from a
 * descriptor or, where there is no file, from the memory it is mapped in.
 *
 * Nothing in it is trusted: every offset is checked before it is followed, every
 * walk is bounded. Bytes are read as they are asked for (symbols/filebytes.h). Pointers live
 * as long as the struct elf. */
#ifndef ASYNCMON_SYMBOLS_ELF_H
#define ASYNCMON_SYMBOLS_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/image.h"
#include "base/err.h"

struct elf;

/* Takes the descriptor over in any case. E_BADDATA when it is no ELF64. */
err_t elf_open_file(int fd, struct elf **out);
/* The ELF whose header is at `start` in the image; the image stays the caller's. */
err_t elf_open_memory(struct image *img, uint64_t start, struct elf **out);
void elf_close(struct elf *e);

const Elf64_Ehdr *elf_header(const struct elf *e);
const Elf64_Phdr *elf_phdrs(const struct elf *e, size_t *n);
/* The descriptor, or -1 for one in memory. */
int elf_fd(const struct elf *e);
/* The file's size; 0 for one in memory. */
uint64_t elf_size(const struct elf *e);
/* Bytes by offset in the file, side by side; NULL when not there or there is no file. */
const void *elf_bytes(struct elf *e, uint64_t offset, uint64_t len);
/* The same, of which no copy is kept: for what is read once, into memory that was used
 * before. */
bool elf_copy(struct elf *e, uint64_t offset, uint64_t len, void *to);
/* Bytes by virtual address as the ELF itself counts. */
const void *elf_at(struct elf *e, uint64_t vaddr, uint64_t len);
/* The same of a file, and how many bytes of its segment before and behind them are at that
 * pointer too. */
const void *elf_near(struct elf *e, uint64_t vaddr, uint64_t len, uint64_t *before, uint64_t *behind);
/* As many of them as its segment has, into memory of the caller's. 0: none. */
size_t elf_copy_at(struct elf *e, uint64_t vaddr, size_t most, void *to);
/* A NUL-terminated string at an offset of the file, bounded by `end`. */
const char *elf_string(struct elf *e, uint64_t offset, uint64_t end);

/* A defined dynamic symbol: DT_GNU_HASH, else DT_HASH. */
bool elf_symbol(struct elf *e, const char *name, Elf64_Sym *out);
/* A defined symbol of .symtab, by looking at every one. */
bool elf_static_symbol(struct elf *e, const char *name, Elf64_Sym *out);
/* The section header of that name. */
bool elf_section(struct elf *e, const char *name, Elf64_Shdr *out);
/* Section headers, from the file, checked to be inside it. */
const Elf64_Shdr *elf_sections(struct elf *e, size_t *n);
/* The build-id note: its bytes, or NULL. */
const uint8_t *elf_build_id(struct elf *e, size_t *len);
/* Calls f with the name of each DT_NEEDED and DT_SONAME until it returns true. */
bool elf_each_needed(struct elf *e, bool (*f)(void *ctx, const char *name), void *ctx);

#endif

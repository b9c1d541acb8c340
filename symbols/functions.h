/* Function names of one ELF file by address, for native stacks: .symtab, its own or a
 * separate debug file's, else .dynsym. Owned by the module. */
#ifndef ASYNCMON_SYMBOLS_FUNCTIONS_H
#define ASYNCMON_SYMBOLS_FUNCTIONS_H

#include "symbols/elf.h"

struct functions;

/* Has it a .symtab itself? */
bool functions_own(struct elf *e);
/* debug: its debug file (symbols/debugfile.h), NULL: none, or not needed. Both must live
 * as long as the result. NULL when memory is out. */
struct functions *functions_read(struct elf *e, struct elf *debug);
void functions_free(struct functions *fs);
/* What is asked next: of many addresses at once it costs hardly more than of one. */
void functions_prepare(struct functions *fs, const uint64_t *vaddrs, size_t n);
/* The function that holds vaddr (as the file counts); the name lives as long as fs. */
bool functions_find(struct functions *fs, uint64_t vaddr, const char **name,
		    uint64_t *start);

#endif

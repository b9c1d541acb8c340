/* Function names of one ELF file by address, for native stacks: .symtab, .dynsym,
 * and the separate debug file of the same build-id below /usr/lib/debug of the
 * target's root. Owned by the module. */
#ifndef ASYNCMON_SYMBOLS_FUNCTIONS_H
#define ASYNCMON_SYMBOLS_FUNCTIONS_H

#include "attach/target.h"
#include "symbols/elf.h"

struct functions;

/* NULL when there is none (or memory is out). build_id: hex text, "" for none. */
struct functions *functions_read(struct target *t, struct elf *e, const char *build_id);
void functions_free(struct functions *fs);
/* The function that holds vaddr (as the file counts); the name lives as long as fs. */
bool functions_find(struct functions *fs, uint64_t vaddr, const char **name,
		    uint64_t *start);

#endif

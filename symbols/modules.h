/* The ELF files mapped in a target: what each is, what it names, what it is at.
 *
 * Modules are found from the target's mappings and opened through the target, so a
 * file that was replaced or deleted is still the right one. Where no file can be
 * had, the dynamic tables are read from the target's memory. Opened when first asked
 * something. Modules live until modules_free(), which comes before the target's end. */
#ifndef ASYNCMON_SYMBOLS_MODULES_H
#define ASYNCMON_SYMBOLS_MODULES_H

#include "attach/target.h"

struct elf;
struct module;
struct modules;

err_t modules_find(struct target *t, struct modules **out);
/* After the target's mappings were read anew: those that it loaded since are there too.
 * Ones that it unloaded are found no more, but live on. */
err_t modules_refresh(struct modules *ms);
void modules_free(struct modules *ms);
size_t modules_count(const struct modules *ms);
struct module *modules_at(struct modules *ms, size_t i);
/* The module that maps addr, or NULL. */
struct module *modules_by_addr(struct modules *ms, uint64_t addr);

const char *module_path(const struct module *m);
uint64_t module_start(const struct module *m);   /* lowest mapped address */
uint64_t module_end(const struct module *m);
uint64_t module_bias(struct module *m);          /* address in memory - address in the file */
/* The ELF file behind it (symbols/elf.h), the module's own; NULL when it is none. */
struct elf *module_elf(struct module *m);
/* Its separate debug file (symbols/debugfile.h), the module's own; NULL: none. */
struct elf *module_debug(struct module *m);
/* Hex text, "" when there is none. */
const char *module_build_id(struct module *m);
/* A dynamic symbol by exact name (DT_GNU_HASH or DT_HASH: no scan): its address in
 * the target and its size (either pointer may be NULL). */
bool module_symbol(struct module *m, const char *name, uint64_t *addr, uint64_t *size);
/* The same in .symtab, which is there when the file was not stripped; a full scan. */
bool module_static_symbol(struct module *m, const char *name, uint64_t *addr, uint64_t *size);
/* An ELF section by name: its address in the target and its size; only where the
 * file could be opened and has section headers. */
bool module_section(struct module *m, const char *name, uint64_t *addr, uint64_t *size);
/* The function that holds addr, from .symtab or .dynsym or a separate debug file;
 * name lives as long as the module. */
bool module_function(struct module *m, uint64_t addr, const char **name, uint64_t *start);
/* Says which addresses it will be asked of next, which costs less than one by one. They
 * are overwritten. */
void module_functions_prepare(struct module *m, uint64_t *addrs, size_t n);
/* The source line that addr was compiled from, where there is DWARF (symbols/lines.h);
 * file lives until the next question. */
bool module_line(struct module *m, uint64_t addr, const char **file, int *line);
/* Did module_line leave lines out for there was too much to read? */
bool module_lines_refused(const struct module *m);

#endif

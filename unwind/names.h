/* Names for addresses of code: function, module, offset in it, source line; C++ and
 * Rust names demangled. Kept by address, as many threads stand at the same ones.
 *
 * Belongs to one look at a target; strings live in the arena or as long as the
 * modules, of which the arena's keeper copies what must outlive them. */
#ifndef ASYNCMON_UNWIND_NAMES_H
#define ASYNCMON_UNWIND_NAMES_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "symbols/modules.h"
#include "unwind/native.h"

struct native_name {
	const char *function;    /* NULL: unknown; demangled; in the arena */
	const char *symbol;      /* as in the symbol table */
	const char *module;      /* path as the target sees it, NULL: none; in the arena */
	uint64_t offset;         /* of the address in the module's file, by its own count */
	/* By name_line: */
	const char *file;        /* of the source, NULL: unknown; in the arena */
	int line;
	bool line_tried;
};

struct names {
	struct modules *modules;
	struct arena *arena;
	struct map known;        /* 2 * address + exact → struct native_name * */
	struct map paths;        /* module's start → char * */
	/* Wanted, and not yet looked for: */
	struct VEC(struct name_wanted { struct module *module; uint64_t addr; }) wanted;
	struct map asked;        /* those of them, as in known */
	double line_seconds;     /* spent in name_line */
};

void names_free(struct names *ns);
/* Says that it will be asked for: the names of all that are wanted cost hardly more than
 * one. As name_of. */
void name_want(struct names *ns, uint64_t ip, bool exact);
/* exact: ip is the next instruction; else a return address, and what is asked for is
 * the call before it. NULL when memory is out. */
struct native_name *name_of(struct names *ns, uint64_t ip, bool exact);
/* Adds the source line to the name of that ip. Costs more than all the rest: for those
 * that are shown. */
void name_line(struct names *ns, struct native_name *n, uint64_t ip, bool exact);
/* A mangled name as its language writes it, without arguments' types; NULL: it is no
 * mangled name, or one without end. In the arena. */
const char *demangled(struct arena *a, const char *symbol);
/* A symbol without what link-time optimisation makes it unique by ("f.lto_priv.0.cold" is
 * "f.cold"); NULL: it has nothing of that. In the arena. */
const char *without_lto(struct arena *a, const char *symbol);

#endif

/* Compilation units (DWARF 2 to 5): which one holds an address, by .debug_aranges, and
 * where its line number program is. */
#ifndef ASYNCMON_SYMBOLS_UNITS_H
#define ASYNCMON_SYMBOLS_UNITS_H

#include "symbols/debugdata.h"

struct unit_range {
	uint64_t start, end;
	uint32_t unit;           /* offset in .debug_info; of whoever made the range else */
	uint32_t nth;            /* its place among the units that have ranges */
};

/* Put in order when that costs less than to look at all of them once more. */
struct unit_ranges {
	struct unit_range *v;
	size_t n, cap;
	size_t nsorted;          /* the first ones, which are in order */
	size_t looked;           /* at the others, so far */
	uint32_t units;          /* that have a range */
};

void unit_ranges_free(struct unit_ranges *rs);
/* False when memory is out, or there are far too many. Ranges at 0 are left out: they
 * are of what the linker dropped. */
bool unit_ranges_add(struct unit_ranges *rs, uint64_t start, uint64_t end, uint64_t unit);
/* The last that starts at or below addr, if it holds addr, or NULL; good until the next
 * call. */
const struct unit_range *unit_ranges_find(struct unit_ranges *rs, uint64_t addr);
/* Adds all that .debug_aranges says. */
void unit_ranges_read(struct unit_ranges *rs, struct debugdata *d);

struct unit {
	uint64_t program;        /* offset in .debug_line */
	const char *dir;         /* where the compiler was started, NULL: unknown */
};

/* The unit whose header is at that offset of .debug_info. False: it has no program. */
bool unit_read(struct debugdata *d, uint64_t offset, struct unit *u);

#endif

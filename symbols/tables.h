/* The offset tables: data that does not come from the target.
 *
 * A table is what differs from its base, so that each file shows what one version
 * changed; -1 takes a field away. The first lines of a table come from DWARF (print
 * them with `build/layout-dump -b 3.N FILE...`), the last ones, after "by hand",
 * are what DWARF does not tell: opcodes and rules of the interpreter. */
#ifndef ASYNCMON_SYMBOLS_TABLES_H
#define ASYNCMON_SYMBOLS_TABLES_H

#include <stddef.h>

#include "symbols/layout.h"

struct layout_item {
	uint32_t field; /* enum layout_field */
	int32_t value;
};

struct layout_table {
	uint8_t minor;
	uint8_t micro_min, micro_max; /* patch levels it is for */
	bool free_threaded, debug_build;
	const struct layout_table *base; /* NULL: all fields begin as -1 */
	const struct layout_item *items;
	size_t nitems;
};

#define LAYOUT_MICRO_ANY 255
#define LAYOUT_ITEMS(a) .items = (a), .nitems = sizeof(a) / sizeof *(a)

extern const struct layout_table table_3_8, table_3_9, table_3_10, table_3_11, table_3_12,
	table_3_13, table_3_13_5, table_3_13_12, table_3_13_15, table_3_13_5_debug,
	table_3_13_12_debug, table_3_13_15_debug, table_3_13_11t, table_3_13_12t, table_3_13t,
	table_3_14_2, table_3_14_3, table_3_14_4, table_3_14,
	table_3_14_2_debug, table_3_14_3_debug, table_3_14_4_debug, table_3_14_debug,
	table_3_14_2t, table_3_14_3t, table_3_14_8t, table_3_14t, table_3_15,
	table_3_15_debug, table_3_15_0t, table_3_15t;
/* All of them, by version; ends with NULL. */
extern const struct layout_table *const layout_tables[];

/* The table for a build; a patch level or debug build that no table names gets the
 * nearest one of its minor, and *exact is false. NULL: no table of that minor. */
const struct layout_table *layout_table_for(struct py_version v, bool free_threaded,
					    bool debug_build, bool *exact);
/* Sets version (of the table: major and minor), flags, source and all fields. */
void layout_from_table(struct py_layout *l, const struct layout_table *t);

#endif

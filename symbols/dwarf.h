/* Layouts from DWARF: what a compiler wrote down about CPython's structs.
 *
 * Slow (a libpython's debug information is tens of megabytes), so only opened where
 * no table fits, by tests, and by layout-dump, which prints tables for symbols/. */
#ifndef ASYNCMON_SYMBOLS_DWARF_H
#define ASYNCMON_SYMBOLS_DWARF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "symbols/layout.h"

enum dwarf_kind {
	DWARF_OFFSET,  /* byte offset of a member; of a bit field: of the byte it begins in */
	DWARF_MASK,    /* mask of a bit field within that byte; 255 for a whole int */
	DWARF_BIT,     /* first bit of a bit field within its innermost struct */
	DWARF_SIZE,    /* size of a type */
	DWARF_ITEM,    /* size of an item of an array member */
	DWARF_COUNT,   /* number of items of an array member */
	DWARF_ENUM     /* value of an enumerator */
};

/* Where DWARF says a field: `path` holds candidates apart by '|', the first that
 * exists counts. A candidate is a type name (struct tag or typedef), then members
 * apart by '.'; anonymous structs and unions are looked through. */
struct dwarf_field {
	enum layout_field field;
	enum dwarf_kind kind;
	const char *path;
};
extern const struct dwarf_field dwarf_fields[];
extern const size_t dwarf_nfields;

/* Fields of `l` that the file's DWARF knows are set and marked in `known`; others
 * stay. Called for libpython, then for _asyncio's own file. The descriptor stays
 * the caller's. E_NOTFOUND when there is no DWARF in the file. */
err_t dwarf_layout(int fd, struct py_layout *l, bool known[LAYOUT_NFIELDS]);

#endif

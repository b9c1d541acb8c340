/* layout-dump [-b TABLE] FILE...
 *
 * The layout that the DWARF of these files tells (a libpython or an object with
 * CPython's types, and _asyncio's file), as the items of a table in symbols/tables_*.c.
 * With -b, what differs from a table: 3.14, 3.14t (free-threaded), 3.14d (debug build);
 * 3.14.2t for one patch level's, else the last one's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/dwarf.h"
#include "symbols/tables.h"

static const struct layout_table *table_named(const char *name)
{
	char *end;
	bool exact;
	struct py_version v = { .major = 3, .micro = LAYOUT_MICRO_ANY };
	if (strncmp(name, "3.", 2) != 0)
		return NULL;
	v.minor = (uint8_t)strtoul(name + 2, &end, 10);
	if (*end == '.')
		v.micro = (uint8_t)strtoul(end + 1, &end, 10);
	return layout_table_for(v, *end == 't', *end == 'd', &exact);
}

static bool read_file(const char *path, struct py_layout *l, bool *known)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		return false;
	}
	err_t e = dwarf_layout(fd, l, known);
	if (e)
		fprintf(stderr, "%s: %s\n", path, err_code(e) == E_NOTFOUND ? "no DWARF" : e->msg);
	close(fd);
	bool ok = !e;
	err_free(e);
	return ok;
}

int main(int argc, char **argv)
{
	struct py_layout l = { 0 }, base;
	bool known[LAYOUT_NFIELDS] = { false }, of_dwarf[LAYOUT_NFIELDS] = { false };
	const struct layout_table *t = NULL;
	int i = 1;
	if (argc > 2 && strcmp(argv[1], "-b") == 0) {
		t = table_named(argv[2]);
		i = 3;
	}
	if (i >= argc || (i == 3 && !t)) {
		fprintf(stderr, "usage: layout-dump [-b TABLE] FILE...\n");
		return 2;
	}
	for (; i < argc; i++)
		if (!read_file(argv[i], &l, known))
			return 1;
	for (size_t k = 0; k < dwarf_nfields; k++)
		of_dwarf[dwarf_fields[k].field] = true;
	if (t)
		layout_from_table(&base, t);
	for (unsigned f = 0; f < LAYOUT_NFIELDS; f++) {
		int32_t v = known[f] ? l.fields[f] : -1;
		if (t ? of_dwarf[f] && v != base.fields[f] : known[f])
			printf("\t{ LF_%s, %d },\n", layout_field_name((enum layout_field)f), v);
	}
	return 0;
}

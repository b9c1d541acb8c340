/* layout-dump FILE...: the layout that the DWARF of these files (a libpython or an
 * object with CPython's types, and _asyncio) tells, as the items of a table in
 * symbols/tables_*.c. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbols/dwarf.h"

int main(int argc, char **argv)
{
	struct py_layout l;
	bool known[LAYOUT_NFIELDS] = { false };
	memset(&l, 0, sizeof l);
	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			perror(argv[i]);
			return 1;
		}
		err_t e = dwarf_layout(fd, &l, known);
		if (e)
			fprintf(stderr, "%s: %s\n", argv[i], e->msg);
		close(fd);
		if (e)
			return 1;
	}
	for (unsigned f = 0; f < LAYOUT_NFIELDS; f++)
		if (known[f])
			printf("\t{ LF_%s, %d },\n", layout_field_name(f), l.fields[f]);
	return 0;
}

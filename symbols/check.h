/* Is a layout the target's? Looked at before anything is believed: interpreter and
 * thread states point at each other, threads are threads of the target, types are
 * types and have their names, objects have the size their types say, sys.modules is a
 * dict that holds "sys". */
#ifndef ASYNCMON_SYMBOLS_CHECK_H
#define ASYNCMON_SYMBOLS_CHECK_H

#include "symbols/python.h"

struct check_facts {
	bool have_hexversion; /* sys.hexversion was read */
	uint32_t hexversion;
	bool debug_build;     /* sys.gettotalrefcount is there */
};

/* NULL, or E_BADDATA with the first thing that does not fit (E_TORN: Python is starting
 * or ending). Needs runtime and the
 * addresses of types that are known. Facts may be NULL; then sys is not looked into.
 * Of a running target the answer may be wrong by a change under way: ask again. */
err_t layout_check(struct python *py, const struct py_layout *l, struct check_facts *facts);

#endif

/* Types by what the target's own modules call them, for programs that keep no symbol
 * of them: stripped and linked statically, found by the section .PyRuntime alone. */
#ifndef ASYNCMON_SYMBOLS_GLOBALS_H
#define ASYNCMON_SYMBOLS_GLOBALS_H

#include "symbols/python.h"

/* Fills what is 0 of PYTHON_GLOBALS. A layout that is not the target's leads to
 * nothing, or to what layout_check() refuses. */
void globals_from_modules(struct python *py, const struct py_layout *l);

#endif

/* The few Python objects that are looked at before a layout is believed: module
 * dicts, ASCII names, small ints. Everything else is read by objects/, above. */
#ifndef ASYNCMON_SYMBOLS_PEEK_H
#define ASYNCMON_SYMBOLS_PEEK_H

#include "symbols/python.h"

#define MAX_INTERPRETERS 4096

struct peek {
	struct python *py;
	struct image *img;
	const struct py_layout *l; /* the one under trial, not py's */
};

/* The pointer at addr + offset; false for an offset of -1. */
bool peek_pointer(const struct peek *k, uint64_t addr, int32_t offset, uint64_t *v);
/* The type of the object at obj, or 0. */
uint64_t peek_type(const struct peek *k, uint64_t obj);
bool peek_is(const struct peek *k, uint64_t obj, uint64_t type);
/* The value of an ASCII key, or 0. */
uint64_t peek_dict_get(const struct peek *k, uint64_t dict, const char *name);
/* The first key of a dict, or 0. */
uint64_t peek_first_key(const struct peek *k, uint64_t dict);
/* The dict of a module that sys.modules names, or 0. */
uint64_t peek_module_dict(const struct peek *k, uint64_t modules, const char *name);
/* A positive int of two digits at most. */
bool peek_int(const struct peek *k, uint64_t obj, uint32_t *v);
/* The main interpreter, the last of the list (the head is the newest), or 0. */
uint64_t peek_main_interpreter(const struct peek *k);

#endif

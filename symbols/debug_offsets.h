/* _Py_DebugOffsets: the offsets that CPython 3.13 and later keep about themselves at
 * the start of _PyRuntime, and the section .AsyncioDebug (3.14+) with those of tasks.
 * The structs differ in each minor version; where each field stands in them is data. */
#ifndef ASYNCMON_SYMBOLS_DEBUG_OFFSETS_H
#define ASYNCMON_SYMBOLS_DEBUG_OFFSETS_H

#include "attach/image.h"
#include "symbols/layout.h"

/* Version and kind of build that the offsets at `runtime` speak of; false when there
 * are none (before 3.13, or not a runtime). */
bool debug_offsets_version(struct image *img, uint64_t runtime, struct py_version *v,
			   bool *free_threaded);
/* Overlays l. False, and l as it was, when this minor's struct is not known or a
 * value cannot be an offset. */
bool debug_offsets_apply(struct image *img, uint64_t runtime, struct py_layout *l);
/* The same with .AsyncioDebug at addr, of `size` bytes. */
bool asyncio_debug_apply(struct image *img, uint64_t addr, uint64_t size, struct py_layout *l);

#endif

/* Bytes of a target for unwinding: of the file where a read-only mapping shows one, else of
 * the image. The page cache is nearer than the target's memory, and still there when the
 * process has ended since its stacks were copied.
 *
 * Belongs to one unwinder and goes before the modules. */
#ifndef ASYNCMON_UNWIND_BYTES_H
#define ASYNCMON_UNWIND_BYTES_H

#include "symbols/modules.h"

struct unwind_bytes {
	struct target *target;
	struct modules *modules;
	/* The read-only mapping of a file that was read last. */
	uint64_t file_start, file_end, file_bias;
	struct elf *file;
	/* What of it was read last: `window` is at window_start. */
	uint64_t window_start, window_end;
	const uint8_t *window;
};

/* False: unknown. */
bool bytes_read(struct unwind_bytes *b, uint64_t addr, void *buf, size_t len);
/* For what is read from end to end: as many of the bytes as are there, up to most, of which
 * no copy is kept. 0: none. */
size_t bytes_some(struct unwind_bytes *b, uint64_t addr, void *buf, size_t most);

#endif

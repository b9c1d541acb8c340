/* Unwind data of mapped ELF files: where each module's .eh_frame_hdr table is, which entry
 * of it speaks of an address, and what libunwind is given to read of that.
 *
 * Static executables have .eh_frame without the table, as gcc links them: it is made here.
 *
 * A struct ehframes belongs to one unwinder and goes before the modules. */
#ifndef ASYNCMON_UNWIND_EHFRAME_H
#define ASYNCMON_UNWIND_EHFRAME_H

#include "unwind/cfi.h"

/* Where libunwind reads what was written for it: no target has memory there. A table with
 * one entry, for whatever address, then its CIE and FDE. */
#define EHFRAME_WRITTEN 0xff00000000000000ull
#define EHFRAME_WRITTEN_SIZE (2 * CFI_ROW_MAX + 128)

struct ehframes {
	struct unwind_bytes bytes;
	struct cfi cfi;
	struct map by_module;    /* module's start → struct ehframe * */
	struct cfi_row row;
	uint8_t written[EHFRAME_WRITTEN_SIZE];
};

/* False when memory is out. */
bool ehframes_init(struct ehframes *es, struct target *t, struct modules *ms);
void ehframes_free(struct ehframes *es);
/* Writes what holds at ip, in code [*start, *end). False: there is no unwind data, or none
 * that is fit. */
bool ehframe_write(struct ehframes *es, uint64_t ip, uint64_t *start, uint64_t *end);
/* 8 bytes of what is written. False: addr is not there. */
bool ehframe_written(const struct ehframes *es, uint64_t addr, uint64_t *v);

struct ehframe_function {
	uint64_t start, next;    /* next: where the next one begins, or UINT64_MAX */
	bool part;               /* split off a function: begins with a frame already made */
};

/* The last function with an FDE that begins at or below ip. */
bool ehframe_function(struct ehframes *es, uint64_t ip, struct ehframe_function *out);

#endif

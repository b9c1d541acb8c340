/* Unwind data of mapped ELF files: where each module's .eh_frame_hdr table is, and
 * whether what it says of an address is fit to be given to libunwind.
 *
 * libunwind 1.6 believes the CIE: a return address column beyond its registers is
 * read out of bounds, a CFA that was never defined is met by assert(). And it believes
 * DW_CFA_register. So these are looked at here first.
 *
 * Static executables have .eh_frame without the table, as gcc links them: it is made
 * here, and libunwind reads it at an address where no target can have memory.
 *
 * A struct ehframes belongs to one unwinder and goes before the modules. */
#ifndef ASYNCMON_UNWIND_EHFRAME_H
#define ASYNCMON_UNWIND_EHFRAME_H

#include "base/map.h"
#include "symbols/modules.h"

struct ehframe {
	struct module *module;
	uint64_t hdr, table;     /* addresses as ehframes_read takes; table 0: none to search */
	uint64_t count;          /* entries of 8 bytes: function, FDE, both relative to hdr */
};

struct ehframe_made { int32_t (*pairs)[2]; size_t n; };

struct ehframes {
	struct target *target;
	struct modules *modules;
	struct map by_module;    /* module's start → struct ehframe * */
	struct map cies, fdes;   /* address → what it is (ehframe.c) */
	/* The read-only mapping of a file that was read last. */
	uint64_t file_start, file_end, file_bias;
	struct elf *file;
	struct ehframe_made made[16];
	size_t nmade;
};

void ehframes_free(struct ehframes *es);
/* The table of the module that maps ip, or NULL: no module, no table, out of memory. */
const struct ehframe *ehframe_of(struct ehframes *es, uint64_t ip);
/* Is there an FDE for ip, with a CIE that is fit? */
bool ehframe_fit(struct ehframes *es, const struct ehframe *e, uint64_t ip);
struct ehframe_function {
	uint64_t start, next;    /* next: where the next one begins, or UINT64_MAX */
	bool part;               /* split off a function: begins with a frame already made */
};

/* The last function with an FDE that begins at or below ip. */
bool ehframe_function(struct ehframes *es, uint64_t ip, struct ehframe_function *out);
/* Bytes of the target: of the file where a read-only mapping shows one, else of the
 * image. False: unknown. */
bool ehframes_read(struct ehframes *es, uint64_t addr, void *buf, size_t len);

#endif

/* Call frame information, as .eh_frame holds it: the formats of LSB 5.0 "Exception Frames"
 * and DWARF 5, 6.4.
 *
 * libunwind 1.6 believes what it reads: a return address column beyond its registers is
 * read out of bounds, a CFA that was never defined is met by assert(), and it believes
 * DW_CFA_register. And it takes two system calls for each DW_CFA_remember_state, of which an
 * evaluation loop has hundreds. So what it reads is written here, for one address: a CIE
 * and an FDE with those instructions that hold there, looked at one by one. */
#ifndef ASYNCMON_UNWIND_CFI_H
#define ASYNCMON_UNWIND_CFI_H

#include "base/map.h"
#include "unwind/bytes.h"

struct cfi {
	struct unwind_bytes *bytes;
	struct map cies;         /* address → struct cie *, or 0: not fit */
	uint64_t walked;         /* bytes of records that were run, so far */
	uint8_t *records;        /* room for a CIE and an FDE */
};

/* Instructions that hold at one address, and of which function. */
#define CFI_ROW_MAX 1024
struct cfi_row {
	uint64_t start, end;     /* of the function's code */
	bool signal;             /* a signal trampoline: returns to where it was interrupted */
	bool by_expression;      /* some of it is a DWARF expression */
	int8_t data_align;       /* -64 to 63, always -8 in practice */
	uint8_t initial[CFI_ROW_MAX], instructions[CFI_ROW_MAX];
	size_t ninitial, n;      /* bytes */
};

struct cfi_function {
	uint64_t start;
	bool part;               /* split off a function: begins with a frame already made */
};

/* False when memory is out. The bytes stay the caller's. */
bool cfi_init(struct cfi *c, struct unwind_bytes *b);
void cfi_free(struct cfi *c);
/* What the FDE at that address says at ip. False: nothing, or nothing that is fit. */
bool cfi_row(struct cfi *c, uint64_t fde, uint64_t ip, struct cfi_row *out);
/* Of which function it is. *size: of the record, its length field included, known even
 * where it is false (a CIE, or not fit); 0: the last. */
bool cfi_function(struct cfi *c, uint64_t fde, struct cfi_function *out, uint64_t *size);

#endif

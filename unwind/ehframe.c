/* The formats: LSB 5.0 "Exception Frames", and DWARF 5, 6.4. */
#include "unwind/ehframe.h"

#include <stdlib.h>

#include "symbols/elf.h"

#define RA_COLUMN 16           /* x86-64 psABI: the return address */
#define DW_CFA_nop 0x00
#define DW_CFA_advance_loc 0x40
#define DW_CFA_def_cfa 0x0c
#define DW_CFA_def_cfa_expression 0x0f
#define ENC_OMIT 0xff
#define ENC_UDATA4 0x03
#define ENC_TABLE 0x3b         /* DW_EH_PE_datarel | DW_EH_PE_sdata4: what every ld writes */
#define ENC_PCREL 0x10
#define STRING_MAX 64
/* Made tables: no address of x86-64's in user space, and each has room for 4 GiB. */
#define MADE_AT(i) (0xffull << 48 | (uint64_t)(i) << 32)
#define MADE_MAX (64u << 20) /* bytes of .eh_frame */

void ehframes_free(struct ehframes *es)
{
	struct map *m = &es->by_module;
	for (size_t i = 0; m->slots && i <= m->mask; i++)
		if (m->slots[2 * i])
			free((struct ehframe *)(uintptr_t)m->slots[2 * i + 1]);
	map_free(m);
	map_free(&es->cies);
	map_free(&es->fdes);
	for (size_t i = 0; i < es->nmade; i++)
		free(es->made[i].pairs);
}

/* Makes the file that a read-only mapping shows at addr the current one. */
static bool pick_file(struct ehframes *es, uint64_t addr)
{
	const struct mapping *mp = target_mapping(es->target, addr);
	struct module *m = mp && !mp->write && mp->inode ? modules_by_addr(es->modules, addr) : NULL;
	struct elf *elf = m ? module_elf(m) : NULL;
	if (!elf || elf_fd(elf) < 0)
		return false;
	es->file = elf;
	es->file_start = mp->start;
	es->file_end = mp->end;
	es->file_bias = module_bias(m);
	return true;
}

/* The page cache is nearer than the target's memory, and still there when the process
 * has ended since its stacks were copied. */
static const void *file_bytes(struct ehframes *es, uint64_t addr, size_t len)
{
	if ((addr < es->file_start || addr >= es->file_end) && !pick_file(es, addr))
		return NULL;
	return elf_at(es->file, addr - es->file_bias, len);
}

static const void *made_bytes(struct ehframes *es, uint64_t addr, size_t len)
{
	uint64_t i = (addr - MADE_AT(0)) >> 32, at = (uint32_t)addr;
	if (i >= es->nmade || at + len > es->made[i].n * sizeof *es->made[i].pairs)
		return NULL;
	return (const char *)es->made[i].pairs + at;
}

bool ehframes_read(struct ehframes *es, uint64_t addr, void *buf, size_t len)
{
	const void *p = addr >= MADE_AT(0) && es->nmade ? made_bytes(es, addr, len) : file_bytes(es, addr, len);
	if (!p)
		return image_read(es->target->image, addr, buf, len);
	memcpy(buf, p, len);
	return true;
}

static size_t encoded_size(uint8_t enc)
{
	if (enc == ENC_OMIT)
		return 0;
	switch (enc & 0x0f) {
	case 0x02: case 0x0a: return 2;
	case 0x03: case 0x0b: return 4;
	case 0x00: case 0x04: case 0x0c: return 8;
	default: return SIZE_MAX;
	}
}

static void find_table(struct ehframes *es, struct ehframe *e)
{
	size_t n;
	struct elf *elf = module_elf(e->module);
	const Elf64_Phdr *ph = elf ? elf_phdrs(elf, &n) : NULL;
	for (size_t i = 0; ph && i < n; i++) {
		uint8_t h[4];
		uint32_t count;
		if (ph[i].p_type != PT_GNU_EH_FRAME)
			continue;
		uint64_t hdr = ph[i].p_vaddr + module_bias(e->module), size = ph[i].p_memsz;
		if (hdr < module_start(e->module) || hdr >= module_end(e->module) ||
		    size > module_end(e->module) - hdr || !ehframes_read(es, hdr, h, sizeof h))
			return;
		size_t skip = encoded_size(h[1]);
		if (h[0] != 1 || h[2] != ENC_UDATA4 || h[3] != ENC_TABLE || skip > 8 ||
		    size < 8 + skip || !ehframes_read(es, hdr + 4 + skip, &count, sizeof count) ||
		    count > (size - 8 - skip) / 8)
			return;
		e->hdr = hdr;
		e->table = hdr + 8 + skip;
		e->count = count;
		return;
	}
}

static bool read_leb(struct ehframes *es, uint64_t *at, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b;
		if (!ehframes_read(es, (*at)++, &b, 1))
			return false;
		if (shift < 63)
			*value |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

static bool defines_cfa(struct ehframes *es, uint64_t at, uint64_t end)
{
	uint8_t op;
	return at < end && ehframes_read(es, at, &op, 1) &&
	       (op == DW_CFA_def_cfa || op == DW_CFA_def_cfa_expression);
}

/* Does it name only registers that there are as the place of another's value? */
static bool registers_fit(struct ehframes *es, uint64_t at, uint64_t end)
{
	/* Of each instruction: b is a byte, l LEB128, r LEB128 that names such a register,
	 * x a block. NULL: libunwind ends there too. */
	static const char *const operands[] = {
		"", NULL, "b", "bb", "bbbb", "ll", "l", "l", "l", "lr", "", "", "ll", "l", "l", "x",
		"lx", "ll", "ll", "l", "ll", "ll", "lx",
		[0x2e] = "l", [0x2f] = "ll",
	};
	while (at < end) {
		uint8_t op;
		if (!ehframes_read(es, at++, &op, 1))
			return false;
		if (op == 0x01) /* DW_CFA_set_loc: none writes it */
			return false;
		const char *o = op >> 6 ? (op >> 6 == 2 ? "l" : "") :
				op < sizeof operands / sizeof *operands ? operands[op] : NULL;
		for (; o && *o; o++) {
			uint64_t v;
			if (*o == 'b') {
				at++;
				continue;
			}
			if (!read_leb(es, &at, &v) || (*o == 'r' && v > RA_COLUMN))
				return false;
			if (*o == 'x' && v > end - at)
				return false;
			at += *o == 'x' ? v : 0;
		}
		if (!o)
			return true;
	}
	return true;
}

/* What a CIE is: not fit; fit, for its first instruction defines the CFA, as in all
 * that compilers write for this machine; or fit if the FDE's first does, as in those
 * of signal trampolines. With how FDEs write addresses. */
enum { CIE_BAD = 1, CIE_GOOD = 2, CIE_ASK_FDE = 3 };

struct cie {
	uint64_t end, instructions;
	char aug[STRING_MAX];
	uint8_t encoding;
};

/* How its FDEs write addresses, in the data at `at` that aug describes. */
static bool read_encoding(struct ehframes *es, uint64_t at, struct cie *c)
{
	uint8_t personality;
	for (const char *a = c->aug + 1; *a; a++) {
		if (*a == 'R')
			return ehframes_read(es, at, &c->encoding, 1);
		if (*a == 'P') {
			if (!ehframes_read(es, at, &personality, 1))
				return false;
			if (encoded_size(personality) > 8) {
				c->encoding = personality; /* of no known size either */
				return true;
			}
			at += encoded_size(personality);
		}
		at += *a == 'P' || *a == 'L';
	}
	return true;
}

/* False: out of the formats, or a return address column that is none. */
static bool cie_read(struct ehframes *es, uint64_t at, struct cie *c)
{
	uint8_t head[9], column;
	uint64_t len, skipped;
	size_t n = 0;
	uint32_t size;
	if (!ehframes_read(es, at, head, sizeof head))
		return false;
	memcpy(&size, head, 4);
	if (size == UINT32_MAX || size < 8 || (head[8] != 1 && head[8] != 3))
		return false;
	c->end = at + 4 + size;
	at += sizeof head;
	do {
		if (n == sizeof c->aug || !ehframes_read(es, at++, &c->aug[n], 1))
			return false;
	} while (c->aug[n++]);
	/* The column is a byte in version 1, LEB128 in 3: for 16 the same. */
	if (!read_leb(es, &at, &skipped) || !read_leb(es, &at, &skipped) ||
	    !ehframes_read(es, at++, &column, 1) || column != RA_COLUMN)
		return false;
	c->encoding = 0; /* DW_EH_PE_absptr */
	if (c->aug[0] == 'z') {
		if (!read_leb(es, &at, &len) || len > size || !read_encoding(es, at, c))
			return false;
		at += len;
	} else if (c->aug[0]) {
		return false;
	}
	c->instructions = at;
	return true;
}

static unsigned cie_kind(struct ehframes *es, uint64_t at, uint8_t *encoding, bool *augmented)
{
	uint64_t known;
	struct cie c;
	if (!map_get(&es->cies, at, &known)) {
		known = CIE_BAD;
		if (at && cie_read(es, at, &c) && registers_fit(es, c.instructions, c.end)) {
			known = defines_cfa(es, c.instructions, c.end) ? CIE_GOOD : CIE_ASK_FDE;
			known |= (uint64_t)c.encoding << 8 | (uint64_t)(c.aug[0] == 'z') << 16;
		}
		if (at)
			map_set(&es->cies, at, known);
	}
	*encoding = (uint8_t)(known >> 8);
	*augmented = known >> 16;
	return known & 0xff;
}

/* Where the function of an FDE begins. */
static bool fde_start(struct ehframes *es, uint64_t fde, uint8_t encoding, uint64_t *start)
{
	int32_t narrow;
	uint64_t at = fde + 8, base = (encoding & 0x70) == ENC_PCREL ? at : 0;
	if (encoding & 0x60 || encoding == ENC_OMIT)
		return false;
	if (encoded_size(encoding) == 8) {
		if (!ehframes_read(es, at, start, sizeof *start))
			return false;
		*start += base;
		return true;
	}
	if (encoded_size(encoding) != 4 || !ehframes_read(es, at, &narrow, sizeof narrow))
		return false;
	*start = base + ((encoding & 0x0f) == ENC_UDATA4 ? (uint64_t)(uint32_t)narrow : (uint64_t)(int64_t)narrow);
	return true;
}

static int by_function(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;
	return (x[0] > y[0]) - (x[0] < y[0]);
}

/* The pairs of all FDEs in [at, end). */
static size_t scan(struct ehframes *es, uint64_t at, uint64_t end, uint64_t base, uint64_t most, int32_t (*pairs)[2])
{
	uint32_t head[2]; /* size; how far back the CIE begins from here, 0: this is one */
	uint64_t start;
	uint8_t encoding;
	bool augmented;
	size_t n = 0;
	for (uint64_t next; end - at >= 16; at = next) {
		if (!ehframes_read(es, at, head, sizeof head) || head[0] > end - at - 4)
			break;
		next = at + 4 + head[0];
		if (head[0] >= 12 && head[1] && cie_kind(es, at + 4 - head[1], &encoding, &augmented) != CIE_BAD &&
		    fde_start(es, at, encoding, &start) && start - base < most) {
			pairs[n][0] = (int32_t)(start - base);
			pairs[n++][1] = (int32_t)(at - base);
		}
	}
	return n;
}

static void make_table(struct ehframes *es, struct ehframe *e)
{
	uint64_t at, size, base = module_start(e->module), most = module_end(e->module) - base;
	if (es->nmade == sizeof es->made / sizeof *es->made || !module_section(e->module, ".eh_frame", &at, &size) ||
	    most > INT32_MAX || size > MADE_MAX || at - base > most || size > most - (at - base))
		return;
	int32_t (*pairs)[2] = malloc((size / 16 + 1) * sizeof *pairs);
	if (!pairs)
		return;
	size_t n = scan(es, at, at + size, base, most, pairs);
	qsort(pairs, n, sizeof *pairs, by_function);
	e->hdr = base;
	e->table = MADE_AT(es->nmade);
	e->count = n;
	es->made[es->nmade++] = (struct ehframe_made){ pairs, n };
}

const struct ehframe *ehframe_of(struct ehframes *es, uint64_t ip)
{
	uint64_t known;
	struct module *m = modules_by_addr(es->modules, ip);
	if (!m)
		return NULL;
	if (!map_get(&es->by_module, module_start(m), &known)) {
		struct ehframe *e = calloc(1, sizeof *e);
		if (!e || !map_set(&es->by_module, module_start(m), (uint64_t)(uintptr_t)e)) {
			free(e);
			return NULL;
		}
		e->module = m;
		find_table(es, e);
		if (!e->hdr)
			make_table(es, e);
		known = (uint64_t)(uintptr_t)e;
	}
	const struct ehframe *e = (const struct ehframe *)(uintptr_t)known;
	return e->table ? e : NULL;
}

/* Where the instructions of an FDE begin. */
static bool fde_instructions(struct ehframes *es, uint64_t fde, uint32_t size, uint8_t encoding, bool augmented,
			     uint64_t *at)
{
	uint64_t len = 0;
	size_t address = encoded_size(encoding);
	if (address > 8)
		return false;
	*at = fde + 8 + 2 * address;
	if (augmented && (!read_leb(es, at, &len) || len > size))
		return false;
	*at += len;
	return true;
}

static bool fde_fit(struct ehframes *es, uint64_t fde, uint32_t size, uint64_t cie)
{
	uint64_t at, end = fde + 4 + size;
	uint8_t encoding;
	bool augmented;
	unsigned kind = cie_kind(es, cie, &encoding, &augmented);
	return kind != CIE_BAD && fde_instructions(es, fde, size, encoding, augmented, &at) &&
	       (kind == CIE_GOOD || defines_cfa(es, at, end)) && registers_fit(es, at, end);
}

/* The entry of the last function that begins at or below ip. */
static bool table_entry(struct ehframes *es, const struct ehframe *e, uint64_t ip, int32_t pair[2],
			uint64_t *after)
{
	uint64_t lo = 0, hi = e->count;
	int64_t rel = (int64_t)(ip - e->hdr);
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (!ehframes_read(es, e->table + 8 * mid, pair, 4))
			return false;
		if (pair[0] <= rel)
			lo = mid + 1;
		else
			hi = mid;
	}
	*after = lo;
	return lo && ehframes_read(es, e->table + 8 * (lo - 1), pair, 8);
}

bool ehframe_function(struct ehframes *es, uint64_t ip, struct ehframe_function *out)
{
	int32_t pair[2], above;
	uint64_t after, fde, at;
	uint32_t head[2];
	uint8_t encoding, op;
	bool augmented;
	const struct ehframe *e = ehframe_of(es, ip);
	if (!e || !table_entry(es, e, ip, pair, &after))
		return false;
	*out = (struct ehframe_function){ .start = e->hdr + (uint64_t)(int64_t)pair[0], .next = UINT64_MAX };
	if (after < e->count && ehframes_read(es, e->table + 8 * after, &above, sizeof above))
		out->next = e->hdr + (uint64_t)(int64_t)above;
	fde = e->hdr + (uint64_t)(int64_t)pair[1];
	if (!ehframes_read(es, fde, head, sizeof head) || cie_kind(es, fde + 4 - head[1], &encoding, &augmented) == CIE_BAD ||
	    !fde_instructions(es, fde, head[0], encoding, augmented, &at) || !ehframes_read(es, at, &op, 1))
		return false;
	out->part = (op & 0xc0) != DW_CFA_advance_loc && op != DW_CFA_nop;
	return true;
}

bool ehframe_fit(struct ehframes *es, const struct ehframe *e, uint64_t ip)
{
	int32_t pair[2];
	uint64_t after;
	if (!table_entry(es, e, ip, pair, &after))
		return false;
	uint64_t fde = e->hdr + (uint64_t)(int64_t)pair[1];
	uint32_t head[2]; /* size; how far back the CIE begins from here */
	uint64_t fit;
	if (!map_get(&es->fdes, fde, &fit)) {
		if (!ehframes_read(es, fde, head, sizeof head) || head[0] == UINT32_MAX || !head[1])
			return false;
		fit = fde_fit(es, fde, head[0], fde + 4 - head[1]);
		if (fde)
			map_set(&es->fdes, fde, fit);
	}
	return fit;
}

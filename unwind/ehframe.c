/* The table's format: LSB 5.0, "Exception Frame Header". */
#include "unwind/ehframe.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/oom.h"
#include "symbols/elf.h"

#define HEAD_ENC_TABLE (DW_EH_PE_datarel | DW_EH_PE_sdata4) /* what every ld writes */
#define SECTION_MAX (64u << 20) /* of .eh_frame that a table is made for, bytes */
#define RECORD_MIN 16u
#define CIES_MAX (1u << 20)    /* bytes of their instructions, in one section */

struct ehframe {
	struct module *module;
	uint64_t base;           /* what entries count from; 0: there is nothing */
	uint64_t table;          /* address */
	int32_t (*made)[2];      /* or the table itself, made here */
	uint64_t n;              /* entries: where the function begins, where its FDE is */
};

bool ehframes_init(struct ehframes *es, struct target *t, struct modules *ms)
{
	*es = (struct ehframes){ .bytes = { .target = t, .modules = ms } };
	return cfi_init(&es->cfi, &es->bytes);
}

void ehframes_free(struct ehframes *es)
{
	struct map *m = &es->by_module;
	for (size_t i = 0; m->slots && i <= m->mask; i++) {
		struct ehframe *e = m->slots[2 * i] ? (struct ehframe *)(uintptr_t)m->slots[2 * i + 1] : NULL;
		if (e)
			free(e->made);
		free(e);
	}
	map_free(m);
	cfi_free(&es->cfi);
}

static void find_table(struct ehframes *es, struct ehframe *e)
{
	size_t n;
	struct elf *elf = module_elf(e->module);
	const Elf64_Phdr *ph = elf ? elf_phdrs(elf, &n) : NULL;
	for (size_t i = 0; ph && i < n; i++) {
		struct { uint8_t version, frame_enc, count_enc, table_enc; int32_t frame; uint32_t count; } h;
		if (ph[i].p_type != PT_GNU_EH_FRAME)
			continue;
		uint64_t hdr = ph[i].p_vaddr + module_bias(e->module), size = ph[i].p_memsz;
		if (hdr < module_start(e->module) || hdr >= module_end(e->module) ||
		    size > module_end(e->module) - hdr || size < sizeof h || !bytes_read(&es->bytes, hdr, &h, sizeof h) ||
		    h.version != 1 || (h.frame_enc & 0x0f) != DW_EH_PE_sdata4 || h.count_enc != DW_EH_PE_udata4 ||
		    h.table_enc != HEAD_ENC_TABLE || h.count > (size - sizeof h) / 8)
			return;
		e->base = hdr;
		e->table = hdr + sizeof h;
		e->n = h.count;
		return;
	}
}

static int by_function(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;
	return (x[0] > y[0]) - (x[0] < y[0]);
}

/* The entries of all FDEs in [at, end). */
static size_t scan(struct ehframes *es, uint64_t at, uint64_t end, uint64_t base, uint64_t most, int32_t (*entries)[2])
{
	struct cfi_function f;
	size_t n = 0;
	uint8_t first;
	/* CIEs are few and small; damaged ones may be neither. */
	uint64_t most_walked = es->cfi.walked + CIES_MAX;
	for (uint64_t size; end - at >= RECORD_MIN && es->cfi.walked < most_walked &&
			    bytes_read(&es->bytes, at, &first, 1); at += size) {
		bool is = cfi_function(&es->cfi, at, &f, &size);
		if (!size || size > end - at)
			break;
		if (is && size >= RECORD_MIN && f.start - base < most) {
			entries[n][0] = (int32_t)(f.start - base);
			entries[n++][1] = (int32_t)(at - base);
		}
	}
	return n;
}

static void make_table(struct ehframes *es, struct ehframe *e)
{
	uint64_t at, size, base = module_start(e->module), most = module_end(e->module) - base;
	if (!module_section(e->module, ".eh_frame", &at, &size) || most > INT32_MAX || size > SECTION_MAX ||
	    at - base > most || size > most - (at - base))
		return;
	e->made = oom_check(malloc((size / RECORD_MIN + 1) * sizeof *e->made));
	if (!e->made)
		return;
	e->n = scan(es, at, at + size, base, most, e->made);
	qsort(e->made, e->n, sizeof *e->made, by_function);
	e->base = base;
}

/* The table of the module that maps ip, or NULL: no module, no table, out of memory. */
static const struct ehframe *table_of(struct ehframes *es, uint64_t ip)
{
	uint64_t known;
	struct module *m = modules_by_addr(es->bytes.modules, ip);
	if (!m)
		return NULL;
	if (!map_get(&es->by_module, module_start(m), &known)) {
		struct ehframe *e = oom_check(calloc(1, sizeof *e));
		if (!e || !map_set(&es->by_module, module_start(m), (uint64_t)(uintptr_t)e)) {
			free(e);
			return NULL;
		}
		e->module = m;
		find_table(es, e);
		if (!e->base)
			make_table(es, e);
		known = (uint64_t)(uintptr_t)e;
	}
	const struct ehframe *e = (const struct ehframe *)(uintptr_t)known;
	return e->base ? e : NULL;
}

static bool read_entry(struct ehframes *es, const struct ehframe *e, uint64_t i, int32_t entry[2])
{
	if (!e->made)
		return bytes_read(&es->bytes, e->table + 8 * i, entry, 8);
	memcpy(entry, e->made[i], 8);
	return true;
}

/* The FDE of the last function that begins at or below ip; *after: its place in the table
 * plus 1. 0: there is none, or the table is not there. */
static uint64_t find_fde(struct ehframes *es, const struct ehframe *e, uint64_t ip, uint64_t *after)
{
	int32_t entry[2];
	uint64_t lo = 0, hi = e->n;
	int64_t rel = (int64_t)(ip - e->base);
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (!read_entry(es, e, mid, entry))
			return 0;
		if (entry[0] <= rel)
			lo = mid + 1;
		else
			hi = mid;
	}
	*after = lo;
	return lo && read_entry(es, e, lo - 1, entry) ? e->base + (uint64_t)(int64_t)entry[1] : 0;
}

bool ehframe_function(struct ehframes *es, uint64_t ip, struct ehframe_function *out)
{
	int32_t above[2];
	uint64_t after, size;
	struct cfi_function f;
	const struct ehframe *e = table_of(es, ip);
	uint64_t fde = e ? find_fde(es, e, ip, &after) : 0;
	if (!fde || !cfi_function(&es->cfi, fde, &f, &size))
		return false;
	*out = (struct ehframe_function){ .start = f.start, .next = UINT64_MAX, .part = f.part };
	if (after < e->n && read_entry(es, e, after, above))
		out->next = e->base + (uint64_t)(int64_t)above[0];
	return true;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t n)
{
	memcpy(to, bytes, n);
	return to + n;
}

/* Fills in the length field that a record begins with. */
static void put_length(uint8_t *record, const uint8_t *end)
{
	uint32_t len = (uint32_t)(end - record - 4);
	memcpy(record, &len, sizeof len);
}

static void write_row(const struct cfi_row *row, uint8_t *to)
{
	static const uint8_t head[] = { 0, 0, 0, 0, 1, 'z', 'R' }; /* CIE, version 1 */
	static const uint8_t align[] = { 0, 1 };                   /* that of code does not matter */
	static const uint8_t tail[] = { 16, 1, DW_EH_PE_absptr };  /* the return address; 'R' */
	uint8_t *cie = to + 8, *p = put(cie + 4, head, sizeof head);
	if (row->signal)
		*p++ = 'S';
	p = put(p, align, sizeof align);
	*p++ = row->data_align & 0x7f; /* SLEB128 */
	p = put(p, tail, sizeof tail);
	p = put(p, row->initial, row->ninitial);
	put_length(cie, p);
	uint8_t *fde = p;
	uint32_t back = (uint32_t)(fde + 4 - cie);
	uint64_t size = row->end - row->start;
	p = put(fde + 4, &back, sizeof back);
	p = put(p, &row->start, 8);
	p = put(p, &size, 8);
	*p++ = 0; /* no augmentation data */
	p = put(p, row->instructions, row->n);
	put_length(fde, p);
	const int32_t entry[2] = { INT32_MIN, (int32_t)(fde - to) };
	memcpy(to, entry, sizeof entry);
}

bool ehframe_write(struct ehframes *es, uint64_t ip, uint64_t *start, uint64_t *end)
{
	uint64_t after;
	const struct ehframe *e = table_of(es, ip);
	uint64_t fde = e ? find_fde(es, e, ip, &after) : 0;
	if (!fde || !cfi_row(&es->cfi, fde, ip, &es->row))
		return false;
	write_row(&es->row, es->written);
	*start = es->row.start;
	*end = es->row.end;
	return true;
}

bool ehframe_written(const struct ehframes *es, uint64_t addr, uint64_t *v)
{
	if (addr - EHFRAME_WRITTEN > sizeof es->written - sizeof *v)
		return false;
	memcpy(v, es->written + (addr - EHFRAME_WRITTEN), sizeof *v);
	return true;
}

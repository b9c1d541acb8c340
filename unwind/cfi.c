#include "unwind/cfi.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/oom.h"
#include "base/pages.h"
#include "symbols/cursor.h"

#define RA_COLUMN 16           /* x86-64 psABI: the return address */
#define FIRST_READ 128u        /* bytes; most records are smaller */
#define FDE_MAX (128u << 10)   /* bytes; the largest that was seen has 34,000 */
#define CIE_MAX 2048u          /* some 30 */
#define LEB_MAX 10             /* bytes: libunwind makes nonsense of more */
#define NESTED_MAX 16          /* remembered states; compilers nest them a few deep */

struct cie {
	uint64_t code_align;
	int8_t data_align;
	uint8_t encoding;        /* of its FDEs' addresses */
	bool augmented, signal, defines_cfa, by_expression;
	size_t n;
	uint8_t instructions[];
};

/* A CIE or FDE, and how far it was read. */
struct record {
	uint64_t at, size;       /* its length field included; size 0: there is none */
	uint8_t *bytes;
	struct cursor c;         /* to its end */
};

/* Until there are `want` bytes of it, of which there are n. */
static bool fetch(struct cfi *c, struct record *r, size_t n, size_t want)
{
	for (size_t got; n < want; n += got) {
		got = bytes_some(c->bytes, r->at + n, r->bytes + n, want - n);
		if (!got)
			return false;
	}
	return true;
}

/* Into bytes, where there is room for `most`, at least FIRST_READ. */
static struct record read_record(struct cfi *c, uint64_t at, uint8_t *bytes, size_t most)
{
	struct record r = { .at = at, .bytes = bytes };
	uint32_t len;
	size_t n = bytes_some(c->bytes, at, bytes, FIRST_READ);
	if (!fetch(c, &r, n, sizeof len))
		return r;
	memcpy(&len, bytes, sizeof len);
	if (n < sizeof len)
		n = sizeof len;
	if (!len || len > most - sizeof len || !fetch(c, &r, n, sizeof len + len))
		return r;
	r.size = sizeof len + len;
	r.c = (struct cursor){ bytes + sizeof len, bytes + r.size, false };
	return r;
}

/* 0: not known. */
static size_t encoded_size(uint8_t enc)
{
	switch (enc & 0x0f) {
	case DW_EH_PE_udata2: case DW_EH_PE_sdata2: return 2;
	case DW_EH_PE_udata4: case DW_EH_PE_sdata4: return 4;
	case DW_EH_PE_absptr: case DW_EH_PE_udata8: case DW_EH_PE_sdata8: return 8;
	default: return 0;
	}
}

/* What instructions so far come to: the last one of each kind. */
enum {
	CFA,                     /* defines it anew */
	CFA_REGISTER, CFA_OFFSET, /* after that */
	REGISTERS,               /* the place of each register's value */
	KINDS = REGISTERS + RA_COLUMN + 1
};

struct state {
	struct { const uint8_t *p; size_t n; } last[KINDS]; /* in the record */
};

struct program {
	uint64_t loc, code_align;
	struct state now, remembered[NESTED_MAX];
	size_t nremembered;
};

static uint64_t leb(struct cursor *c)
{
	const uint8_t *from = c->p;
	uint64_t v = cursor_uleb(c);
	if (c->p - from > LEB_MAX)
		cursor_fail(c);
	return v;
}

/* Of each instruction: r LEB128, the register whose place it says; o another, that a value
 * is in, of which there must be one; l any; x a block. NULL: not known. */
static const char *const operands[] = {
	[DW_CFA_offset_extended] = "rl", [DW_CFA_restore_extended] = "r", [DW_CFA_undefined] = "r",
	[DW_CFA_same_value] = "r", [DW_CFA_register] = "ro", [DW_CFA_def_cfa] = "ll",
	[DW_CFA_def_cfa_register] = "l", [DW_CFA_def_cfa_offset] = "l", [DW_CFA_def_cfa_expression] = "x",
	[DW_CFA_expression] = "rx", [DW_CFA_offset_extended_sf] = "rl", [DW_CFA_def_cfa_sf] = "ll",
	[DW_CFA_def_cfa_offset_sf] = "l", [DW_CFA_val_offset] = "rl", [DW_CFA_val_offset_sf] = "rl",
	[DW_CFA_val_expression] = "rx", [DW_CFA_GNU_args_size] = "l",
	[DW_CFA_GNU_negative_offset_extended] = "rl",
};

static void set_last(struct program *p, unsigned kind, const uint8_t *from, const uint8_t *end)
{
	p->now.last[kind].p = from;
	p->now.last[kind].n = (size_t)(end - from);
}

/* The instruction [from, end), of that register. */
static void keep(struct program *p, uint8_t op, uint64_t reg, const uint8_t *from, const uint8_t *end)
{
	switch (op) {
	case DW_CFA_def_cfa: case DW_CFA_def_cfa_sf: case DW_CFA_def_cfa_expression:
		set_last(p, CFA, from, end);
		p->now.last[CFA_REGISTER].n = p->now.last[CFA_OFFSET].n = 0;
		break;
	case DW_CFA_def_cfa_register:
		set_last(p, CFA_REGISTER, from, end);
		break;
	case DW_CFA_def_cfa_offset: case DW_CFA_def_cfa_offset_sf:
		set_last(p, CFA_OFFSET, from, end);
		break;
	case DW_CFA_GNU_args_size:
		break;
	default: /* vector registers have no part in it */
		if (reg <= RA_COLUMN)
			set_last(p, REGISTERS + (unsigned)reg, from, end);
	}
}

/* The cursor is behind op. */
static void take(struct program *p, struct cursor *c, uint8_t op)
{
	const uint8_t *from = c->p - 1;
	uint64_t reg = op & 0x3f;
	/* DW_CFA_offset has one operand, DW_CFA_restore none; both name the register themselves. */
	const char *o = op >> 6 ? (op >> 6 == DW_CFA_offset >> 6 ? "l" : "") :
			op < sizeof operands / sizeof *operands ? operands[op] : NULL;
	if (!o)
		cursor_fail(c);
	for (; o && *o && !c->bad; o++) {
		uint64_t v = leb(c);
		if (*o == 'r')
			reg = v;
		if (*o == 'o' && v > RA_COLUMN)
			cursor_fail(c);
		if (*o == 'x')
			cursor_skip(c, v);
	}
	if (!c->bad)
		keep(p, op >> 6 ? op & 0xc0 : op, reg, from, c->p);
}

static void remember(struct program *p, struct cursor *c)
{
	if (p->nremembered == NESTED_MAX)
		cursor_fail(c);
	else
		p->remembered[p->nremembered++] = p->now;
}

static void restore(struct program *p, struct cursor *c)
{
	if (!p->nremembered)
		cursor_fail(c);
	else
		p->now = p->remembered[--p->nremembered];
}

/* Runs instructions as far as they speak of ip. False: they are not fit. */
static bool run(struct program *p, struct cursor *c, uint64_t ip)
{
	while (cursor_left(c) && p->loc <= ip) {
		uint8_t op = cursor_u8(c);
		if (op >> 6 == DW_CFA_advance_loc >> 6) {
			p->loc += (op & 0x3f) * p->code_align;
			continue;
		}
		switch (op) {
		case DW_CFA_nop: break;
		case DW_CFA_advance_loc1: p->loc += cursor_fixed(c, 1) * p->code_align; break;
		case DW_CFA_advance_loc2: p->loc += cursor_fixed(c, 2) * p->code_align; break;
		case DW_CFA_advance_loc4: p->loc += cursor_fixed(c, 4) * p->code_align; break;
		case DW_CFA_remember_state: remember(p, c); break;
		case DW_CFA_restore_state: restore(p, c); break;
		default: take(p, c, op);
		}
	}
	return !c->bad;
}

/* What it came to, as instructions. False: too many. */
static bool compose(const struct program *p, uint8_t out[CFI_ROW_MAX], size_t *n, bool *by_expression)
{
	*n = 0;
	*by_expression = false;
	for (unsigned k = 0; k < KINDS; k++) {
		const uint8_t *from = p->now.last[k].p;
		size_t len = p->now.last[k].n;
		if (!len)
			continue;
		if (*from == DW_CFA_def_cfa_expression || *from == DW_CFA_expression || *from == DW_CFA_val_expression)
			*by_expression = true;
		if (len > CFI_ROW_MAX - *n)
			return false;
		memcpy(out + *n, from, len);
		*n += len;
	}
	return true;
}

static void program_init(struct program *p, uint64_t loc, uint64_t code_align)
{
	p->loc = loc;
	p->code_align = code_align;
	p->now = (struct state){ 0 };
	p->nremembered = 0;
}

static void skip_personality(struct cursor *c)
{
	uint8_t enc = cursor_u8(c);
	if (enc == DW_EH_PE_omit)
		return;
	if (!encoded_size(enc) || (enc & 0x70) == DW_EH_PE_aligned)
		cursor_fail(c);
	cursor_skip(c, encoded_size(enc));
}

/* The augmentation's data. */
static bool read_augmentation(struct cursor c, struct cie *cie, const char *aug)
{
	for (; *aug && !c.bad; aug++) {
		switch (*aug) {
		case 'R': cie->encoding = cursor_u8(&c); break;
		case 'S': cie->signal = true; break;
		case 'L': cursor_u8(&c); break;
		case 'P': skip_personality(&c); break;
		default: return true;
		}
	}
	return !c.bad;
}

static bool read_header(struct cursor *c, struct cie *cie)
{
	uint64_t id = cursor_fixed(c, 4);
	uint8_t version = cursor_u8(c);
	const char *aug = cursor_string(c);
	cie->code_align = leb(c);
	int64_t data_align = cursor_sleb(c);
	cie->data_align = (int8_t)data_align;
	uint64_t column = version == 1 ? cursor_u8(c) : leb(c);
	if (c->bad || id || (version != 1 && version != 3) || column != RA_COLUMN ||
	    data_align < -64 || data_align > 63 || (aug[0] && aug[0] != 'z'))
		return false;
	cie->augmented = aug[0];
	if (!cie->augmented)
		return true;
	uint64_t len = leb(c);
	struct cursor data = *c;
	cursor_skip(c, len);
	data.end = c->p;
	return !c->bad && read_augmentation(data, cie, aug + 1);
}

static struct cie *read_cie(struct cfi *c, uint64_t at)
{
	uint8_t out[CFI_ROW_MAX];
	struct cie cie = { .encoding = DW_EH_PE_absptr };
	struct record r = read_record(c, at, c->records, CIE_MAX);
	struct program p;
	program_init(&p, 0, 0);
	c->walked += r.size;
	if (!r.size || !read_header(&r.c, &cie) || !run(&p, &r.c, 0) || !compose(&p, out, &cie.n, &cie.by_expression))
		return NULL;
	struct cie *kept = oom_check(malloc(sizeof *kept + cie.n));
	if (kept) {
		*kept = cie;
		kept->defines_cfa = p.now.last[CFA].n;
		memcpy(kept->instructions, out, cie.n);
	}
	return kept;
}

static const struct cie *cie_at(struct cfi *c, uint64_t at)
{
	uint64_t known;
	if (map_get(&c->cies, at, &known))
		return (const struct cie *)(uintptr_t)known;
	struct cie *cie = at ? read_cie(c, at) : NULL;
	if (at && !map_set(&c->cies, at, (uint64_t)(uintptr_t)cie)) {
		free(cie);
		return NULL;
	}
	return cie;
}

bool cfi_init(struct cfi *c, struct unwind_bytes *b)
{
	/* Little of it is used, mostly. */
	*c = (struct cfi){ .bytes = b, .records = pages_alloc(CIE_MAX + FDE_MAX) };
	return c->records;
}

void cfi_free(struct cfi *c)
{
	pages_free(c->records, CIE_MAX + FDE_MAX);
	for (size_t i = 0; c->cies.slots && i <= c->cies.mask; i++)
		if (c->cies.slots[2 * i])
			free((void *)(uintptr_t)c->cies.slots[2 * i + 1]);
	map_free(&c->cies);
}

/* An address of an FDE, which is read here. */
static uint64_t encoded(struct record *r, uint8_t encoding)
{
	uint64_t at = r->at + (uint64_t)(r->c.p - r->bytes);
	size_t size = encoded_size(encoding);
	uint64_t v = cursor_fixed(&r->c, size);
	if (!size || encoding & ~(0x0f | DW_EH_PE_pcrel)) {
		cursor_fail(&r->c);
		return 0;
	}
	if (size < 8 && encoding & 0x08 && v >> (8 * size - 1))
		v |= UINT64_MAX << (8 * size);
	return v + (encoding & DW_EH_PE_pcrel ? at : 0);
}

/* Up to its instructions. */
static const struct cie *read_fde(struct cfi *c, uint64_t at, struct record *r, uint64_t *start, uint64_t *end)
{
	/* Beside where its CIE is read. */
	*r = read_record(c, at, c->records + CIE_MAX, FDE_MAX);
	uint64_t back = r->size ? cursor_fixed(&r->c, 4) : 0;
	const struct cie *cie = back ? cie_at(c, at + 4 - back) : NULL;
	if (!cie)
		return NULL;
	*start = encoded(r, cie->encoding);
	*end = *start + encoded(r, cie->encoding & 0x07);
	if (cie->augmented)
		cursor_skip(&r->c, leb(&r->c));
	return r->c.bad || *end <= *start ? NULL : cie;
}

bool cfi_row(struct cfi *c, uint64_t fde, uint64_t ip, struct cfi_row *out)
{
	struct record r;
	const struct cie *cie = read_fde(c, fde, &r, &out->start, &out->end);
	c->walked += r.size;
	if (!cie || ip < out->start || ip >= out->end)
		return false;
	struct program p;
	program_init(&p, out->start, cie->code_align);
	if (!run(&p, &r.c, ip) || !(cie->defines_cfa || p.now.last[CFA].n) ||
	    !compose(&p, out->instructions, &out->n, &out->by_expression))
		return false;
	out->by_expression = out->by_expression || cie->by_expression;
	memcpy(out->initial, cie->instructions, cie->n);
	out->ninitial = cie->n;
	out->signal = cie->signal;
	out->data_align = cie->data_align;
	return true;
}

bool cfi_function(struct cfi *c, uint64_t fde, struct cfi_function *out, uint64_t *size)
{
	struct record r;
	uint64_t end;
	const struct cie *cie = read_fde(c, fde, &r, &out->start, &end);
	*size = r.size;
	if (!cie)
		return false;
	uint8_t op = cursor_left(&r.c) ? cursor_u8(&r.c) : DW_CFA_nop;
	out->part = op >> 6 != DW_CFA_advance_loc >> 6 && op > DW_CFA_advance_loc4;
	return true;
}

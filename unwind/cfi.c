#include "unwind/cfi.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

#define RA_COLUMN 16           /* x86-64 psABI: the return address */
#define FIRST_READ 128u        /* most FDEs are smaller */
#define READ 1024u             /* of those that are not */
#define RECORD_MAX (256u << 10) /* bytes; the largest that was seen has 34,000 */
#define NESTED_MAX 16          /* remembered states; compilers nest them a few deep */
#define LOG_MAX 65535u         /* bytes; an evaluation loop has some thousands */

/* A run over bytes of the target, from end to end. */
struct reader {
	struct unwind_bytes *bytes;
	uint64_t at, end;        /* of those that are not in buf */
	size_t pos, n;
	bool bad;                /* they ended, or are unknown: all there is is 0 */
	uint8_t buf[READ];
};

struct cie {
	uint64_t code_align;
	int8_t data_align;
	uint8_t encoding;        /* of its FDEs' addresses */
	bool augmented, signal, defines_cfa, by_expression;
	size_t n;
	uint8_t instructions[];
};

static void reader_init(struct reader *r, struct cfi *c, uint64_t at, uint64_t end)
{
	r->bytes = c->bytes;
	r->at = at;
	r->end = end;
	r->pos = r->n = 0;
	r->bad = false;
}

static bool refill(struct reader *r)
{
	size_t want = r->n ? READ : FIRST_READ;
	if (want > r->end - r->at)
		want = r->end - r->at;
	r->pos = 0;
	r->n = r->bad || !want ? 0 : bytes_some(r->bytes, r->at, r->buf, want);
	r->at += r->n;
	r->bad = !r->n;
	return r->n;
}

static bool more(const struct reader *r)
{
	return r->pos < r->n || r->at < r->end;
}

static uint64_t place(const struct reader *r)
{
	return r->at - (r->n - r->pos);
}

static uint8_t next(struct reader *r)
{
	return r->pos < r->n || refill(r) ? r->buf[r->pos++] : 0;
}

/* Little-endian. */
static uint64_t fixed(struct reader *r, size_t size)
{
	uint64_t v = 0;
	for (size_t i = 0; i < size; i++)
		v |= (uint64_t)next(r) << (8 * i);
	return v;
}

static uint64_t uleb(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = next(r);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

static int64_t sleb(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70;) {
		uint8_t b = next(r);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
		if (!(b & 0x80))
			return (int64_t)(b & 0x40 && shift < 64 ? v | UINT64_MAX << shift : v);
	}
	r->bad = true;
	return 0;
}

static void skip(struct reader *r, uint64_t n)
{
	uint64_t here = r->n - r->pos;
	if (n <= here) {
		r->pos += n;
	} else if (r->bad || n - here > r->end - r->at) {
		r->bad = true;
	} else {
		r->at += n - here;
		r->pos = r->n;
	}
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

/* What instructions so far come to: the last one of each kind, as it was written. */
enum {
	CFA,                     /* defines it anew */
	CFA_REGISTER, CFA_OFFSET, /* after that */
	REGISTERS,               /* the place of each register's value */
	KINDS = REGISTERS + RA_COLUMN + 1
};

struct state {
	struct { uint16_t at, len; } last[KINDS]; /* in the log */
	uint32_t n;              /* bytes of the log */
};

struct program {
	uint8_t *log;            /* instructions, LOG_MAX bytes */
	uint64_t loc, code_align;
	uint64_t *walked;
	struct state now, remembered[NESTED_MAX];
	size_t nremembered;
};

static void put(struct program *p, struct reader *r, uint8_t byte)
{
	if (p->now.n == LOG_MAX)
		r->bad = true;
	else
		p->log[p->now.n++] = byte;
}

/* Copies a LEB128, and gives its value where it is not negative. */
static uint64_t put_leb(struct program *p, struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = next(r);
		put(p, r, b);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
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

static void set_last(struct program *p, unsigned kind, uint32_t from)
{
	p->now.last[kind].at = (uint16_t)from;
	p->now.last[kind].len = (uint16_t)(p->now.n - from);
}

static void keep(struct program *p, uint8_t op, uint64_t reg, uint32_t from)
{
	switch (op) {
	case DW_CFA_def_cfa: case DW_CFA_def_cfa_sf: case DW_CFA_def_cfa_expression:
		set_last(p, CFA, from);
		p->now.last[CFA_REGISTER].len = p->now.last[CFA_OFFSET].len = 0;
		break;
	case DW_CFA_def_cfa_register:
		set_last(p, CFA_REGISTER, from);
		break;
	case DW_CFA_def_cfa_offset: case DW_CFA_def_cfa_offset_sf:
		set_last(p, CFA_OFFSET, from);
		break;
	case DW_CFA_GNU_args_size:
		break;
	default: /* vector registers have no part in it */
		if (reg <= RA_COLUMN)
			set_last(p, REGISTERS + (unsigned)reg, from);
	}
}

static void take(struct program *p, struct reader *r, uint8_t op)
{
	uint32_t from = p->now.n;
	uint64_t reg = op & 0x3f;
	/* DW_CFA_offset has one operand, DW_CFA_restore none; both name the register themselves. */
	const char *o = op >> 6 ? (op >> 6 == DW_CFA_offset >> 6 ? "l" : "") :
			op < sizeof operands / sizeof *operands ? operands[op] : NULL;
	if (!o)
		r->bad = true;
	put(p, r, op);
	for (; o && *o && !r->bad; o++) {
		uint64_t v = put_leb(p, r);
		if (*o == 'r')
			reg = v;
		if (*o == 'o' && v > RA_COLUMN)
			r->bad = true;
		for (; *o == 'x' && v && !r->bad; v--)
			put(p, r, next(r));
	}
	if (!r->bad)
		keep(p, op >> 6 ? op & 0xc0 : op, reg, from);
}

static void remember(struct program *p, struct reader *r)
{
	if (p->nremembered == NESTED_MAX)
		r->bad = true;
	else
		p->remembered[p->nremembered++] = p->now;
}

static void restore(struct program *p, struct reader *r)
{
	if (!p->nremembered)
		r->bad = true;
	else
		p->now = p->remembered[--p->nremembered];
}

/* Runs it as far as it speaks of ip. */
static bool run(struct program *p, struct reader *r, uint64_t ip)
{
	uint64_t from = place(r);
	while (more(r) && !r->bad && p->loc <= ip) {
		uint8_t op = next(r);
		if (op >> 6 == DW_CFA_advance_loc >> 6) {
			p->loc += (op & 0x3f) * p->code_align;
			continue;
		}
		switch (op) {
		case DW_CFA_nop: break;
		case DW_CFA_advance_loc1: p->loc += fixed(r, 1) * p->code_align; break;
		case DW_CFA_advance_loc2: p->loc += fixed(r, 2) * p->code_align; break;
		case DW_CFA_advance_loc4: p->loc += fixed(r, 4) * p->code_align; break;
		case DW_CFA_remember_state: remember(p, r); break;
		case DW_CFA_restore_state: restore(p, r); break;
		default: take(p, r, op);
		}
	}
	*p->walked += place(r) - from;
	return !r->bad;
}

/* What it came to, as instructions. False: too many. */
static bool compose(const struct program *p, uint8_t out[CFI_ROW_MAX], size_t *n, bool *by_expression)
{
	*n = 0;
	*by_expression = false;
	for (unsigned k = 0; k < KINDS; k++) {
		size_t len = p->now.last[k].len;
		uint8_t op = len ? p->log[p->now.last[k].at] : DW_CFA_nop;
		if (op == DW_CFA_def_cfa_expression || op == DW_CFA_expression || op == DW_CFA_val_expression)
			*by_expression = true;
		if (len > CFI_ROW_MAX - *n)
			return false;
		memcpy(out + *n, p->log + p->now.last[k].at, len);
		*n += len;
	}
	return true;
}

static void program_init(struct program *p, struct cfi *c, uint64_t loc, uint64_t code_align)
{
	p->log = c->log;
	p->walked = &c->walked;
	p->loc = loc;
	p->code_align = code_align;
	p->now = (struct state){ 0 };
	p->nremembered = 0;
}

static void skip_personality(struct reader *r)
{
	uint8_t enc = next(r);
	if (enc == DW_EH_PE_omit)
		return;
	if (!encoded_size(enc) || (enc & 0x70) == DW_EH_PE_aligned)
		r->bad = true;
	skip(r, encoded_size(enc));
}

/* The augmentation's data, which begins here. */
static void read_augmentation(struct reader *r, struct cie *cie, const char *aug)
{
	for (; *aug && !r->bad; aug++) {
		switch (*aug) {
		case 'R': cie->encoding = next(r); break;
		case 'S': cie->signal = true; break;
		case 'L': next(r); break;
		case 'P': skip_personality(r); break;
		default: return;
		}
	}
}

static bool read_header(struct reader *r, struct cie *cie)
{
	char aug[16];
	size_t n = 0;
	uint64_t id = fixed(r, 4);
	uint8_t version = next(r);
	do {
		if (n == sizeof aug)
			return false;
		aug[n] = (char)next(r);
	} while (aug[n++]);
	cie->code_align = uleb(r);
	int64_t data_align = sleb(r);
	cie->data_align = (int8_t)data_align;
	uint64_t column = version == 1 ? next(r) : uleb(r);
	if (r->bad || id || (version != 1 && version != 3) || column != RA_COLUMN ||
	    data_align < -64 || data_align > 63 || (aug[0] && aug[0] != 'z'))
		return false;
	cie->augmented = aug[0];
	if (cie->augmented) {
		uint64_t len = uleb(r), from = place(r);
		if (len > r->end - from)
			return false;
		read_augmentation(r, cie, aug + 1);
		uint64_t used = place(r) - from;
		if (used > len)
			return false;
		skip(r, len - used);
	}
	return !r->bad;
}

/* Reads its length field, and to the record's end from there on. The record's size, the
 * field included; 0: there is none. */
static uint64_t open_record(struct reader *r, struct cfi *c, uint64_t at)
{
	reader_init(r, c, at, at + 4 + UINT32_MAX);
	uint64_t len = fixed(r, 4);
	if (r->bad || !len || len > RECORD_MAX)
		return 0;
	r->end = at + 4 + len;
	if (r->at > r->end) {
		r->n -= r->at - r->end;
		r->at = r->end;
	}
	return 4 + len;
}

static struct cie *read_cie(struct cfi *c, uint64_t at)
{
	struct reader r;
	uint8_t out[CFI_ROW_MAX];
	struct cie cie = { .encoding = DW_EH_PE_absptr };
	struct program p;
	program_init(&p, c, 0, 0);
	if (!open_record(&r, c, at) || !read_header(&r, &cie) || !run(&p, &r, 0) || !compose(&p, out, &cie.n, &cie.by_expression))
		return NULL;
	struct cie *kept = malloc(sizeof *kept + cie.n);
	if (kept) {
		*kept = cie;
		kept->defines_cfa = p.now.last[CFA].len;
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
	*c = (struct cfi){ .bytes = b, .log = pages_alloc(LOG_MAX) };
	return c->log;
}

void cfi_free(struct cfi *c)
{
	pages_free(c->log, LOG_MAX);
	for (size_t i = 0; c->cies.slots && i <= c->cies.mask; i++)
		if (c->cies.slots[2 * i])
			free((void *)(uintptr_t)c->cies.slots[2 * i + 1]);
	map_free(&c->cies);
}

/* An address of an FDE, which is read here. */
static uint64_t encoded(struct reader *r, uint8_t encoding)
{
	uint64_t at = place(r);
	size_t size = encoded_size(encoding);
	uint64_t v = fixed(r, size);
	if (!size || encoding & ~(0x0f | DW_EH_PE_pcrel)) {
		r->bad = true;
		return 0;
	}
	if (size < 8 && encoding & 0x08 && v >> (8 * size - 1))
		v |= UINT64_MAX << (8 * size);
	return v + (encoding & DW_EH_PE_pcrel ? at : 0);
}

/* Up to its instructions. */
static const struct cie *read_fde(struct cfi *c, struct reader *r, uint64_t at, uint64_t *size, uint64_t *start,
				  uint64_t *end)
{
	*size = open_record(r, c, at);
	uint64_t back = *size ? fixed(r, 4) : 0;
	const struct cie *cie = back ? cie_at(c, at + 4 - back) : NULL;
	if (!cie)
		return NULL;
	*start = encoded(r, cie->encoding);
	*end = *start + encoded(r, cie->encoding & 0x07);
	if (cie->augmented)
		skip(r, uleb(r));
	return r->bad || *end <= *start ? NULL : cie;
}

bool cfi_row(struct cfi *c, uint64_t fde, uint64_t ip, struct cfi_row *out)
{
	struct reader r;
	uint64_t size;
	const struct cie *cie = read_fde(c, &r, fde, &size, &out->start, &out->end);
	if (!cie || ip < out->start || ip >= out->end)
		return false;
	struct program p;
	program_init(&p, c, out->start, cie->code_align);
	if (!run(&p, &r, ip) || !(cie->defines_cfa || p.now.last[CFA].len) ||
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
	struct reader r;
	if (!read_fde(c, &r, fde, size, &out->start, &out->end))
		return false;
	uint8_t op = more(&r) ? next(&r) : DW_CFA_nop;
	out->part = op >> 6 != DW_CFA_advance_loc >> 6 && op > DW_CFA_advance_loc4;
	return true;
}

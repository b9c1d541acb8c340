/* The format: DWARF 5, 6.2.4 and 6.2.5. */
#include "symbols/lineprog.h"

#include <dwarf.h>
#include <stdlib.h>

#define UNIT_MAX (8u << 20)    /* sqlite's, all of it in one unit, has 0.3 MB */
#define HEAD_MIN 24u           /* up to header_length */
#define HEAD_MAX 512u
#define TABLES_MAX (1u << 20)
#define PIECE 4096u            /* bytes run before a piece ends */
#define SLACK 512u             /* further ones that its last instruction may have */
#define PIECES_MAX 65536u
#define FORMATS_MAX 16
#define ENTRIES_MAX 65536u

static const struct line_row initial = { 0, 1, 1 };

static const struct line_steps *steps(struct line_steps *st, const struct lineprog *lp)
{
	if (st->min_length == lp->min_length && st->line_range == lp->line_range &&
	    st->opcode_base == lp->opcode_base && st->line_base == lp->line_base)
		return st;
	st->min_length = lp->min_length;
	st->line_range = lp->line_range;
	st->opcode_base = lp->opcode_base;
	st->line_base = lp->line_base;
	for (unsigned op = lp->opcode_base; op < 256; op++) {
		unsigned k = op - lp->opcode_base;
		st->addr[op] = (uint16_t)(k / lp->line_range * lp->min_length);
		st->line[op] = (int16_t)(lp->line_base + (int)(k % lp->line_range));
	}
	return st;
}

/* Arguments of the standard opcodes, as DWARF 5 has them; others are skipped by what
 * the header says. */
static bool standard(const uint8_t *lengths, unsigned opcode_base)
{
	static const uint8_t known[] = { 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1 };
	for (unsigned op = 1; op < sizeof known && op < opcode_base; op++)
		if (lengths[op] != known[op])
			return false;
	return true;
}

/* What all versions begin with; *after: where header_length counts from. */
static bool read_length(struct lineprog *lp, struct debugdata *d, struct cursor *c, uint64_t offset, uint64_t *after,
			uint64_t *header)
{
	uint64_t len = cursor_fixed(c, 4), size = debugdata_size(d, DEBUG_LINE);
	*lp = (struct lineprog){ .offset = offset, .offset_size = 4, .address_size = 8 };
	*after = offset + 4;
	if (len == UINT32_MAX) {
		len = cursor_fixed(c, 8);
		*after += 8;
		lp->offset_size = 8;
	}
	if (c->bad || *after > size || len > size - *after)
		return false;
	lp->end = *after + len;
	if (len > UNIT_MAX) {
		d->refused = true;
		return false;
	}
	lp->version = (uint16_t)cursor_fixed(c, 2);
	if (lp->version == 5) {
		lp->address_size = cursor_u8(c);
		cursor_u8(c); /* segment selectors' size */
	}
	*header = cursor_fixed(c, lp->offset_size);
	*after += 2u + (lp->version == 5 ? 2u : 0) + lp->offset_size;
	return true;
}

bool lineprog_skip(struct debugdata *d, uint64_t offset, uint64_t *next, bool *empty)
{
	struct cursor c = debugdata_cursor(d, DEBUG_LINE, offset, HEAD_MIN);
	struct lineprog lp;
	uint64_t after, header = 0;
	bool good = read_length(&lp, d, &c, offset, &after, &header) && !c.bad;
	*next = lp.end;
	*empty = good && after <= lp.end && header == lp.end - after;
	return lp.end;
}

bool lineprog_open(struct lineprog *lp, struct debugdata *d, uint64_t offset)
{
	struct cursor c = debugdata_cursor(d, DEBUG_LINE, offset, HEAD_MAX);
	uint64_t after, header;
	if (!read_length(lp, d, &c, offset, &after, &header) || lp->version < 2 || lp->version > 5)
		return false;
	lp->min_length = cursor_u8(&c);
	unsigned ops = lp->version >= 4 ? cursor_u8(&c) : 1;
	cursor_u8(&c); /* default_is_stmt */
	lp->line_base = (int8_t)cursor_u8(&c);
	lp->line_range = cursor_u8(&c);
	lp->opcode_base = cursor_u8(&c);
	for (unsigned op = 1; op < lp->opcode_base; op++)
		lp->lengths[op] = cursor_u8(&c);
	lp->tables = after + 5u + (lp->version >= 4 ? 1u : 0) + lp->opcode_base - 1u;
	if (c.bad || after > lp->end || header > lp->end - after || ops != 1 || !lp->line_range || !lp->opcode_base ||
	    lp->address_size != 8 || !standard(lp->lengths, lp->opcode_base))
		return false;
	lp->at = lp->code = after + header;
	lp->row = initial;
	return lp->tables <= lp->code;
}

void lineprog_close(struct lineprog *lp)
{
	vec_free(&lp->pieces);
}

enum stop {
	STOP_FULL,     /* a row was written, and soft was reached */
	STOP_PAST,     /* a row was written that is beyond `limit` */
	STOP_SEQUENCE, /* it ended; r->addr is its end */
	STOP_JUMP,     /* back to a lower address in its middle; r has that */
	STOP_END,      /* of the bytes */
};

/* An extended opcode, to its end. Gives which it was: of those that the rows depend on,
 * DW_LNE_end_sequence, or DW_LNE_set_address with the address in *to. */
static inline uint8_t extended(struct cursor *c, uint64_t *to)
{
	uint64_t len = cursor_uleb(c);
	if (!len || len > cursor_left(c)) {
		cursor_fail(c);
		return 0;
	}
	const uint8_t *next = c->p + len;
	uint8_t op = cursor_u8(c);
	if (op == DW_LNE_set_address && len == 9)
		*to = cursor_fixed(c, 8);
	else if (op != DW_LNE_end_sequence)
		op = 0;
	c->p = next;
	return op;
}

/* Runs from after row r; what it was before the row that stopped it is *before. Rows
 * only count once there was an address: `inside` says whether there was a row. */
static enum stop rows(const struct lineprog *lp, const struct line_steps *st, struct cursor *from, const uint8_t *soft,
		      uint64_t limit, bool *inside, struct line_row *r, struct line_row *before)
{
	struct cursor c = *from; /* in registers */
	uint64_t addr = r->addr, jump;
	uint32_t file = r->file, line = (uint32_t)r->line; /* wraps where it is nonsense */
	enum stop why = STOP_END;
	*before = *r;
	while (c.p < c.end) {
		uint8_t op = *c.p++;
		if (op >= lp->opcode_base) {
			addr += st->addr[op];
			line += (uint32_t)st->line[op];
			goto row;
		}
		switch (op) {
		case DW_LNS_copy:
			goto row;
		case DW_LNS_advance_pc:
			addr += cursor_uleb(&c) * lp->min_length;
			continue;
		case DW_LNS_advance_line:
			line += (uint32_t)cursor_sleb(&c);
			continue;
		case DW_LNS_set_file:
			file = (uint32_t)cursor_uleb(&c);
			continue;
		case DW_LNS_set_column:
			cursor_uleb(&c);
			continue;
		case DW_LNS_negate_stmt:
			continue;
		case DW_LNS_const_add_pc:
			addr += st->addr[255];
			continue;
		case DW_LNS_fixed_advance_pc:
			addr += cursor_fixed(&c, 2);
			continue;
		default:
			for (unsigned i = 0; i < lp->lengths[op]; i++)
				cursor_uleb(&c);
			continue;
		case 0:
			break;
		}
		op = extended(&c, &jump);
		if (op == DW_LNE_end_sequence) {
			why = addr > limit && *inside ? STOP_PAST : STOP_SEQUENCE;
			goto out;
		}
		if (op == DW_LNE_set_address) {
			if (*inside && jump < addr) {
				*from = c;
				*r = (struct line_row){ jump, file, (int32_t)line };
				return STOP_JUMP;
			}
			addr = jump;
		}
		continue;
row:
		if (addr > limit && *inside) {
			why = STOP_PAST;
			goto out;
		}
		*inside = true;
		*before = (struct line_row){ addr, file, (int32_t)line };
		if (c.p >= soft) {
			why = STOP_FULL;
			goto out;
		}
	}
out:
	*from = c;
	*r = (struct line_row){ addr, file, (int32_t)line };
	return c.bad ? STOP_END : why;
}

static struct cursor bytes_at(const struct lineprog *lp, struct debugdata *d, uint64_t at, uint8_t buf[PIECE + SLACK])
{
	uint64_t left = lp->end - at;
	return debugdata_pass(d, DEBUG_LINE, at, left < PIECE + SLACK ? left : PIECE + SLACK, buf);
}

static bool add(struct lineprog *lp, uint64_t end)
{
	/* The linker leaves the rows of what it dropped at 0. */
	if (lp->dropped || end <= lp->row.addr)
		return true;
	return lp->pieces.n < PIECES_MAX &&
	       vec_push(&lp->pieces, (struct line_piece){ lp->row, end, (uint32_t)(lp->at - lp->code) });
}

static int order(const void *a, const void *b)
{
	const struct line_piece *x = a, *y = b;
	return (x->row.addr > y->row.addr) - (x->row.addr < y->row.addr);
}

static void end(struct lineprog *lp)
{
	lp->ended = true;
	if (lp->pieces.n)
		qsort(lp->pieces.v, lp->pieces.n, sizeof *lp->pieces.v, order);
}

bool lineprog_run(struct lineprog *lp, struct debugdata *d, struct line_steps *st)
{
	if (lp->ended)
		return false;
	uint8_t buf[PIECE + SLACK];
	struct cursor c = bytes_at(lp, d, lp->at, buf);
	struct line_row r = lp->row, before;
	const uint8_t *from = c.p, *soft = lp->inside ? c.p + PIECE : c.p;
	bool was = lp->inside;
	enum stop why = rows(lp, steps(st, lp), &c, soft, UINT64_MAX, &lp->inside, &r, &before);
	bool ok = why != STOP_END;
	if (was)
		ok = add(lp, why == STOP_JUMP || !ok ? before.addr : r.addr) && ok;
	else
		lp->dropped = !r.addr;
	lp->at += (uint64_t)(c.p - from);
	lp->row = why == STOP_SEQUENCE ? initial : r;
	lp->inside = why == STOP_FULL;
	if (!ok || lp->at >= lp->end)
		end(lp);
	return true;
}

bool lineprog_find(const struct lineprog *lp, struct debugdata *d, struct line_steps *st, uint64_t addr,
		   struct line_row *row)
{
	size_t lo = 0, hi = lp->pieces.n;
	while (lp->ended && lo < hi) { /* sorted: the last that starts at or below */
		size_t mid = lo + (hi - lo) / 2;
		if (lp->pieces.v[mid].row.addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	size_t i = lp->ended ? lo - 1 : 0;
	while (i < lp->pieces.n && !(addr >= lp->pieces.v[i].row.addr && addr < lp->pieces.v[i].end))
		i = lp->ended ? lp->pieces.n : i + 1;
	if (i >= lp->pieces.n)
		return false;
	uint8_t buf[PIECE + SLACK];
	struct cursor c = bytes_at(lp, d, lp->code + lp->pieces.v[i].at, buf);
	struct line_row r = lp->pieces.v[i].row;
	bool inside = true;
	return rows(lp, steps(st, lp), &c, c.end, addr, &inside, &r, row) == STOP_PAST;
}

struct formats {
	struct { uint64_t type, form; } v[FORMATS_MAX];
	unsigned n;
};

static bool read_formats(struct cursor *c, struct formats *f)
{
	f->n = cursor_u8(c);
	if (f->n > FORMATS_MAX)
		cursor_fail(c);
	for (unsigned i = 0; i < f->n && !c->bad; i++) {
		f->v[i].type = cursor_uleb(c);
		f->v[i].form = cursor_uleb(c);
	}
	return !c->bad;
}

struct entry {
	const char *path;
	uint64_t dir;
};

/* A value: a number in *v, or a string in *s. Other forms end the reading. */
static void value(const struct lineprog *lp, struct debugdata *d, struct cursor *c, uint64_t form,
		  bool wanted, uint64_t *v, const char **s)
{
	uint64_t off;
	switch (form) {
	case DW_FORM_string:
		*s = cursor_string(c);
		break;
	case DW_FORM_line_strp:
	case DW_FORM_strp:
		off = cursor_fixed(c, lp->offset_size);
		if (wanted)
			*s = debugdata_string(d, form == DW_FORM_strp ? DEBUG_STR : DEBUG_LINE_STR, off);
		break;
	case DW_FORM_udata:
		*v = cursor_uleb(c);
		break;
	case DW_FORM_data1:
		*v = cursor_u8(c);
		break;
	case DW_FORM_data2:
		*v = cursor_fixed(c, 2);
		break;
	case DW_FORM_data4:
		*v = cursor_fixed(c, 4);
		break;
	case DW_FORM_data8:
		*v = cursor_fixed(c, 8);
		break;
	case DW_FORM_data16:
		cursor_skip(c, 16);
		break;
	case DW_FORM_block:
		cursor_skip(c, cursor_uleb(c));
		break;
	default:
		cursor_fail(c);
	}
}

/* Version 5: a table of n entries; the one at `index`, if it is in it. */
static bool table_entry(const struct lineprog *lp, struct debugdata *d, struct cursor *c, uint64_t index,
			struct entry *e)
{
	struct formats f;
	if (!read_formats(c, &f))
		return false;
	uint64_t n = cursor_uleb(c);
	if (n > ENTRIES_MAX || (n && !f.n))
		cursor_fail(c);
	for (uint64_t i = 0; i < n && !c->bad; i++) {
		for (unsigned k = 0; k < f.n; k++) {
			uint64_t v = 0;
			const char *s = NULL;
			value(lp, d, c, f.v[k].form, i == index, &v, &s);
			if (i == index && f.v[k].type == DW_LNCT_path)
				e->path = s;
			if (i == index && f.v[k].type == DW_LNCT_directory_index)
				e->dir = v;
		}
	}
	return !c->bad && index < n;
}

static bool file_5(const struct lineprog *lp, struct debugdata *d, struct cursor c, uint32_t index,
		   struct entry *file, struct entry *dir)
{
	struct cursor dirs = c;
	table_entry(lp, d, &c, UINT64_MAX, file);
	if (c.bad || !table_entry(lp, d, &c, index, file))
		return false;
	table_entry(lp, d, &dirs, file->dir, dir);
	return true;
}

/* Version 2 to 4: counted from 1; directory 0 is the unit's own, which is not here. */
static bool file_2(struct cursor c, uint32_t index, struct entry *file, struct entry *dir)
{
	struct cursor dirs = c;
	const char *s;
	while ((s = cursor_string(&c)) && *s)
		;
	for (uint32_t i = 1; (s = cursor_string(&c)) && *s; i++) {
		file->path = s;
		file->dir = cursor_uleb(&c);
		cursor_uleb(&c);
		cursor_uleb(&c);
		if (i == index)
			break;
	}
	if (!s || !*s || c.bad)
		return false;
	for (uint64_t i = 1; i <= file->dir && (s = cursor_string(&dirs)) && *s; i++)
		if (i == file->dir)
			dir->path = s;
	return true;
}

bool lineprog_file(const struct lineprog *lp, struct debugdata *d, uint32_t index, const char **dir,
		   const char **name)
{
	uint64_t len = lp->code - lp->tables;
	struct cursor c = debugdata_cursor(d, DEBUG_LINE, lp->tables, len < TABLES_MAX ? len : TABLES_MAX);
	struct entry f = { 0 }, at = { 0 };
	if (!(lp->version == 5 ? file_5(lp, d, c, index, &f, &at) : file_2(c, index, &f, &at)))
		return false;
	*name = f.path;
	*dir = at.path;
	return f.path && *f.path;
}

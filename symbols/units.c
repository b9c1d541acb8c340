/* The formats: DWARF 5, 6.1.2 (.debug_aranges), 7.5.1 (unit headers), 7.5.3
 * (abbreviations), 7.5.6 (forms). */
#include "symbols/units.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/vec.h"

#define ARANGES_MAX (16u << 20)
#define RANGES_MAX (1u << 20)
#define LOOKED_MAX 64u         /* at each range, before they are sorted */
#define WINDOW 8192u
#define UNIT_FIRST 512u        /* header and first entry, but a producer's name may be long */
#define UNIT_MAX 8192u
#define ABBREVS_FIRST 1024u
#define ABBREVS_MAX (256u << 10)
#define ATTRIBUTES_MAX 64

void unit_ranges_free(struct unit_ranges *rs)
{
	free(rs->v);
	*rs = (struct unit_ranges){ 0 };
}

bool unit_ranges_add(struct unit_ranges *rs, uint64_t start, uint64_t end, uint64_t unit)
{
	if (!start || end <= start)
		return true;
	return unit <= UINT32_MAX && rs->n < RANGES_MAX &&
	       vec_push(rs, (struct unit_range){ start, end, (uint32_t)unit, rs->units });
}

/* By start; where several begin at one address, the last of them counts. */
static int order(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->unit != y->unit ? (x->unit > y->unit) - (x->unit < y->unit) : (x->end > y->end) - (x->end < y->end);
}

/* Of ranges in order the last that starts at or below addr, or NULL. */
static const struct unit_range *last_below(const struct unit_range *v, size_t n, uint64_t addr)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (v[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &v[lo - 1] : NULL;
}

const struct unit_range *unit_ranges_find(struct unit_ranges *rs, uint64_t addr)
{
	if (rs->looked > LOOKED_MAX * rs->n) {
		qsort(rs->v, rs->n, sizeof *rs->v, order);
		rs->nsorted = rs->n;
		rs->looked = 0;
	}
	const struct unit_range *best = rs->n ? last_below(rs->v, rs->nsorted, addr) : NULL;
	for (size_t i = rs->nsorted; i < rs->n; i++)
		if (rs->v[i].start <= addr && (!best || order(&rs->v[i], best) > 0))
			best = &rs->v[i];
	rs->looked += rs->n - rs->nsorted;
	return best && addr < best->end ? best : NULL;
}

/* One unit's ranges. False: no more can be read, or kept. */
static bool read_set(struct unit_ranges *rs, struct cursor *c)
{
	const uint8_t *start = c->p;
	size_t before = rs->n, wide = 4;
	uint64_t len = cursor_fixed(c, 4);
	if (len == UINT32_MAX) {
		len = cursor_fixed(c, 8);
		wide = 8;
	}
	if (c->bad || len > cursor_left(c))
		return false;
	struct cursor s = { c->p, c->p + len, false };
	c->p += len;
	cursor_skip(&s, 2); /* version */
	uint64_t unit = cursor_fixed(&s, wide);
	if (cursor_u8(&s) != 8 || cursor_u8(&s) != 0 || s.bad) /* other machines' */
		return true;
	cursor_skip(&s, (size_t)-(s.p - start) & 15);
	while (cursor_left(&s) >= 16) {
		uint64_t from = cursor_fixed(&s, 8), size = cursor_fixed(&s, 8);
		if (!from && !size)
			break;
		if (!unit_ranges_add(rs, from, from + size, unit))
			return false;
	}
	rs->units += rs->n > before;
	return true;
}

void unit_ranges_read(struct unit_ranges *rs, struct debugdata *d)
{
	uint64_t size = debugdata_size(d, DEBUG_ARANGES);
	if (!size || size > ARANGES_MAX)
		return;
	/* Only to save time: they are added one by one. */
	(void)vec_reserve(rs, size / 16 < RANGES_MAX ? size / 16 : RANGES_MAX);
	for (uint64_t at = 0; at < size;) {
		uint8_t buf[WINDOW];
		struct cursor c = debugdata_pass(d, DEBUG_ARANGES, at, WINDOW, buf);
		const uint8_t *from = c.p, *done = from;
		while (cursor_left(&c) && read_set(rs, &c))
			done = c.p;
		if (done == from) { /* larger than that, or the last */
			c = debugdata_cursor(d, DEBUG_ARANGES, at, size);
			from = c.p;
			if (!read_set(rs, &c))
				return;
			done = c.p;
		}
		at += (uint64_t)(done - from);
	}
}

struct header {
	uint64_t abbrevs;
	uint16_t version;
	uint8_t offset_size, address_size;
};

static bool read_header(struct cursor *c, struct header *h)
{
	h->offset_size = 4;
	if (cursor_fixed(c, 4) == UINT32_MAX) {
		cursor_fixed(c, 8);
		h->offset_size = 8;
	}
	h->version = (uint16_t)cursor_fixed(c, 2);
	if (h->version < 2 || h->version > 5)
		return false;
	uint8_t type = DW_UT_compile;
	if (h->version == 5) {
		type = cursor_u8(c);
		h->address_size = cursor_u8(c);
		h->abbrevs = cursor_fixed(c, h->offset_size);
	} else {
		h->abbrevs = cursor_fixed(c, h->offset_size);
		h->address_size = cursor_u8(c);
	}
	if (type == DW_UT_skeleton)
		cursor_skip(c, 8);
	return !c->bad && h->address_size == 8 &&
	       (type == DW_UT_compile || type == DW_UT_partial || type == DW_UT_skeleton);
}

/* Puts the cursor at the attributes of that abbreviation. */
static bool find_abbrev(struct cursor *c, uint64_t code)
{
	for (uint64_t k; (k = cursor_uleb(c));) {
		cursor_uleb(c); /* tag */
		cursor_u8(c);   /* has children */
		if (c->bad)
			return false;
		if (k == code)
			return true;
		for (uint64_t name = 1, form = 1; (name || form) && !c->bad;) {
			name = cursor_uleb(c);
			form = cursor_uleb(c);
			if (form == DW_FORM_implicit_const)
				cursor_sleb(c);
		}
	}
	return false;
}

struct attribute {
	uint64_t number;
	const char *string;
};

static void string_at(struct debugdata *d, enum debug_section s, struct cursor *c, const struct header *h,
		      bool wanted, struct attribute *a)
{
	uint64_t off = cursor_fixed(c, h->offset_size);
	if (wanted)
		a->string = debugdata_string(d, s, off);
}

/* Reads or skips a value. What is not understood ends it: its size is not known. */
static void read_form(struct debugdata *d, struct cursor *c, const struct header *h, uint64_t form,
		      bool wanted, struct attribute *a)
{
	switch (form) {
	case DW_FORM_flag_present: case DW_FORM_implicit_const:
		break;
	case DW_FORM_data1: case DW_FORM_flag: case DW_FORM_ref1: case DW_FORM_strx1: case DW_FORM_addrx1:
		a->number = cursor_u8(c);
		break;
	case DW_FORM_data2: case DW_FORM_ref2: case DW_FORM_strx2: case DW_FORM_addrx2:
		a->number = cursor_fixed(c, 2);
		break;
	case DW_FORM_strx3: case DW_FORM_addrx3:
		a->number = cursor_fixed(c, 3);
		break;
	case DW_FORM_data4: case DW_FORM_ref4: case DW_FORM_strx4: case DW_FORM_addrx4: case DW_FORM_ref_sup4:
		a->number = cursor_fixed(c, 4);
		break;
	case DW_FORM_addr: case DW_FORM_data8: case DW_FORM_ref8: case DW_FORM_ref_sig8: case DW_FORM_ref_sup8:
		a->number = cursor_fixed(c, 8);
		break;
	case DW_FORM_data16:
		cursor_skip(c, 16);
		break;
	case DW_FORM_ref_addr:
		a->number = cursor_fixed(c, h->version == 2 ? h->address_size : h->offset_size);
		break;
	case DW_FORM_sec_offset: case DW_FORM_strp_sup: case DW_FORM_GNU_strp_alt: case DW_FORM_GNU_ref_alt:
		a->number = cursor_fixed(c, h->offset_size);
		break;
	case DW_FORM_udata: case DW_FORM_ref_udata: case DW_FORM_strx: case DW_FORM_addrx:
	case DW_FORM_loclistx: case DW_FORM_rnglistx: case DW_FORM_GNU_str_index: case DW_FORM_GNU_addr_index:
		a->number = cursor_uleb(c);
		break;
	case DW_FORM_sdata:
		cursor_sleb(c);
		break;
	case DW_FORM_string:
		a->string = cursor_string(c);
		break;
	case DW_FORM_strp:
		string_at(d, DEBUG_STR, c, h, wanted, a);
		break;
	case DW_FORM_line_strp:
		string_at(d, DEBUG_LINE_STR, c, h, wanted, a);
		break;
	case DW_FORM_block1:
		cursor_skip(c, cursor_u8(c));
		break;
	case DW_FORM_block2:
		cursor_skip(c, cursor_fixed(c, 2));
		break;
	case DW_FORM_block4:
		cursor_skip(c, cursor_fixed(c, 4));
		break;
	case DW_FORM_block: case DW_FORM_exprloc:
		cursor_skip(c, cursor_uleb(c));
		break;
	default:
		cursor_fail(c);
	}
}

static bool read_entry(struct debugdata *d, struct cursor *c, struct cursor *abbrev, const struct header *h,
		       struct unit *u)
{
	bool found = false;
	for (int i = 0; i < ATTRIBUTES_MAX; i++) {
		uint64_t name = cursor_uleb(abbrev), form = cursor_uleb(abbrev);
		struct attribute a = { 0 };
		if (form == DW_FORM_implicit_const)
			cursor_sleb(abbrev);
		if ((!name && !form) || abbrev->bad)
			break;
		if (form == DW_FORM_indirect)
			form = cursor_uleb(c);
		read_form(d, c, h, form, name == DW_AT_comp_dir, &a);
		if (c->bad)
			break;
		if (name == DW_AT_comp_dir)
			u->dir = a.string;
		if (name == DW_AT_stmt_list) {
			u->program = a.number;
			found = true;
		}
		/* From version 5 on the program knows the directory itself. */
		if (found && (u->dir || h->version == 5))
			break;
	}
	return found;
}

static bool read_head(struct debugdata *d, uint64_t offset, uint64_t most, struct unit *u, bool *cut)
{
	struct header h = { 0 };
	struct cursor c = debugdata_cursor(d, DEBUG_INFO, offset, most);
	uint8_t buf[ABBREVS_FIRST];
	*u = (struct unit){ 0 };
	*cut = false;
	if (!read_header(&c, &h))
		return false;
	uint64_t code = cursor_uleb(&c);
	if (!code || c.bad)
		return false;
	struct cursor entry = c, abbrev = debugdata_pass(d, DEBUG_ABBREV, h.abbrevs, sizeof buf, buf);
	bool whole = cursor_left(&abbrev) < sizeof buf;
	bool found = find_abbrev(&abbrev, code) && read_entry(d, &entry, &abbrev, &h, u);
	/* The abbreviation, or its attributes, may be further on. */
	if (abbrev.bad && !whole) {
		entry = c;
		abbrev = debugdata_cursor(d, DEBUG_ABBREV, h.abbrevs, ABBREVS_MAX);
		found = find_abbrev(&abbrev, code) && read_entry(d, &entry, &abbrev, &h, u);
	}
	*cut = entry.bad;
	return found;
}

bool unit_read(struct debugdata *d, uint64_t offset, struct unit *u)
{
	bool cut, found = read_head(d, offset, UNIT_FIRST, u, &cut);
	return cut ? read_head(d, offset, UNIT_MAX, u, &cut) : found;
}

/* One pass over the top level of every compilation unit gathers the types that
 * dwarf_fields names; then each path is walked member by member. */
#include "symbols/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/oom.h"

#define MAX_TYPES 128
#define MAX_TYPEDEFS 8 /* typedefs of typedefs */

struct wanted {
	char name[48];
	Dwarf_Die die;
	bool found;
};

struct dwarf_types {
	struct wanted types[MAX_TYPES];
	size_t ntypes, nfound;
	int64_t enums[LAYOUT_NFIELDS];
	bool have_enum[LAYOUT_NFIELDS];
};

/* Typedefs, const and volatile stripped; false when nothing with a size is left. */
static bool peel(Dwarf_Die *die)
{
	for (int i = 0; i < MAX_TYPEDEFS; i++) {
		Dwarf_Attribute at;
		switch (dwarf_tag(die)) {
		case DW_TAG_typedef:
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_atomic_type:
			if (!dwarf_attr_integrate(die, DW_AT_type, &at) || !dwarf_formref_die(&at, die))
				return false;
			continue;
		default:
			return true;
		}
	}
	return false;
}

static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute at;
	return dwarf_attr_integrate(die, DW_AT_type, &at) && dwarf_formref_die(&at, type) && peel(type);
}

static bool uconst(Dwarf_Die *die, unsigned name, Dwarf_Word *v)
{
	Dwarf_Attribute at;
	return dwarf_attr_integrate(die, name, &at) && dwarf_formudata(&at, v) == 0;
}

/* First bit of a member in its struct. DWARF 4 and later say DW_AT_data_bit_offset;
 * before, DW_AT_bit_offset counts from the most significant bit of the storage. */
static bool member_bit(Dwarf_Die *member, Dwarf_Word *bit)
{
	Dwarf_Word loc = 0, v, size, len;
	if (uconst(member, DW_AT_data_bit_offset, bit))
		return true;
	uconst(member, DW_AT_data_member_location, &loc);
	*bit = loc * 8;
	if (uconst(member, DW_AT_bit_offset, &v) && uconst(member, DW_AT_byte_size, &size) &&
	    uconst(member, DW_AT_bit_size, &len))
		*bit += size * 8 - v - len;
	return true;
}

/* The member of that name, through anonymous structs and unions; *bit is where it
 * begins. Their depth is the source's own, three at most in CPython. */
static bool find_member(Dwarf_Die *parent, const char *name, size_t len, int depth,
			Dwarf_Die *member, Dwarf_Word *bit)
{
	Dwarf_Die child, type;
	if (depth > 4 || dwarf_child(parent, &child) != 0)
		return false;
	do {
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		const char *n = dwarf_diename(&child);
		Dwarf_Word at;
		member_bit(&child, &at);
		if (n && strlen(n) == len && memcmp(n, name, len) == 0) {
			*member = child;
			*bit = at;
			return true;
		}
		if (!n && type_of(&child, &type) &&
		    find_member(&type, name, len, depth + 1, member, bit)) {
			*bit += at;
			return true;
		}
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

static struct wanted *wanted_type(struct dwarf_types *ts, const char *name, size_t len)
{
	for (size_t i = 0; i < ts->ntypes; i++)
		if (strlen(ts->types[i].name) == len && memcmp(ts->types[i].name, name, len) == 0)
			return &ts->types[i];
	return NULL;
}

/* Names before the first '.' of every candidate. */
static void want_types(struct dwarf_types *ts)
{
	for (size_t i = 0; i < dwarf_nfields; i++) {
		if (dwarf_fields[i].kind == DWARF_ENUM)
			continue;
		for (const char *p = dwarf_fields[i].path; *p; p += strcspn(p, "|"), p += *p == '|') {
			size_t len = strcspn(p, ".|");
			if (wanted_type(ts, p, len) || ts->ntypes == MAX_TYPES)
				continue;
			struct wanted *w = &ts->types[ts->ntypes++];
			if (len < sizeof w->name)
				memcpy(w->name, p, len);
		}
	}
}

static void note_enums(struct dwarf_types *ts, Dwarf_Die *e)
{
	Dwarf_Die child;
	Dwarf_Attribute at;
	Dwarf_Sword v;
	if (dwarf_child(e, &child) != 0)
		return;
	do {
		const char *n = dwarf_diename(&child);
		if (!n || strncmp(n, "FRAME_", 6) != 0 ||
		    !dwarf_attr(&child, DW_AT_const_value, &at) || dwarf_formsdata(&at, &v) != 0)
			continue;
		for (size_t i = 0; i < dwarf_nfields; i++)
			if (dwarf_fields[i].kind == DWARF_ENUM && strcmp(dwarf_fields[i].path, n) == 0) {
				ts->enums[dwarf_fields[i].field] = v;
				ts->have_enum[dwarf_fields[i].field] = true;
			}
	} while (dwarf_siblingof(&child, &child) == 0);
}

static void note_die(struct dwarf_types *ts, Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	if (tag == DW_TAG_enumeration_type)
		note_enums(ts, die);
	if (tag != DW_TAG_structure_type && tag != DW_TAG_typedef)
		return;
	const char *n = dwarf_diename(die);
	struct wanted *w = n ? wanted_type(ts, n, strlen(n)) : NULL;
	if (!w || w->found)
		return;
	Dwarf_Die d = *die;
	if (!peel(&d) || dwarf_tag(&d) != DW_TAG_structure_type || dwarf_hasattr(&d, DW_AT_declaration))
		return;
	w->die = d;
	w->found = true;
	ts->nfound++;
}

static void note_units(struct dwarf_types *ts, Dwarf *dw)
{
	Dwarf_Off off = 0, next;
	size_t hdr;
	while (dwarf_nextcu(dw, off, &next, &hdr, NULL, NULL, NULL) == 0) {
		Dwarf_Die cu, die;
		if (dwarf_offdie(dw, off + hdr, &cu) && dwarf_child(&cu, &die) == 0)
			do
				note_die(ts, &die);
			while (dwarf_siblingof(&die, &die) == 0);
		off = next;
	}
}

static bool array_of(Dwarf_Die *type, Dwarf_Word *item, Dwarf_Word *count)
{
	Dwarf_Die t, sub;
	Dwarf_Word v;
	if (dwarf_tag(type) != DW_TAG_array_type || !type_of(type, &t))
		return false;
	int size = dwarf_bytesize(&t);
	if (size <= 0 || dwarf_child(type, &sub) != 0)
		return false;
	*item = (Dwarf_Word)size;
	if (uconst(&sub, DW_AT_count, &v))
		*count = v;
	else if (uconst(&sub, DW_AT_upper_bound, &v))
		*count = v + 1;
	else
		return false;
	return true;
}

/* One candidate of a field's path. */
static bool evaluate(struct dwarf_types *ts, enum dwarf_kind kind, const char *path, size_t len,
		     int64_t *out)
{
	size_t n = strcspn(path, ".|");
	struct wanted *w = wanted_type(ts, path, n);
	if (!w || !w->found)
		return false;
	Dwarf_Die type = w->die, member = type;
	Dwarf_Word bit = 0, inner = 0, item, count, bits = 0;
	while (n < len) {
		const char *name = path + n + 1;
		size_t nlen = strcspn(name, ".|");
		if (!find_member(&type, name, nlen, 0, &member, &inner))
			return false;
		bit += inner;
		n += 1 + nlen;
		if (!type_of(&member, &type) && n < len)
			return false;
	}
	switch (kind) {
	case DWARF_OFFSET:
		*out = (int64_t)(bit / 8);
		return true;
	case DWARF_BIT:
		*out = (int64_t)inner;
		return true;
	case DWARF_MASK:
		if (!uconst(&member, DW_AT_bit_size, &bits))
			bits = 8;
		*out = (((int64_t)1 << bits) - 1) << bit % 8;
		return true;
	case DWARF_SIZE:
		*out = dwarf_bytesize(&type);
		return *out > 0;
	case DWARF_ITEM:
	case DWARF_COUNT:
		if (!array_of(&type, &item, &count))
			return false;
		*out = (int64_t)(kind == DWARF_ITEM ? item : count);
		return true;
	case DWARF_ENUM:
		break;
	}
	return false;
}

static void fill(struct dwarf_types *ts, struct py_layout *l, bool *known)
{
	for (size_t i = 0; i < dwarf_nfields; i++) {
		const struct dwarf_field *f = &dwarf_fields[i];
		int64_t v = 0;
		bool ok = false;
		if (f->kind == DWARF_ENUM) {
			ok = ts->have_enum[f->field];
			v = ts->enums[f->field];
		} else {
			for (const char *p = f->path; *p && !ok;) {
				size_t len = strcspn(p, "|");
				ok = evaluate(ts, f->kind, p, len, &v);
				p += len + (p[len] == '|');
			}
		}
		if (ok) {
			l->fields[f->field] = (int32_t)v;
			known[f->field] = true;
		}
	}
}

err_t dwarf_layout(int fd, struct py_layout *l, bool known[LAYOUT_NFIELDS])
{
	Dwarf *dw = dwarf_begin(fd, DWARF_C_READ);
	if (!dw)
		return ERR_NOTFOUND;
	struct dwarf_types *ts = oom_check(calloc(1, sizeof *ts));
	if (!ts) {
		dwarf_end(dw);
		return ERR_NOMEM;
	}
	want_types(ts);
	note_units(ts, dw);
	fill(ts, l, known);
	bool any = ts->nfound > 0;
	free(ts);
	dwarf_end(dw);
	return any ? NULL : ERR_NOTFOUND;
}

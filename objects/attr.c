/* Attributes of instances: a dict of their own, or values laid out by the keys their
 * class shares. Sources: Objects/typeobject.c (tp_dictoffset), Objects/dictobject.c
 * and Include/internal/pycore_object.h of 3.11 to 3.15 (managed dicts). */
#include "objects/reader.h"

#include <string.h>

#define FLAG_HEAPTYPE (1ull << 9)
#define FLAG_INLINE_VALUES (1ull << 2)
#define FLAG_MANAGED_DICT (1ull << 4)

/* The value of name in an array of values that follows the class's shared keys. */
static uint64_t shared_get(struct reader *r, const struct type_info *t, uint64_t values,
			   const char *name)
{
	const struct py_layout *l = r->l;
	uint64_t keys = t->cached_keys;
	int64_t n;
	uint8_t log2_size, log2_index;
	if (!keys || !values || !image_i64(r->img, keys + (uint64_t)l->dictkeys_nentries, &n) ||
	    !image_u8(r->img, keys + (uint64_t)l->dictkeys_log2_size, &log2_size) ||
	    !image_u8(r->img, keys + (uint64_t)l->dictkeys_log2_index_bytes, &log2_index) ||
	    log2_size > 16 || log2_index > 20 || n < 0 || n > 1 << 16)
		return 0;
	uint64_t entries = keys + (uint64_t)l->dictkeys_indices + (1ull << log2_index);
	for (int64_t i = 0; i < n; i++)
		if (str_is(r, field_at(r, entries + 16 * (uint64_t)i, 0), name))
			return field_at(r, values + 8 * (uint64_t)i, 0);
	return 0;
}

static uint64_t managed_get(struct reader *r, const struct type_info *t, uint64_t obj,
			    const char *name)
{
	const struct py_layout *l = r->l;
	if (l->managed_dict == MANAGED_DICT_TWO_WORDS) {
		uint64_t dict = field_at(r, obj - 24, 0);
		return dict ? dict_get(r, dict, name)
			    : shared_get(r, t, field_at(r, obj - 32, 0), name);
	}
	if (l->managed_dict == MANAGED_DICT_TAGGED) {
		uint64_t both = field_at(r, obj - 24, 0);
		return both & 1 ? shared_get(r, t, both + 1, name) : dict_get(r, both, name);
	}
	uint64_t dict = field_at(r, obj - (l->free_threaded ? 8 : 24), 0);
	if (dict)
		return dict_get(r, dict, name);
	uint64_t values = obj + (uint64_t)t->basicsize;
	uint8_t valid;
	if (!(t->flags & FLAG_INLINE_VALUES) || l->dictvalues_valid < 0 ||
	    !image_u8(r->img, values + (uint64_t)l->dictvalues_valid, &valid) || !valid)
		return 0;
	return shared_get(r, t, values + (uint64_t)l->dictvalues_items, name);
}

/* Classes with __slots__ keep a member descriptor a slot in their dict:
 * PyMemberDescrObject (Include/descrobject.h) has type, name, qualname and the
 * PyMemberDef after the object's header; the definition's offset is its third word. */
int32_t slot_offset(struct reader *r, const struct type_info *t, const char *name)
{
	enum { BASES_MAX = 32, SLOT_OFFSET_MAX = 4096 };
	for (int depth = 0; t && depth < BASES_MAX; t = type_at(r, t->base), depth++) {
		if (!(t->flags & FLAG_HEAPTYPE))
			return -1;
		uint64_t d = dict_get(r, field_at(r, t->addr, r->l->type_dict), name);
		const struct type_info *dt = d ? object_type(r, d) : NULL;
		if (!dt || strcmp(dt->name, "member_descriptor") != 0)
			continue;
		uint64_t def = field_at(r, d, r->l->object_size + 24);
		uint64_t offset = field_at(r, def, 16);
		return offset && offset < SLOT_OFFSET_MAX ? (int32_t)offset : -1;
	}
	return -1;
}

static uint64_t own_get(struct reader *r, const struct type_info *t, uint64_t obj, const char *name)
{
	if (r->l->managed_dict != MANAGED_DICT_NONE && t->flags & FLAG_MANAGED_DICT)
		return managed_get(r, t, obj, name);
	int64_t offset = t->dictoffset;
	if (offset < 0) {
		/* Behind the items of a variable-sized object. */
		int64_t n = (int64_t)field_at(r, obj, r->l->var_size);
		n = n < 0 ? -n : n;
		if (n > 1 << 20)
			return 0;
		offset += (t->basicsize + n * t->itemsize + 7) & ~7ll;
	}
	if (offset <= 0 || offset > 1 << 24)
		return 0;
	return dict_get(r, field_at(r, obj + (uint64_t)offset, 0), name);
}

uint64_t attr_get(struct reader *r, uint64_t obj, const char *name)
{
	const struct type_info *t = object_type(r, obj);
	if (!t)
		return 0;
	uint64_t v = own_get(r, t, obj, name);
	return v ? v : field_at(r, obj, slot_offset(r, t, name));
}

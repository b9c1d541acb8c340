/* Attributes of instances: a dict of their own, or values laid out by the keys their
 * class shares. Sources: Objects/typeobject.c (tp_dictoffset), Objects/dictobject.c
 * and Include/internal/pycore_object.h of 3.11 to 3.15 (managed dicts). */
#include "objects/reader.h"

#include <string.h>

#define FLAG_HEAPTYPE (1ull << 9)
#define FLAG_INLINE_VALUES (1ull << 2)
#define FLAG_MANAGED_DICT (1ull << 4)
#define BASES_MAX 32
#define SLOT_OFFSET_MAX 4096

/* The entries of the keys that a class shares: where they begin and how many, 0 none. */
static uint64_t shared_keys(struct reader *r, const struct type_info *t, int64_t *n)
{
	const struct py_layout *l = r->l;
	uint8_t log2_size, log2_index;
	if (!t->cached_keys || !image_i64(r->img, t->cached_keys + (uint64_t)l->dictkeys_nentries, n) ||
	    !image_u8(r->img, t->cached_keys + (uint64_t)l->dictkeys_log2_size, &log2_size) ||
	    !image_u8(r->img, t->cached_keys + (uint64_t)l->dictkeys_log2_index_bytes, &log2_index) ||
	    log2_size > 16 || log2_index > 20 || *n < 0 || *n > 1 << 16)
		return 0;
	return t->cached_keys + (uint64_t)l->dictkeys_indices + (1ull << log2_index);
}

/* The value of name in an array of values that follows the class's shared keys. */
static uint64_t shared_get(struct reader *r, const struct type_info *t, uint64_t values,
			   const char *name)
{
	int64_t n = 0;
	uint64_t entries = values ? shared_keys(r, t, &n) : 0;
	for (int64_t i = 0; entries && i < n; i++)
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
static uint64_t member_offset(struct reader *r, uint64_t descriptor)
{
	uint64_t def = field_at(r, descriptor, r->l->object_size + 24), offset = field_at(r, def, 16);
	return offset < SLOT_OFFSET_MAX ? offset : 0;
}

static int32_t slot_find(struct reader *r, const struct type_info *t, const char *name)
{
	for (int depth = 0; t && depth < BASES_MAX; t = type_at(r, t->base), depth++) {
		if (!(t->flags & FLAG_HEAPTYPE))
			return -1;
		uint64_t d = dict_get(r, field_at(r, t->addr, r->l->type_dict), name);
		const struct type_info *dt = d ? object_type(r, d) : NULL;
		if (!dt || strcmp(dt->name, "member_descriptor") != 0)
			continue;
		uint64_t offset = member_offset(r, d);
		return offset ? (int32_t)offset : -1;
	}
	return -1;
}

int32_t slot_offset(struct reader *r, const struct type_info *t, const char *name)
{
	if (!t || strlen(name) >= SLOT_NAME_MAX)
		return slot_find(r, t, name);
	uint64_t h = t->addr / 32;
	for (const char *c = name; *c; c++)
		h = h * 31 + (uint8_t)*c;
	struct slot_known *k = &r->slots[h % SLOT_CACHE];
	if (k->type != t->addr || strcmp(k->name, name) != 0) {
		*k = (struct slot_known){ .type = t->addr, .offset = slot_find(r, t, name) };
		strcpy(k->name, name);
	}
	return k->offset;
}

/* The dict of an instance whose class says where it lies, or 0. */
static uint64_t own_dict(struct reader *r, const struct type_info *t, uint64_t obj)
{
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
	return field_at(r, obj + (uint64_t)offset, 0);
}

static uint64_t own_get(struct reader *r, const struct type_info *t, uint64_t obj, const char *name)
{
	if (r->l->managed_dict != MANAGED_DICT_NONE && t->flags & FLAG_MANAGED_DICT)
		return managed_get(r, t, obj, name);
	return dict_get(r, own_dict(r, t, obj), name);
}

/* ---- all of them ---- */

struct visit { struct reader *r; bool (*each)(void *ctx, uint64_t name, uint64_t value); void *ctx; };

static bool shared_each(struct visit *v, const struct type_info *t, uint64_t values)
{
	int64_t n = 0;
	uint64_t entries = values ? shared_keys(v->r, t, &n) : 0;
	for (int64_t i = 0; entries && i < n; i++) {
		uint64_t value = field_at(v->r, values + 8 * (uint64_t)i, 0);
		if (value && !v->each(v->ctx, field_at(v->r, entries + 16 * (uint64_t)i, 0), value))
			return false;
	}
	return true;
}

static bool dict_each(struct visit *v, uint64_t dict)
{
	struct dict_iter it;
	uint64_t key, value;
	int64_t n = 0;
	if (!dict_begin(v->r, dict, &it))
		return true;
	while (n++ < 1 << 16 && dict_next(v->r, &it, &key, &value))
		if (!v->each(v->ctx, key, value))
			return false;
	return true;
}

static bool managed_each(struct visit *v, const struct type_info *t, uint64_t obj)
{
	struct reader *r = v->r;
	const struct py_layout *l = r->l;
	uint8_t valid;
	if (l->managed_dict == MANAGED_DICT_TWO_WORDS) {
		uint64_t dict = field_at(r, obj - 24, 0);
		return dict ? dict_each(v, dict) : shared_each(v, t, field_at(r, obj - 32, 0));
	}
	if (l->managed_dict == MANAGED_DICT_TAGGED) {
		uint64_t both = field_at(r, obj - 24, 0);
		return both & 1 ? shared_each(v, t, both + 1) : dict_each(v, both);
	}
	uint64_t dict = field_at(r, obj - (l->free_threaded ? 8 : 24), 0);
	if (dict)
		return dict_each(v, dict);
	uint64_t values = obj + (uint64_t)t->basicsize;
	if (!(t->flags & FLAG_INLINE_VALUES) || l->dictvalues_valid < 0 ||
	    !image_u8(r->img, values + (uint64_t)l->dictvalues_valid, &valid) || !valid)
		return true;
	return shared_each(v, t, values + (uint64_t)l->dictvalues_items);
}

/* Whether the member is a pointer to an object, as those of __slots__ are: its type, which
 * follows its name, is T_OBJECT_EX. */
static bool holds_object(struct reader *r, uint64_t descriptor)
{
	int32_t type;
	uint64_t def = field_at(r, descriptor, r->l->object_size + 24);
	return def && image_i32(r->img, def + 8, &type) && type == 16;
}

/* The slots that a class and its bases of Python have. */
static bool slots_each(struct visit *v, const struct type_info *t, uint64_t obj)
{
	struct reader *r = v->r;
	for (int depth = 0; t && depth < BASES_MAX && t->flags & FLAG_HEAPTYPE; depth++) {
		struct dict_iter it;
		uint64_t key, d;
		bool more = t->basicsize > r->l->object_size + 8 && dict_begin(r, field_at(r, t->addr, r->l->type_dict), &it);
		while (more && dict_next(r, &it, &key, &d)) {
			const struct type_info *dt = object_type(r, d);
			if (!dt || strcmp(dt->name, "member_descriptor") != 0)
				continue;
			uint64_t offset = holds_object(r, d) ? member_offset(r, d) : 0;
			uint64_t value = offset ? field_at(r, obj, (int32_t)offset) : 0;
			if (value && !v->each(v->ctx, key, value))
				return false;
		}
		t = type_at(r, t->base);
	}
	return true;
}

bool attr_each(struct reader *r, uint64_t obj, bool (*each)(void *ctx, uint64_t name, uint64_t value), void *ctx)
{
	struct visit v = { r, each, ctx };
	const struct type_info *t = object_type(r, obj);
	if (!t || !(t->flags & FLAG_HEAPTYPE))
		return true;
	bool more = r->l->managed_dict != MANAGED_DICT_NONE && t->flags & FLAG_MANAGED_DICT
		? managed_each(&v, t, obj) : dict_each(&v, own_dict(r, t, obj));
	return more && slots_each(&v, t, obj);
}

uint64_t attr_get(struct reader *r, uint64_t obj, const char *name)
{
	const struct type_info *t = object_type(r, obj);
	if (!t)
		return 0;
	uint64_t v = own_get(r, t, obj, name);
	return v ? v : field_at(r, obj, slot_offset(r, t, name));
}

#include "symbols/peek.h"

#include <string.h>

#define MAX_KEYS 65536

bool peek_pointer(const struct peek *k, uint64_t addr, int32_t offset, uint64_t *v)
{
	return offset >= 0 && image_u64(k->img, addr + (uint64_t)offset, v);
}

uint64_t peek_type(const struct peek *k, uint64_t obj)
{
	uint64_t t;
	return obj && obj % 8 == 0 && peek_pointer(k, obj, k->l->object_type, &t) ? t : 0;
}

bool peek_is(const struct peek *k, uint64_t obj, uint64_t type)
{
	return type && peek_type(k, obj) == type;
}

/* A dict's entries, its keys without instance values ("split" ones are no modules). */
struct entries {
	uint64_t at, n;
	unsigned stride;
};

static bool dict_entries(const struct peek *k, uint64_t dict, struct entries *e)
{
	const struct py_layout *l = k->l;
	uint64_t keys;
	if (!peek_pointer(k, dict, l->dict_keys, &keys) || !keys ||
	    !peek_pointer(k, keys, l->dictkeys_nentries, &e->n) || e->n > MAX_KEYS)
		return false;
	uint64_t start = keys + (uint64_t)l->dictkeys_indices;
	e->stride = 24;
	if (l->dictkeys_size >= 0) {
		uint64_t size;
		if (!peek_pointer(k, keys, l->dictkeys_size, &size) || size > MAX_KEYS * 2 || (size & (size - 1)))
			return false;
		e->at = start + size * (size <= 0x80 ? 1 : size <= 0x8000 ? 2 : 4);
	} else {
		uint8_t log2, kind;
		if (!image_u8(k->img, keys + (uint64_t)l->dictkeys_log2_index_bytes, &log2) || log2 > 24 ||
		    !image_u8(k->img, keys + (uint64_t)l->dictkeys_kind, &kind) || kind > 2)
			return false;
		e->at = start + (1ull << log2);
		if (kind)
			e->stride = 16;
	}
	return true;
}

/* Is obj an ASCII str of that text? */
static bool str_is(const struct peek *k, uint64_t obj, const char *text)
{
	uint64_t len, n = strlen(text);
	const char *s;
	return peek_is(k, obj, k->py->unicode_type) && peek_pointer(k, obj, k->l->unicode_length, &len) &&
	       len == n && (s = image_at(k->img, obj + (uint64_t)k->l->unicode_ascii_data, n)) &&
	       memcmp(s, text, n) == 0;
}

uint64_t peek_dict_get(const struct peek *k, uint64_t dict, const char *name)
{
	struct entries e;
	uint64_t key, value;
	if (!peek_is(k, dict, k->py->dict_type) || !dict_entries(k, dict, &e))
		return 0;
	for (uint64_t i = 0; i < e.n; i++) {
		uint64_t at = e.at + i * e.stride + e.stride - 16;
		if (image_u64(k->img, at, &key) && image_u64(k->img, at + 8, &value) && value &&
		    str_is(k, key, name))
			return value;
	}
	return 0;
}

bool peek_int(const struct peek *k, uint64_t obj, uint32_t *v)
{
	uint64_t n;
	uint32_t d[2] = { 0, 0 };
	if (!peek_is(k, obj, k->py->long_type))
		return false;
	if (k->l->long_tag >= 0) {
		if (!peek_pointer(k, obj, k->l->long_tag, &n))
			return false;
		n >>= 3;
	} else if (!peek_pointer(k, obj, k->l->var_size, &n)) {
		return false;
	}
	if (n < 1 || n > 2 || !image_read(k->img, obj + (uint64_t)k->l->long_digits, d, n * 4))
		return false;
	*v = d[0] | d[1] << 30; /* digits of 30 bits */
	return true;
}

uint64_t peek_module_dict(const struct peek *k, uint64_t modules, const char *name)
{
	uint64_t dict, m = peek_dict_get(k, modules, name);
	return peek_is(k, m, k->py->module_type) && peek_pointer(k, m, k->l->module_dict, &dict) ? dict : 0;
}

uint64_t peek_first_key(const struct peek *k, uint64_t dict)
{
	struct entries e;
	uint64_t key;
	if (!dict_entries(k, dict, &e))
		return 0;
	for (uint64_t i = 0; i < e.n; i++)
		if (image_u64(k->img, e.at + i * e.stride + e.stride - 16, &key) && key)
			return key;
	return 0;
}

uint64_t peek_main_interpreter(const struct peek *k)
{
	uint64_t in, next;
	if (!peek_pointer(k, k->py->runtime, k->l->runtime_interpreters_head, &in))
		return 0;
	for (int n = 0; in && n < MAX_INTERPRETERS; n++) {
		if (!peek_pointer(k, in, k->l->interp_next, &next))
			return 0;
		if (!next)
			return in;
		in = next;
	}
	return 0;
}

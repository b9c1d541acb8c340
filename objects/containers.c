/* tuple, list, set, dict, weak references. Sources: Objects/dictobject.c and
 * Include/internal/pycore_dict.h (keys objects), Include/cpython/setobject.h. */
#include "objects/reader.h"

#include <string.h>

#define ENTRY_GENERAL 24
#define ENTRY_UNICODE 16
#define SET_ENTRY 16

static uint64_t seq_items(struct reader *r, uint64_t obj, enum type_kind kind)
{
	return kind == KIND_LIST ? field_at(r, obj, r->l->list_items) : obj + (uint64_t)r->l->tuple_items;
}

int64_t seq_len(struct reader *r, uint64_t obj)
{
	enum type_kind kind = object_kind(r, obj);
	int64_t n;
	if ((kind != KIND_TUPLE && kind != KIND_LIST) ||
	    !image_i64(r->img, obj + (uint64_t)r->l->var_size, &n) || n < 0 ||
	    (uint64_t)n > ITEMS_MAX)
		return -1;
	uint64_t last, items = seq_items(r, obj, kind);
	/* A length that leads out of memory is none. */
	if (n && (!items || !image_u64(r->img, items + 8 * (uint64_t)(n - 1), &last)))
		return -1;
	return n;
}

uint64_t seq_item(struct reader *r, uint64_t obj, int64_t i)
{
	enum type_kind kind = object_kind(r, obj);
	int64_t n;
	if ((kind != KIND_TUPLE && kind != KIND_LIST) ||
	    !image_i64(r->img, obj + (uint64_t)r->l->var_size, &n) || i < 0 || i >= n)
		return 0;
	uint64_t items = seq_items(r, obj, kind);
	return items ? field_at(r, items + 8 * (uint64_t)i, 0) : 0;
}

bool set_begin(struct reader *r, uint64_t set, struct set_iter *it)
{
	*it = (struct set_iter){ 0 };
	if (object_kind(r, set) != KIND_SET)
		return false;
	it->mask = field_at(r, set, r->l->set_mask);
	it->table = field_at(r, set, r->l->set_table);
	it->used = (int64_t)field_at(r, set, r->l->set_used);
	it->broken = it->mask > ITEMS_MAX || (it->mask & (it->mask + 1)) || !it->table ||
		     it->used < 0 || it->used > (int64_t)it->mask + 1;
	return !it->broken;
}

bool set_next(struct reader *r, struct set_iter *it, uint64_t *key)
{
	while (!it->broken && it->i <= it->mask) {
		const uint64_t *p = image_at(r->img, it->table + SET_ENTRY * it->i, SET_ENTRY);
		if (!p) {
			it->broken = true;
			return false;
		}
		uint64_t entry[2];
		memcpy(entry, p, sizeof entry);
		it->i++;
		/* A removed entry keeps a dummy key; its hash is -1, which no object has. */
		if (entry[0] && entry[1] != UINT64_MAX) {
			*key = entry[0];
			it->seen++;
			return true;
		}
	}
	if (it->seen != it->used)
		it->broken = true;
	return false;
}

/* Where a keys object's entries begin and what they look like. */
static bool keys_read(struct reader *r, uint64_t keys, struct dict_iter *it)
{
	const struct py_layout *l = r->l;
	uint64_t index_bytes;
	if (!keys || !image_i64(r->img, keys + (uint64_t)l->dictkeys_nentries, &it->n))
		return false;
	if (l->dictkeys_size >= 0) {
		uint64_t size = field_at(r, keys, l->dictkeys_size);
		if (size == 0 || size > ITEMS_MAX || (size & (size - 1)))
			return false;
		index_bytes = size * (size <= 0xFF ? 1 : size <= 0xFFFF ? 2 : 4);
		it->stride = ENTRY_GENERAL;
		if (it->n > (int64_t)size)
			return false;
	} else {
		uint8_t log2_size, log2_index, kind;
		if (!image_u8(r->img, keys + (uint64_t)l->dictkeys_log2_size, &log2_size) ||
		    !image_u8(r->img, keys + (uint64_t)l->dictkeys_log2_index_bytes, &log2_index) ||
		    !image_u8(r->img, keys + (uint64_t)l->dictkeys_kind, &kind) ||
		    log2_size > 26 || log2_index > 29 || kind > 2)
			return false;
		index_bytes = 1ull << log2_index;
		it->stride = kind == 0 ? ENTRY_GENERAL : ENTRY_UNICODE;
		if (it->n > 1ll << log2_size)
			return false;
	}
	it->entries = keys + (uint64_t)l->dictkeys_indices + index_bytes;
	return it->n >= 0;
}

bool dict_begin(struct reader *r, uint64_t dict, struct dict_iter *it)
{
	*it = (struct dict_iter){ 0 };
	if (object_kind(r, dict) != KIND_DICT)
		return false;
	it->used = (int64_t)field_at(r, dict, r->l->dict_used);
	if (!keys_read(r, field_at(r, dict, r->l->dict_keys), it)) {
		it->broken = true;
		return false;
	}
	uint64_t values = field_at(r, dict, r->l->dict_values);
	it->values = values ? values + (uint64_t)r->l->dictvalues_items : 0;
	return true;
}

bool dict_next(struct reader *r, struct dict_iter *it, uint64_t *key, uint64_t *value)
{
	while (!it->broken && it->i < it->n) {
		uint64_t pair[2];
		uint64_t at = it->entries + (uint64_t)it->i * (uint64_t)it->stride +
			      (uint64_t)it->stride - 16;
		if (!image_read(r->img, at, pair, sizeof pair)) {
			it->broken = true;
			return false;
		}
		if (it->values)
			pair[1] = field_at(r, it->values + 8 * (uint64_t)it->i, 0);
		it->i++;
		if (pair[0] && pair[1]) {
			*key = pair[0];
			*value = pair[1];
			it->seen++;
			return true;
		}
	}
	if (it->seen != it->used)
		it->broken = true;
	return false;
}

uint64_t dict_get(struct reader *r, uint64_t dict, const char *key)
{
	struct dict_iter it;
	uint64_t k, v;
	if (!dict_begin(r, dict, &it))
		return 0;
	while (dict_next(r, &it, &k, &v))
		if (str_is(r, k, key))
			return v;
	return 0;
}

int64_t dict_len(struct reader *r, uint64_t dict)
{
	return object_kind(r, dict) == KIND_DICT ? (int64_t)field_at(r, dict, r->l->dict_used) : -1;
}

/* Modules/_collectionsmodule.c: block { leftlink, data[BLOCKLEN], rightlink }. */
#define BLOCKLEN 64

bool deque_begin(struct reader *r, uint64_t deque, struct deque_iter *it)
{
	*it = (struct deque_iter){ 0 };
	if (object_kind(r, deque) != KIND_DEQUE)
		return false;
	it->block = field_at(r, deque, r->l->deque_leftblock);
	it->index = (int64_t)field_at(r, deque, r->l->deque_leftindex);
	it->left = (int64_t)field_at(r, deque, r->l->var_size);
	return it->index >= 0 && it->index < BLOCKLEN && it->left >= 0 && it->left <= (int64_t)ITEMS_MAX;
}

bool deque_next(struct reader *r, struct deque_iter *it, uint64_t *item)
{
	if (it->left <= 0)
		return false;
	if (it->index == BLOCKLEN) {
		it->block = field_at(r, it->block, 8 * (BLOCKLEN + 1));
		it->index = 0;
	}
	*item = field_at(r, it->block, (int32_t)(8 * (it->index + 1)));
	it->index++;
	it->left--;
	return *item != 0;
}

uint64_t weakref_get(struct reader *r, uint64_t obj)
{
	if (object_kind(r, obj) != KIND_WEAKREF)
		return 0;
	uint64_t to = field_at(r, obj, r->l->weakref_object);
	return is_none(r, to) ? 0 : to;
}

uint64_t weakset_data(struct reader *r, uint64_t obj)
{
	if (object_kind(r, obj) == KIND_SET)
		return obj;
	uint64_t data = attr_get(r, obj, "data");
	return object_kind(r, data) == KIND_SET ? data : 0;
}

/* A CPython made in memory, for tests of whatever reads one: objects of any version,
 * laid out by its table, in an image that knows nothing else. */
#ifndef ASYNCMON_TESTS_FAKE_H
#define ASYNCMON_TESTS_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "objects/code.h"
#include "symbols/tables.h"

#define FAKE_BASE 0x100000000ull
#define FAKE_SIZE (64ull << 20)

struct fake {
	struct target target;
	struct python py;
	struct image img;
	struct arena *arena;
	struct reader r;
	uint64_t next;
};

static inline void put(struct fake *f, uint64_t at, uint64_t v, size_t size)
{
	assert_true(image_put(&f->img, at, &v, size));
}

/* Zeroed, known memory. */
static inline uint64_t fake_alloc(struct fake *f, size_t size)
{
	uint64_t at = f->next + 64; /* room in front: instances may have words before them */
	void *zeros = calloc(1, size + 64);
	assert_non_null(zeros);
	assert_true(image_put(&f->img, at - 64, zeros, size + 64));
	free(zeros);
	f->next = (at + size + 15) & ~15ull;
	return at;
}

static inline uint64_t fake_type(struct fake *f, const char *name, uint64_t base, uint64_t flags)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t s = fake_alloc(f, strlen(name) + 1), t = fake_alloc(f, 1024);
	assert_true(image_put(&f->img, s, name, strlen(name) + 1));
	put(f, t + (uint64_t)l->object_type, f->py.type_type ? f->py.type_type : t, 8);
	put(f, t + (uint64_t)l->type_name, s, 8);
	put(f, t + (uint64_t)l->type_base, base, 8);
	put(f, t + (uint64_t)l->type_flags, flags, 8);
	return t;
}

static inline void fake_init(struct fake *f, uint8_t minor)
{
	bool exact;
	*f = (struct fake){ .next = FAKE_BASE };
	struct py_version v = { .major = 3, .minor = minor, .micro = 1, .level = 0xF };
	const struct layout_table *t = layout_table_for(v, false, false, &exact);
	assert_non_null(t);
	layout_from_table(&f->py.layout, t);
	f->py.layout.version = v;
	struct image_span span = { FAKE_BASE, FAKE_BASE + FAKE_SIZE };
	assert_null(image_init(&f->img, &span, 1));
	f->target.image = &f->img;
	f->py.target = &f->target;
	f->arena = arena_new();
	f->py.type_type = fake_type(f, "type", 0, 0);
	f->py.unicode_type = fake_type(f, "str", 0, 0);
	f->py.long_type = fake_type(f, "int", 0, 0);
	f->py.bytes_type = fake_type(f, "bytes", 0, 0);
	f->py.tuple_type = fake_type(f, "tuple", 0, 0);
	f->py.list_type = fake_type(f, "list", 0, 0);
	f->py.dict_type = fake_type(f, "dict", 0, 0);
	f->py.set_type = fake_type(f, "set", 0, 0);
	f->py.code_type = fake_type(f, "code", 0, 0);
	f->py.coro_type = fake_type(f, "coroutine", 0, 0);
	f->py.gen_type = fake_type(f, "generator", 0, 0);
	f->py.module_type = fake_type(f, "module", 0, 0);
	f->py.weakref_type = fake_type(f, "weakref", 0, 0);
	f->py.cell_type = fake_type(f, "cell", 0, 0);
	assert_null(reader_init(&f->r, &f->py, f->arena));
}

static inline void fake_free(struct fake *f)
{
	reader_free(&f->r);
	arena_free(f->arena);
	image_free(&f->img);
}

static inline uint64_t fake_object(struct fake *f, uint64_t type, size_t size)
{
	uint64_t o = fake_alloc(f, size);
	put(f, o + (uint64_t)f->py.layout.object_type, type, 8);
	return o;
}

/* kind: 1, 2 or 4 bytes a character; ascii only with 1. */
static inline uint64_t fake_text(struct fake *f, const void *data, size_t len, unsigned kind, bool ascii)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t o = fake_object(f, f->py.unicode_type, 128 + len * kind);
	uint64_t state = (uint64_t)kind << l->unicode_kind_shift |
			 1ull << (l->unicode_kind_shift + 3) |
			 (uint64_t)ascii << (l->unicode_kind_shift + 4);
	put(f, o + (uint64_t)l->unicode_length, len, 8);
	put(f, o + (uint64_t)l->unicode_state, state, 4);
	uint64_t at = o + (uint64_t)(ascii ? l->unicode_ascii_data : l->unicode_compact_data);
	if (len)
		assert_true(image_put(&f->img, at, data, len * kind));
	return o;
}

static inline uint64_t fake_str(struct fake *f, const char *s)
{
	return fake_text(f, s, strlen(s), 1, true);
}

static inline uint64_t fake_int(struct fake *f, int64_t v)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t o = fake_object(f, f->py.long_type, 64), n = (uint64_t)(v < 0 ? -v : v);
	int64_t digits = 0;
	for (; n; n >>= 30, digits++)
		put(f, o + (uint64_t)l->long_digits + 4 * (uint64_t)digits, n & 0x3FFFFFFF, 4);
	if (l->long_tag >= 0)
		put(f, o + (uint64_t)l->long_tag, (uint64_t)digits << 3 | (v < 0 ? 2 : v == 0), 8);
	else
		put(f, o + (uint64_t)l->var_size, (uint64_t)(v < 0 ? -digits : digits), 8);
	return o;
}

static inline uint64_t fake_bytes(struct fake *f, const void *p, size_t n)
{
	uint64_t o = fake_object(f, f->py.bytes_type, 64 + n);
	put(f, o + (uint64_t)f->py.layout.var_size, n, 8);
	if (n)
		assert_true(image_put(&f->img, o + (uint64_t)f->py.layout.bytes_data, p, n));
	return o;
}

static inline uint64_t fake_tuple(struct fake *f, const uint64_t *items, size_t n)
{
	uint64_t o = fake_object(f, f->py.tuple_type, 64 + 8 * n);
	put(f, o + (uint64_t)f->py.layout.var_size, n, 8);
	for (size_t i = 0; i < n; i++)
		put(f, o + (uint64_t)f->py.layout.tuple_items + 8 * i, items[i], 8);
	return o;
}

/* A set of up to 5 keys in a table of 8, with one removed entry before the last. */
static inline uint64_t fake_set(struct fake *f, const uint64_t *keys, size_t n)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t o = fake_object(f, f->py.set_type, 256), table = fake_alloc(f, 8 * 16);
	uint64_t dummy = fake_object(f, f->py.long_type, 64);
	assert_true(n <= 5);
	for (size_t i = 0; i < n; i++) {
		size_t place = i + 1 == n ? i + 2 : i;
		put(f, table + 16 * place, keys[i], 8);
		put(f, table + 16 * place + 8, 1000 + i, 8);
	}
	put(f, table + 16 * 7, dummy, 8);
	put(f, table + 16 * 7 + 8, UINT64_MAX, 8);
	put(f, o + (uint64_t)l->set_used, n, 8);
	put(f, o + (uint64_t)l->set_mask, 7, 8);
	put(f, o + (uint64_t)l->set_table, table, 8);
	return o;
}

/* A keys object of 8 places; entry size 24 (general) or 16 (str keys, 3.11+). */
static inline uint64_t fake_keys(struct fake *f, const uint64_t *keys, const uint64_t *values, size_t n,
				 bool general)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t k = fake_alloc(f, 512);
	size_t stride = general || l->dictkeys_size >= 0 ? 24 : 16;
	if (l->dictkeys_size >= 0) {
		put(f, k + (uint64_t)l->dictkeys_size, 8, 8);
	} else {
		put(f, k + (uint64_t)l->dictkeys_log2_size, 3, 1);
		put(f, k + (uint64_t)l->dictkeys_log2_index_bytes, 3, 1);
		put(f, k + (uint64_t)l->dictkeys_kind, general ? 0 : 1, 1);
	}
	put(f, k + (uint64_t)l->dictkeys_nentries, n, 8);
	uint64_t entries = k + (uint64_t)l->dictkeys_indices + 8;
	for (size_t i = 0; i < n; i++) {
		put(f, entries + stride * i + stride - 16, keys[i], 8);
		put(f, entries + stride * i + stride - 8, values ? values[i] : 0, 8);
	}
	return k;
}

static inline uint64_t fake_dict(struct fake *f, const uint64_t *keys, const uint64_t *values, size_t n,
				 bool general)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t o = fake_object(f, f->py.dict_type, 128);
	put(f, o + (uint64_t)l->dict_used, n, 8);
	put(f, o + (uint64_t)l->dict_keys, fake_keys(f, keys, values, n, general), 8);
	return o;
}

/* Code whose every instruction is of line `line`; its second instruction is the one
 * that a suspended await is followed by. */
static inline uint64_t fake_code(struct fake *f, const char *name, const char *file, int line)
{
	const struct py_layout *l = &f->py.layout;
	static const uint8_t t310[] = { 200, 0 }, t311[] = { 0x80 | 13 << 3 | 7, 0 };
	uint8_t yield_from[] = { 1, 0, 72, 0 }, resume[] = { 1, 0, 151, 3 };
	uint64_t c = fake_object(f, f->py.code_type, 512);
	put(f, c + (uint64_t)l->code_name, fake_str(f, name), 8);
	put(f, c + (uint64_t)l->code_filename, fake_str(f, file), 8);
	put(f, c + (uint64_t)l->code_firstlineno, (uint64_t)line, 4);
	if (l->code_qualname >= 0)
		put(f, c + (uint64_t)l->code_qualname, fake_str(f, name), 8);
	uint64_t table = l->version.minor <= 9 ? fake_bytes(f, "", 0)
		       : l->version.minor == 10 ? fake_bytes(f, t310, sizeof t310)
						: fake_bytes(f, t311, sizeof t311);
	put(f, c + (uint64_t)l->code_linetable, table, 8);
	if (l->version.minor <= 10)
		put(f, c + (uint64_t)l->code_code, fake_bytes(f, yield_from, sizeof yield_from), 8);
	else
		assert_true(image_put(&f->img, c + (uint64_t)l->code_adaptive, resume, sizeof resume));
	return c;
}

/* A coroutine suspended in an await of `awaited`. */
static inline uint64_t fake_coro(struct fake *f, uint64_t code, const char *qualname, uint64_t awaited)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t g = fake_object(f, f->py.coro_type, 512);
	put(f, g + (uint64_t)l->gen_qualname, fake_str(f, qualname), 8);
	if (l->gen_iframe < 0) {
		uint64_t fr = fake_object(f, f->py.type_type, 1024);
		uint64_t stack = fr + (uint64_t)l->frame_localsplus;
		put(f, g + (uint64_t)l->gen_frame, fr, 8);
		put(f, fr + (uint64_t)l->frame_code, code, 8);
		put(f, fr + (uint64_t)l->frame_lasti, 0, 4);
		put(f, stack, awaited, 8);
		put(f, fr + (uint64_t)l->frame_valuestack, stack, 8);
		if (l->frame_stacktop >= 0)
			put(f, fr + (uint64_t)l->frame_stacktop, stack + 8, 8);
		if (l->frame_stackdepth >= 0)
			put(f, fr + (uint64_t)l->frame_stackdepth, 1, 4);
		if (l->frame_state >= 0)
			put(f, fr + (uint64_t)l->frame_state, 0xFF, 1); /* FRAME_SUSPENDED */
		return g;
	}
	uint64_t fr = g + (uint64_t)l->gen_iframe, stack = fr + (uint64_t)l->iframe_localsplus;
	int32_t state = l->version.minor >= 13 ? l->genstate_suspended_yf : l->genstate_suspended;
	put(f, g + (uint64_t)l->gen_state, (uint64_t)(uint8_t)state, 1);
	put(f, fr + (uint64_t)l->iframe_executable, code, 8);
	put(f, fr + (uint64_t)l->iframe_instr, code + (uint64_t)l->code_adaptive, 8);
	if (l->iframe_owner >= 0)
		put(f, fr + (uint64_t)l->iframe_owner, (uint64_t)l->owner_generator, 1);
	int depth = l->yf_depth > 0 ? l->yf_depth : 1;
	put(f, stack, awaited, 8);
	if (l->iframe_stackpointer >= 0)
		put(f, fr + (uint64_t)l->iframe_stackpointer, stack + 8 * (uint64_t)depth, 8);
	else
		put(f, fr + (uint64_t)l->iframe_stacktop, (uint64_t)depth, 4);
	return g;
}

#endif

/* Object readers, over every version's layout: right values, and nothing but a lost
 * field where bytes are missing or cannot be. */
#include "tests/unit/fake.h"

static const uint8_t minors[] = { 8, 9, 10, 11, 12, 13, 14, 15 };
#define FOR_EACH_VERSION(f) \
	for (size_t v_ = 0; v_ < sizeof minors && (fake_init(&f, minors[v_]), 1); v_++, fake_free(&f))

static void test_text(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		static const uint8_t latin[] = { 'n', 0xE4, 'h' };
		static const uint16_t bmp[] = { 0x4EFB, 0xD800, 0x52A1 };
		static const uint32_t astral[] = { 0x1F40D, 0, 'x' };
		assert_string_equal(str_at(&f.r, fake_str(&f, "Task-1")), "Task-1");
		assert_string_equal(str_at(&f.r, fake_str(&f, "")), "");
		assert_string_equal(str_at(&f.r, fake_text(&f, latin, 3, 1, false)), "n\xC3\xA4h");
		assert_string_equal(str_at(&f.r, fake_text(&f, bmp, 3, 2, false)),
				    "\xE4\xBB\xBB\xED\xA0\x80\xE5\x8A\xA1");
		assert_string_equal(str_at(&f.r, fake_text(&f, astral, 3, 4, false)),
				    "\xF0\x9F\x90\x8D\xC0\x80x");
		assert_true(str_is(&f.r, fake_str(&f, "name"), "name"));
		assert_false(str_is(&f.r, fake_str(&f, "names"), "name"));
		assert_null(str_at(&f.r, fake_int(&f, 3)));
		/* A long one is decoded once, whoever asks. */
		char lengthy[1001];
		memset(lengthy, 'n', sizeof lengthy - 1);
		lengthy[1000] = '\0';
		uint64_t many = fake_str(&f, lengthy), few = fake_str(&f, "few");
		assert_string_equal(str_once(&f.r, many), lengthy);
		assert_ptr_equal(str_once(&f.r, many), str_once(&f.r, many));
		assert_ptr_equal(str_once(&f.r, many), str_at(&f.r, many));
		assert_ptr_not_equal(str_once(&f.r, few), str_once(&f.r, few));
		assert_null(str_at(&f.r, 0));
		assert_null(str_at(&f.r, 12345));
	}
}

static void test_text_hostile(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		uint64_t s = fake_str(&f, "short");
		put(&f, s + (uint64_t)f.py.layout.unicode_length, UINT64_MAX, 8);
		assert_null(str_at(&f.r, s));
		/* Longer than memory goes: unknown, not a crash. */
		put(&f, s + (uint64_t)f.py.layout.unicode_length, 1ull << 40, 8);
		assert_null(str_at(&f.r, FAKE_BASE + FAKE_SIZE - 8));
		uint64_t bad = fake_str(&f, "kind");
		put(&f, bad + (uint64_t)f.py.layout.unicode_state, 0xFFFFFFFF, 4);
		assert_null(str_at(&f.r, bad));
	}
}

static void test_sequences(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		uint64_t items[2] = { fake_int(&f, 1), fake_int(&f, 2) }, t = fake_tuple(&f, items, 2);
		assert_int_equal(seq_len(&f.r, t), 2);
		assert_true(seq_item(&f.r, t, 1) == items[1]);
		assert_true(seq_item(&f.r, t, 2) == 0);
		/* A length that leads out of memory: not millions of items that are not there. */
		put(&f, t + (uint64_t)f.py.layout.var_size, 1 << 25, 8);
		assert_int_equal(seq_len(&f.r, t), -1);
		uint64_t list = fake_object(&f, f.py.list_type, 64);
		put(&f, list + (uint64_t)f.py.layout.var_size, 1, 8);
		assert_int_equal(seq_len(&f.r, list), -1);
	}
}

/* Zeros where a frame should be, as gcore leaves them where it could not read. */
static void test_frame_of_zeros(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		struct pyframe frame;
		assert_false(frame_read(&f.r, fake_alloc(&f, 256), &frame));
	}
}

static void test_ints(void **state)
{
	(void)state;
	static const int64_t values[] = { 0, 1, -1, 255, 1 << 30, -(1ll << 31), 1ll << 62, -(1ll << 62) };
	struct fake f;
	FOR_EACH_VERSION(f) {
		int64_t got;
		for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
			assert_true(int_at(&f.r, fake_int(&f, values[i]), &got));
			assert_true(got == values[i]);
		}
		assert_false(int_at(&f.r, fake_str(&f, "1"), &got));
	}
}

static void test_sets(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		uint64_t keys[3] = { fake_int(&f, 1), fake_int(&f, 2), fake_int(&f, 3) }, key;
		uint64_t set = fake_set(&f, keys, 3);
		struct set_iter it;
		size_t n = 0;
		assert_true(set_begin(&f.r, set, &it));
		while (set_next(&f.r, &it, &key))
			assert_true(key == keys[n++]);
		assert_int_equal(n, 3);
		assert_false(it.broken);
		/* In the middle of an insertion: the entry is there, the count is not yet. */
		put(&f, set + (uint64_t)f.py.layout.set_used, 2, 8);
		assert_true(set_begin(&f.r, set, &it));
		while (set_next(&f.r, &it, &key))
			;
		assert_true(it.broken);
		/* In the middle of a resize: the mask fits no table. */
		put(&f, set + (uint64_t)f.py.layout.set_mask, 6, 8);
		assert_false(set_begin(&f.r, set, &it));
		assert_true(it.broken);
	}
}

static void test_dicts(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		for (int general = 0; general < 2; general++) {
			uint64_t keys[3] = { fake_str(&f, "a"), fake_str(&f, "b"), fake_str(&f, "c") };
			uint64_t values[3] = { fake_int(&f, 1), 0, fake_int(&f, 3) };
			uint64_t d = fake_dict(&f, keys, values, 3, general);
			assert_true(dict_get(&f.r, d, "a") == values[0]);
			assert_true(dict_get(&f.r, d, "b") == 0);
			assert_true(dict_get(&f.r, d, "c") == values[2]);
			struct dict_iter it;
			uint64_t k, v;
			assert_true(dict_begin(&f.r, d, &it));
			while (dict_next(&f.r, &it, &k, &v))
				;
			assert_true(it.broken); /* says three, has two */
			put(&f, d + (uint64_t)f.py.layout.dict_used, 2, 8);
			assert_true(dict_begin(&f.r, d, &it));
			while (dict_next(&f.r, &it, &k, &v))
				;
			assert_false(it.broken);
		}
		uint64_t d = fake_object(&f, f.py.dict_type, 128);
		assert_true(dict_get(&f.r, d, "a") == 0); /* no keys at all */
		uint64_t junk = fake_alloc(&f, 64);
		put(&f, d + (uint64_t)f.py.layout.dict_keys, junk, 8);
		put(&f, junk + (uint64_t)f.py.layout.dictkeys_nentries, 1ull << 60, 8);
		assert_true(dict_get(&f.r, d, "a") == 0);
	}
}

static void test_split_attributes(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		const struct py_layout *l = &f.py.layout;
		uint64_t keys[2] = { fake_str(&f, "x"), fake_str(&f, "y") };
		uint64_t nine = fake_int(&f, 9), shared = fake_keys(&f, keys, NULL, 2, false);
		bool managed = l->version.minor >= 11;
		/* heap type; 3.11+: managed dict, 3.13+: inline values */
		uint64_t type = fake_type(&f, "Thing", 0,
					  1ull << 9 | (managed ? 1ull << 4 : 0) |
					  (l->version.minor >= 13 ? 1ull << 2 : 0));
		put(&f, type + (uint64_t)l->type_basicsize, 16, 8);
		put(&f, type + (uint64_t)l->heaptype_cached_keys, shared, 8);
		uint64_t o = fake_object(&f, type, 128), values = fake_alloc(&f, 64);
		if (l->version.minor <= 10) {
			uint64_t d = fake_object(&f, f.py.dict_type, 128);
			put(&f, d + (uint64_t)l->dict_used, 1, 8);
			put(&f, d + (uint64_t)l->dict_keys, shared, 8);
			put(&f, d + (uint64_t)l->dict_values, values, 8);
			put(&f, values + 8, nine, 8);
			put(&f, type + (uint64_t)l->type_dictoffset, 16, 8);
			put(&f, o + 16, d, 8);
		} else if (l->version.minor == 11) {
			put(&f, o - 32, values, 8);
			put(&f, values + 8, nine, 8);
		} else if (l->version.minor == 12) {
			put(&f, o - 24, values - 1, 8);
			put(&f, values + 8, nine, 8);
		} else {
			put(&f, o + 16 + (uint64_t)l->dictvalues_valid, 1, 1);
			put(&f, o + 16 + (uint64_t)l->dictvalues_items + 8, nine, 8);
		}
		assert_true(attr_get(&f.r, o, "y") == nine);
		assert_true(attr_get(&f.r, o, "x") == 0);
		assert_true(attr_get(&f.r, o, "z") == 0);
	}
}

/* A base of itself, or a chain of bases that does not end: no kind, no hang. */
static void test_type_circle(void **state)
{
	(void)state;
	struct fake f;
	FOR_EACH_VERSION(f) {
		uint64_t a = fake_type(&f, "A", 0, 1 << 9), b = fake_type(&f, "B", a, 1 << 9);
		put(&f, a + (uint64_t)f.py.layout.type_base, b, 8);
		assert_int_equal(object_kind(&f.r, fake_object(&f, a, 64)), KIND_OTHER);
		assert_int_equal(object_kind(&f.r, 7), KIND_OTHER);
		uint64_t task = fake_type(&f, "_asyncio.Task", 0, 1 << 9);
		uint64_t sub = fake_type(&f, "MyTask", task, 1 << 9);
		assert_int_equal(object_kind(&f.r, fake_object(&f, sub, 64)), KIND_TASK);
		uint64_t liar = fake_type(&f, "coroutine", 0, 1 << 9);
		assert_int_equal(object_kind(&f.r, fake_object(&f, liar, 64)), KIND_OTHER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_hostile),
		cmocka_unit_test(test_ints),
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_frame_of_zeros),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_dicts),
		cmocka_unit_test(test_split_attributes),
		cmocka_unit_test(test_type_circle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

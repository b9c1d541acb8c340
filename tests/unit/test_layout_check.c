/* Debug offsets over memory made here, and the check that a layout has to pass: a
 * small CPython in memory passes, and each thing in it that is wrong is noticed. */
#include "tests/unit/fake.h"

#include "symbols/check.h"
#include "symbols/debug_offsets.h"

#define BASE FAKE_BASE

struct world {
	struct fake f;
	struct thread thread;
	uint64_t interp, tstate, modules, sys, task_type;
};

static void set(struct world *w, uint64_t obj, int32_t offset, uint64_t v)
{
	assert_true(offset >= 0);
	put(&w->f, obj + (uint64_t)offset, v, 8);
}

static uint64_t new_dict(struct world *w, size_t n, const char **names, const uint64_t *values)
{
	uint64_t keys[4] = { 0 };
	for (size_t i = 0; i < n; i++)
		keys[i] = fake_str(&w->f, names[i]);
	return fake_dict(&w->f, keys, values, n, n == 1);
}

static uint64_t new_module(struct world *w, uint64_t dict)
{
	uint64_t m = fake_object(&w->f, w->f.py.module_type, 256);
	set(w, m, w->f.py.layout.module_dict, dict);
	return m;
}

static void make_states(struct world *w)
{
	const struct py_layout *l = &w->f.py.layout;
	w->f.py.runtime = fake_alloc(&w->f, 32768);
	w->interp = fake_alloc(&w->f, 32768);
	w->tstate = fake_alloc(&w->f, 2048);
	set(w, w->f.py.runtime, l->runtime_interpreters_head, w->interp);
	set(w, w->interp, l->interp_threads_head, w->tstate);
	set(w, w->tstate, l->tstate_interp, w->interp);
	set(w, w->tstate, l->tstate_thread_id, 0x7000);
	if (l->tstate_native_thread_id >= 0)
		set(w, w->tstate, l->tstate_native_thread_id, 7);
}

static void make(struct world *w, uint8_t minor)
{
	memset(w, 0, sizeof *w);
	fake_init(&w->f, minor);
	struct python *py = &w->f.py;
	const struct py_layout *l = &py->layout;
	w->thread = (struct thread){ .tid = 41, .ns_tid = 7, .fs_base = 0x7000 };
	w->f.target.kind = TARGET_CORE;
	w->f.target.threads = &w->thread;
	w->f.target.nthreads = 1;
	set(w, py->type_type, l->type_basicsize, (uint64_t)l->heaptype_size);
	set(w, py->unicode_type, l->type_basicsize, (uint64_t)l->unicode_size);
	set(w, py->dict_type, l->type_basicsize, (uint64_t)l->dict_size);
	set(w, py->set_type, l->type_basicsize, (uint64_t)l->set_size);
	set(w, py->module_type, l->type_basicsize, (uint64_t)l->module_size);
	set(w, py->code_type, l->type_basicsize, (uint64_t)l->code_adaptive);
	set(w, py->coro_type, l->type_basicsize, (uint64_t)(l->gen_iframe + l->iframe_localsplus));
	w->task_type = fake_type(&w->f, "_asyncio.Task", 0, 0);
	set(w, w->task_type, l->type_basicsize, (uint64_t)l->task_size);
	make_states(w);
	const char *sys_keys[] = { "version", "hexversion", "gettotalrefcount" };
	uint64_t sys_values[] = { 0, fake_int(&w->f, 0x43080af0), w->interp };
	w->sys = new_module(w, new_dict(w, 3, sys_keys, sys_values));
	const char *task_key[] = { "Task" };
	uint64_t asyncio = new_module(w, new_dict(w, 1, task_key, &w->task_type));
	const char *keys[] = { "builtins", "sys", "_asyncio" };
	uint64_t values[] = { new_module(w, 0), w->sys, asyncio };
	w->modules = new_dict(w, 3, keys, values);
	set(w, w->interp, l->interp_modules, w->modules);
}

static void refuses(struct world *w, enum err_code code)
{
	err_t e = layout_check(&w->f.py, &w->f.py.layout, NULL);
	if (!e)
		fail_msg("3.%d: what is wrong was believed", w->f.py.layout.version.minor);
	assert_int_equal(err_code(e), code);
	err_free(e);
	fake_free(&w->f);
}

static void a_sound_target_passes(void **state)
{
	(void)state;
	for (uint8_t minor = 8; minor <= 15; minor++) {
		struct world w;
		struct check_facts facts = { 0 };
		make(&w, minor);
		err_t e = layout_check(&w.f.py, &w.f.py.layout, &facts);
		if (e)
			fail_msg("3.%d: %s", minor, e->msg);
		assert_true(facts.have_hexversion);
		assert_int_equal(facts.hexversion, 0x43080af0);
		assert_true(facts.debug_build);
		fake_free(&w.f);
	}
}

static void what_is_wrong_is_noticed(void **state)
{
	(void)state;
	for (uint8_t minor = 8; minor <= 15; minor++) {
		struct world w;
		const struct py_layout *l = &w.f.py.layout;
		make(&w, minor);
		set(&w, w.tstate, l->tstate_interp, w.tstate); /* another back pointer */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.tstate, l->tstate_next, w.tstate); /* a ring of thread states */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.interp, l->interp_next, w.interp); /* a ring of interpreters */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.interp, l->interp_threads_head, BASE - 64); /* unknown memory */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.f.py.runtime, l->runtime_interpreters_head, 0); /* not begun yet */
		refuses(&w, E_TORN);
		make(&w, minor);
		set(&w, w.interp, l->interp_modules, 0); /* ending */
		refuses(&w, E_TORN);
		make(&w, minor);
		set(&w, w.interp, l->interp_modules, w.sys); /* no dict */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.f.py.code_type, l->type_name, w.interp); /* "" */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.f.py.long_type, l->object_type, w.f.py.code_type); /* no type */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		set(&w, w.f.py.module_type, l->type_basicsize, 40); /* other objects */
		refuses(&w, E_BADDATA);
		make(&w, minor);
		w.thread = (struct thread){ .tid = 42, .ns_tid = 8, .fs_base = 0x8000 };
		refuses(&w, E_BADDATA); /* threads of somebody else */
		if (minor < 14) {
			make(&w, minor);
			set(&w, w.task_type, l->type_basicsize, (uint64_t)l->task_size + 8);
			refuses(&w, E_BADDATA); /* a patched task */
		}
	}
}

static void a_hostile_dict_ends(void **state)
{
	(void)state;
	for (uint8_t minor = 8; minor <= 15; minor++) {
		struct world w;
		uint64_t keys = 0;
		make(&w, minor);
		assert_true(image_u64(&w.f.img, w.modules + (uint64_t)w.f.py.layout.dict_keys, &keys));
		set(&w, keys, w.f.py.layout.dictkeys_nentries, UINT64_MAX);
		refuses(&w, E_BADDATA);
		make(&w, minor);
		assert_true(image_u64(&w.f.img, w.modules + (uint64_t)w.f.py.layout.dict_keys, &keys));
		if (w.f.py.layout.dictkeys_size >= 0)
			set(&w, keys, w.f.py.layout.dictkeys_size, UINT64_MAX);
		else
			put(&w.f, keys + (uint64_t)w.f.py.layout.dictkeys_log2_index_bytes, 63, 1);
		refuses(&w, E_BADDATA);
	}
}

/* --- debug offsets --------------------------------------------------------- */

#define RUNTIME BASE

static void offsets_begin(struct image *img, uint64_t version)
{
	struct image_span span = { BASE, BASE + 8192 };
	static const uint8_t zeros[8192];
	assert_null(image_init(img, &span, 1));
	assert_true(image_put(img, BASE, zeros, sizeof zeros));
	assert_true(image_put(img, BASE, "xdebugpy", 8));
	assert_true(image_put(img, BASE + 8, &version, 8));
}

static void offsets_say_the_version(void **state)
{
	(void)state;
	struct image img;
	struct py_version v;
	bool ft;
	uint64_t one = 1;
	offsets_begin(&img, 0x030e0af0);
	assert_true(debug_offsets_version(&img, RUNTIME, &v, &ft));
	assert_int_equal(v.minor, 14);
	assert_int_equal(v.micro, 10);
	assert_int_equal(v.level, 0xf);
	assert_int_equal(py_version_hex(v), 0x030e0af0);
	assert_false(ft);
	assert_true(image_put(&img, BASE + 16, &one, 8));
	assert_true(debug_offsets_version(&img, RUNTIME, &v, &ft));
	assert_true(ft);
	assert_true(image_put(&img, BASE, "xdebugpx", 8));
	assert_false(debug_offsets_version(&img, RUNTIME, &v, &ft));
	assert_false(debug_offsets_version(&img, BASE + 8192 - 8, &v, &ft));
	assert_false(debug_offsets_version(&img, 0, &v, &ft));
	image_free(&img);
}

static void offsets_that_are_none_change_nothing(void **state)
{
	(void)state;
	for (uint8_t minor = 13; minor <= 15; minor++) {
		struct image img;
		struct py_layout l, before;
		bool exact;
		uint64_t huge = 1ull << 40;
		layout_from_table(&l, layout_table_for((struct py_version){ .major = 3, .minor = minor },
						       false, false, &exact));
		memcpy(&before, &l, sizeof l);
		offsets_begin(&img, 0);
		assert_true(image_put(&img, BASE + 56, &huge, 8)); /* interpreter_state.id */
		assert_false(debug_offsets_apply(&img, RUNTIME, &l));
		assert_memory_equal(&before, &l, sizeof l);
		assert_false(debug_offsets_apply(&img, BASE + 8192 - 64, &l)); /* cut off */
		l.version.minor = 12; /* had none */
		assert_false(debug_offsets_apply(&img, RUNTIME, &l));
		assert_false(asyncio_debug_apply(&img, BASE, 96, &l)); /* too short */
		assert_false(asyncio_debug_apply(&img, BASE, 104, &l)); /* zeros and a cookie */
		l.version.minor = minor;
		assert_memory_equal(&before, &l, sizeof l);
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_target_passes),
		cmocka_unit_test(what_is_wrong_is_noticed),
		cmocka_unit_test(a_hostile_dict_ends),
		cmocka_unit_test(offsets_say_the_version),
		cmocka_unit_test(offsets_that_are_none_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The offset tables: complete, without dead lines, and the same as what DWARF says of
 * every interpreter with DWARF that is on this machine. Those are looked for where
 * tests/interpreters puts them, below pyenv and in ASYNCMON_TEST_PYTHONS; one that is
 * missing is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/debug_offsets.h"
#include "symbols/dwarf.h"
#include "symbols/elf.h"
#include "symbols/tables.h"

#define HERE 0x10000000ull

static void tables_are_complete(void **state)
{
	(void)state;
	for (uint8_t minor = 8; minor <= 15; minor++)
		for (int ft = 0; ft <= (minor >= 13); ft++) {
			struct py_layout l;
			bool exact;
			struct py_version v = { .major = 3, .minor = minor, .micro = 1 };
			const struct layout_table *t = layout_table_for(v, ft, false, &exact);
			assert_non_null(t);
			assert_int_equal(t->minor, minor);
			assert_int_equal(t->free_threaded, ft);
			layout_from_table(&l, t);
			static const enum layout_field always[] = {
				LF_runtime_interpreters_head, LF_interp_next, LF_interp_threads_head,
				LF_interp_modules, LF_tstate_next, LF_tstate_interp, LF_tstate_thread_id,
				LF_object_type, LF_var_size, LF_type_name, LF_type_flags, LF_unicode_length,
				LF_tuple_items, LF_set_table, LF_dict_keys, LF_dictkeys_indices,
				LF_dictvalues_items, LF_module_dict, LF_code_name, LF_code_linetable,
				LF_future_state, LF_task_coro, LF_task_fut_waiter, LF_task_name,
				LF_task_must_cancel, LF_task_must_cancel_mask, LF_task_size,
				LF_unicode_kind_shift, LF_stackref_mask, LF_yf_depth, LF_owner_generator,
			};
			for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
				bool before_owners = always[i] == LF_owner_generator && minor < 11;
				if (l.fields[always[i]] < 0 && !before_owners)
					fail_msg("3.%d has no %s", minor, layout_field_name(always[i]));
			}
		}
}

static void unknown_versions_have_none(void **state)
{
	(void)state;
	bool exact;
	struct py_version old = { .major = 3, .minor = 7 }, new = { .major = 3, .minor = 16 };
	struct py_version two = { .major = 2, .minor = 8 };
	assert_null(layout_table_for(old, false, false, &exact));
	assert_null(layout_table_for(new, false, false, &exact));
	assert_null(layout_table_for(two, false, false, &exact));
	struct py_version ft = { .major = 3, .minor = 12 };
	assert_null(layout_table_for(ft, true, false, &exact));
}

/* An item that says what its base says is left over from something. */
static void tables_have_no_dead_items(void **state)
{
	(void)state;
	for (const struct layout_table *const *p = layout_tables; *p; p++) {
		if (!(*p)->base)
			continue;
		struct py_layout base;
		layout_from_table(&base, (*p)->base);
		for (size_t i = 0; i < (*p)->nitems; i++)
			if (base.fields[(*p)->items[i].field] == (*p)->items[i].value)
				fail_msg("3.%d: %s repeats its base", (*p)->minor,
					 layout_field_name((enum layout_field)(*p)->items[i].field));
	}
}

/* --- against DWARF --------------------------------------------------------- */

struct interpreter {
	char program[4096], root[512];
	struct py_version version;
	bool free_threaded, debug_build;
};

static struct elf *open_elf(const char *path)
{
	struct elf *e = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		err_free(elf_open_file(fd, &e));
	return e;
}

/* The file's DWARF, or that of its debug file below root. */
static bool read_dwarf(const char *root, const char *path, struct py_layout *l, bool *known)
{
	struct elf *e = open_elf(path);
	if (!e)
		return false;
	bool ok = !dwarf_layout(elf_fd(e), l, known);
	size_t len;
	const uint8_t *id = ok ? NULL : elf_build_id(e, &len);
	if (id) {
		char hex[129] = "", debug[1200];
		for (size_t i = 0; i < len; i++)
			snprintf(hex + 2 * i, 3, "%02x", id[i]);
		snprintf(debug, sizeof debug, "%s/usr/lib/debug/.build-id/%.2s/%s.debug", root, hex, hex + 2);
		int fd = open(debug, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			ok = !dwarf_layout(fd, l, known);
			close(fd);
		}
	}
	elf_close(e);
	return ok;
}

/* A section's bytes at HERE in an image of their own, as the process would have them. */
static bool load_section(struct elf *e, const char *name, struct image *img, uint64_t *size)
{
	Elf64_Shdr sh;
	const void *bytes;
	if (!elf_section(e, name, &sh) || !(bytes = elf_bytes(e, sh.sh_offset, sh.sh_size)))
		return false;
	struct image_span span = { HERE, (HERE + sh.sh_size + IMAGE_PAGE) & ~(uint64_t)(IMAGE_PAGE - 1) };
	assert_null(image_init(img, &span, 1));
	assert_true(image_put(img, HERE, bytes, sh.sh_size));
	*size = sh.sh_size;
	return true;
}

static void expect_same(const struct interpreter *in, const char *what, const struct py_layout *l,
			const struct py_layout *dwarf, const bool *known)
{
	unsigned wrong = 0;
	for (size_t i = 0; i < dwarf_nfields; i++) {
		enum layout_field f = dwarf_fields[i].field;
		int32_t want = known[f] ? dwarf->fields[f] : -1;
		/* Up to 3.10 a dict's values are a bare array, which no struct describes. */
		if (f == LF_dictvalues_items && !known[f])
			want = 0;
		if (l->fields[f] != want) {
			print_message("%s: %s has %s = %d, DWARF %d\n", in->program, what,
				      layout_field_name(f), l->fields[f], want);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* _asyncio is in the program itself or in a file of its own, one that fits; "" then. */
static void find_asyncio(const struct interpreter *in, char *path, size_t size)
{
	char pattern[1600];
	glob_t g;
	const char *lib = strrchr(in->program, '/');
	const char *suffix = in->free_threaded ? "t" : in->debug_build ? "d" : "";
	snprintf(pattern, sizeof pattern, "%.*s/../lib/python3.%d%s/lib-dynload/_asyncio.cpython-3%d%s-*.so",
		 (int)(lib - in->program), in->program, in->version.minor, in->free_threaded ? "t" : "",
		 in->version.minor, suffix);
	snprintf(path, size, "%s", glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathv[0] : "");
	globfree(&g);
}

/* The table with what the program's own debug offsets, at HERE, say over it. */
static void compare_offsets(const struct interpreter *in, struct image *img, struct py_layout *l,
			    const struct py_layout *dwarf, const bool *known)
{
	assert_true(debug_offsets_apply(img, HERE, l));
	assert_int_equal(l->source, LAYOUT_DEBUG_OFFSETS);
	expect_same(in, "the debug offsets", l, dwarf, known);
}

static void compare_asyncio_debug(const struct interpreter *in, const char *path, struct py_layout *l,
				  const struct py_layout *dwarf, const bool *known)
{
	struct image img;
	uint64_t size;
	struct elf *e = open_elf(path);
	if (e && load_section(e, ".AsyncioDebug", &img, &size)) {
		assert_true(asyncio_debug_apply(&img, HERE, size, l));
		expect_same(in, ".AsyncioDebug", l, dwarf, known);
		image_free(&img);
	}
	elf_close(e);
}

static bool compare(struct interpreter *in)
{
	struct py_layout dwarf = { .version = in->version }, l;
	bool known[LAYOUT_NFIELDS] = { false }, exact;
	char asyncio[1600];
	struct image img;
	uint64_t size;
	struct elf *e = open_elf(in->program);
	assert_non_null(e);
	bool section = load_section(e, ".PyRuntime", &img, &size);
	bool offsets = section && debug_offsets_version(&img, HERE, &in->version, &in->free_threaded);
	bool has = read_dwarf(in->root, in->program, &dwarf, known);
	if (has) {
		find_asyncio(in, asyncio, sizeof asyncio);
		if (*asyncio)
			read_dwarf(in->root, asyncio, &dwarf, known);
		assert_true(known[LF_task_coro]);
		const struct layout_table *t = layout_table_for(in->version, in->free_threaded,
								in->debug_build, &exact);
		assert_non_null(t);
		assert_true(exact);
		layout_from_table(&l, t);
		expect_same(in, "the table", &l, &dwarf, known);
		if (offsets)
			compare_offsets(in, &img, &l, &dwarf, known);
		compare_asyncio_debug(in, *asyncio ? asyncio : in->program, &l, &dwarf, known);
	}
	print_message("%s: %s, CPython 3.%d.%d\n", has ? "compared" : "skipped, no DWARF", in->program,
		      in->version.minor, in->version.micro);
	elf_close(e);
	if (section)
		image_free(&img);
	return has;
}

static unsigned compare_all(const char *pattern, const char *root, bool pyenv)
{
	glob_t g;
	unsigned n = 0;
	if (glob(pattern, 0, NULL, &g) != 0) {
		print_message("skipped: there is no %s\n", pattern);
		return 0;
	}
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct interpreter in = { .debug_build = g.gl_pathv[i][strlen(g.gl_pathv[i]) - 1] == 'd' };
		unsigned minor, micro;
		const char *versions = strstr(g.gl_pathv[i], "/versions/3.");
		snprintf(in.program, sizeof in.program, "%s", g.gl_pathv[i]);
		snprintf(in.root, sizeof in.root, "%s", root);
		if (pyenv) {
			if (!versions || sscanf(versions, "/versions/3.%u.%u", &minor, &micro) != 2 || minor < 8 ||
			    minor > 15)
				continue;
			in.version = (struct py_version){ .major = 3, .minor = (uint8_t)minor, .micro = (uint8_t)micro };
		}
		n += compare(&in);
	}
	globfree(&g);
	return n;
}

/* NAME=PATH,...: the programs themselves, where links lead to them. */
static unsigned compare_given(const char *list)
{
	unsigned n = 0;
	char *copy = strdup(list), *rest = copy, *item;
	assert_non_null(copy);
	while ((item = strsep(&rest, ","))) {
		const char *path = strchr(item, '=');
		struct interpreter in = { 0 };
		Elf64_Sym sym;
		if (!path || !realpath(path + 1, in.program))
			continue;
		struct elf *e = open_elf(in.program);
		const char *name = strstr(strrchr(in.program, '/'), "python3.");
		unsigned minor;
		if (e && name && sscanf(name, "python3.%u", &minor) == 1) {
			in.debug_build = elf_symbol(e, "_Py_NegativeRefcount", &sym);
			in.version = (struct py_version){ .major = 3, .minor = (uint8_t)minor };
			n += compare(&in);
		}
		elf_close(e);
	}
	free(copy);
	return n;
}

static void tables_agree_with_dwarf(void **state)
{
	(void)state;
	char cache[512], pattern[1024], root[640];
	const char *home = getenv("HOME"), *c = getenv("ASYNCMON_TEST_CACHE"), *x = getenv("XDG_CACHE_HOME");
	const char *pyenv = getenv("PYENV_ROOT");
	unsigned n = 0;
	if (!home)
		home = "";
	if (c && *c)
		snprintf(cache, sizeof cache, "%s", c);
	else if (x && *x)
		snprintf(cache, sizeof cache, "%s/asyncmon-tests", x);
	else
		snprintf(cache, sizeof cache, "%s/.cache/asyncmon-tests", home);
	snprintf(root, sizeof root, "%s%s", pyenv && *pyenv ? pyenv : home, pyenv && *pyenv ? "" : "/.pyenv");
	snprintf(pattern, sizeof pattern, "%s/versions/3.*/lib/libpython3.*.so.1.0", root);
	n += compare_all(pattern, "", true);
	snprintf(root, sizeof root, "%s/debian-unstable", cache);
	snprintf(pattern, sizeof pattern, "%s/usr/bin/python3.1[3-9]", root);
	n += compare_all(pattern, root, false);
	snprintf(pattern, sizeof pattern, "%s/usr/bin/python3.1[3-9]d", root);
	n += compare_all(pattern, root, false);
	snprintf(pattern, sizeof pattern, "%s/cpython-3.1[3-9]t/bin/python3.1[3-9]t", cache);
	n += compare_all(pattern, "", false);
	const char *given = getenv("ASYNCMON_TEST_PYTHONS");
	if (given)
		n += compare_given(given);
	if (!n)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_complete),
		cmocka_unit_test(unknown_versions_have_none),
		cmocka_unit_test(tables_have_no_dead_items),
		cmocka_unit_test(tables_agree_with_dwarf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Cores, made here byte by byte: what they say, what they lack, where the rest comes
 * from, and what must not bring the reader down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <lz4frame.h>
#include <sys/stat.h>
#include <zstd.h>

#include "attach/core.h"
#include "attach/target.h"
#include "tests/unit/coremaker.h"

#define HEAP 0x10000000ull
#define LIB 0x7f0000000000ull

static char dir[64], core[128], lib[128], other[128];

static int dir_new(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/asyncmon-core-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(core, sizeof core, "%s/core", dir);
	snprintf(lib, sizeof lib, "%s/lib.so", dir);
	snprintf(other, sizeof other, "%s/other", dir);
	return 0;
}

static int dir_free(void **state)
{
	(void)state;
	char all[128];
	snprintf(all, sizeof all, "rm -r '%s'", dir);
	return system(all);
}

static void ok(err_t e)
{
	if (e)
		fail_msg("%s: %s", err_code_name(e->code), e->msg);
}

static void is_error(err_t e, enum err_code code, const char *part)
{
	if (!e)
		fail_msg("no error where %s was expected", err_code_name(code));
	if (e->code != code || !strstr(e->msg, part))
		fail_msg("%s: %s; expected %s", err_code_name(e->code), e->msg, part);
	err_free(e);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static struct target *open_core(const struct target_opts *o)
{
	struct target *t = NULL;
	ok(target_open(core, o, &t));
	return t;
}

static int byte_at(struct target *t, uint64_t addr)
{
	uint8_t v;
	return image_u8(t->image, addr, &v) ? v : -1;
}

static bool noted(const struct target *t, const char *part)
{
	for (size_t i = 0; i < t->nnotes; i++)
		if (strstr(t->notes[i], part))
			return true;
	return false;
}

static uint8_t heap[4 * PAGE];

/* Threads, four pages of heap of which three were dumped, and a library of which only
 * the first page was. */
static struct maker usual(const uint8_t *library)
{
	struct maker m = { 0 };
	for (size_t i = 0; i < sizeof heap; i++)
		heap[i] = (uint8_t)(i / PAGE + 1);
	uint64_t auxv[] = { AT_ENTRY, LIB + PAGE + 16, AT_SYSINFO_EHDR, 0x7fff00000000, AT_NULL, 0 };
	int32_t siginfo[32] = { 11 };
	struct made_file files[] = {
		{ LIB, LIB + PAGE, 0, lib }, { LIB + PAGE, LIB + 2 * PAGE, PAGE, lib },
		{ LIB + 2 * PAGE, LIB + 3 * PAGE, 2 * PAGE, lib },
	};
	make_thread(&m, 702, 6, LIB + PAGE, 0x111);
	make_process(&m, 700, "main-name");
	make_note(&m, "CORE", NT_SIGINFO, siginfo, sizeof siginfo);
	make_note(&m, "CORE", NT_AUXV, auxv, sizeof auxv);
	make_files(&m, files, 3);
	make_thread(&m, 700, 0, LIB + PAGE, 0x222);
	make_thread(&m, 701, 0, LIB + PAGE, 0x333);
	make_load(&m, HEAP, 4 * PAGE, 3 * PAGE, PF_R | PF_W, heap);
	make_load(&m, LIB, PAGE, PAGE, PF_R, library);
	make_load(&m, LIB + PAGE, PAGE, 0, PF_R | PF_X, NULL);
	make_load(&m, LIB + 2 * PAGE, PAGE, 0, PF_R, NULL); /* read-only after relocation */
	make_load(&m, 0x7fff00000000, PAGE, PAGE, PF_R | PF_X, NULL);
	return m;
}

static void what_a_core_says(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true);
	struct maker m = usual(library);
	make_core(&m, core);
	write_file(lib, library, LIB_PAGES * PAGE);
	struct target *t = open_core(NULL);
	assert_int_equal(t->kind, TARGET_CORE);
	assert_int_equal(t->pid, 700);
	assert_int_equal(t->signal, 11);
	assert_int_equal(t->current, 702);
	assert_string_equal(t->exe, lib);
	assert_int_equal(t->nthreads, 3);
	assert_int_equal(t->threads[0].tid, 700);
	assert_string_equal(t->threads[0].comm, "main-name");
	assert_int_equal(t->threads[0].fs_base, 0x222);
	assert_int_equal(t->threads[1].tid, 702);
	assert_int_equal(t->threads[2].tid, 701);
	assert_true(t->threads[1].have_regs && t->threads[1].regs.rip == LIB + PAGE);
	const struct mapping *mp = target_mapping(t, LIB + PAGE);
	assert_true(mp && mp->exec && !mp->write && mp->inode && mp->offset == PAGE);
	assert_string_equal(target_mapping(t, 0x7fff00000000)->path, "[vdso]");
	assert_int_equal(byte_at(t, HEAP), 1);
	assert_int_equal(byte_at(t, HEAP + 3 * PAGE - 1), 3);
	assert_int_equal(byte_at(t, HEAP + 3 * PAGE), -1); /* not dumped, and no file */
	assert_int_equal(byte_at(t, 0x7fff00000000), 0);   /* dumped as a hole */
	assert_int_equal(t->nnotes, 0);
	struct freeze_stats st;
	ok(target_freeze(t, &(struct freeze_opts){ .whole = true }, &st));
	assert_int_equal(st.paused_us, -1);
	target_close(t);
	free(library);
}

/* The kernel writes one segment of notes; a core may have been written by others. */
static void threads_of_several_note_segments(void **state)
{
	enum { FIRST = 2, SECOND = 300 };
	(void)state;
	struct maker m = { 0 };
	make_process(&m, 900, "several");
	for (int i = 0; i < FIRST; i++)
		make_thread(&m, 901 + i, 0, HEAP, 0);
	m.split = m.nnotes;
	for (int i = 0; i < SECOND; i++)
		make_thread(&m, i == SECOND - 1 ? 900 : 1000 + i, 0, HEAP, 0);
	make_load(&m, HEAP, PAGE, PAGE, PF_R | PF_W, heap);
	make_core(&m, core);
	struct target *t = open_core(NULL);
	assert_int_equal(t->nthreads, FIRST + SECOND);
	assert_int_equal(t->threads[0].tid, 900);
	assert_string_equal(t->threads[0].comm, "several");
	assert_int_equal(t->threads[1].tid, 901);
	assert_int_equal(t->threads[FIRST + SECOND - 1].tid, 1000 + SECOND - 2);
	target_close(t);
}

static void bytes_come_from_the_file_of_the_same_build(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true), *wrong = make_library(9, true);
	struct maker m = usual(library);
	make_core(&m, core);
	write_file(lib, library, LIB_PAGES * PAGE);
	struct target *t = open_core(NULL);
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	assert_int_equal(byte_at(t, LIB + 2 * PAGE), -1); /* was relocated: not the file's bytes */
	int fd;
	ok(t->ops->open_file(t, target_mapping(t, LIB), &fd));
	close(fd);
	target_close(t);

	write_file(lib, wrong, LIB_PAGES * PAGE);
	t = open_core(NULL);
	assert_int_equal(byte_at(t, LIB + PAGE), -1);
	assert_true(noted(t, "0909090909090909090909090909090909090909, not 0707070707"));
	assert_int_equal(err_code(t->ops->open_file(t, target_mapping(t, LIB), &fd)), E_NOTFOUND);
	target_close(t);

	/* The right one elsewhere. */
	write_file(other, library, LIB_PAGES * PAGE);
	t = open_core(&(struct target_opts){ .exe = other });
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	target_close(t);
	unlink(lib);
	t = open_core(NULL);
	assert_int_equal(byte_at(t, LIB + PAGE), -1);
	assert_true(noted(t, "is not here"));
	target_close(t);
	free(library);
	free(wrong);
}

static void files_are_looked_for_where_told(void **state)
{
	(void)state;
	char root[160], at[600];
	uint8_t *library = make_library(7, true), *wrong = make_library(9, true);
	struct maker m = usual(library);
	make_core(&m, core);
	write_file(lib, wrong, LIB_PAGES * PAGE);
	snprintf(root, sizeof root, "%s/root", dir);
	snprintf(at, sizeof at, "mkdir -p '%s%s' '%s/.build-id/07'", root, dir, root);
	assert_int_equal(system(at), 0);
	snprintf(at, sizeof at, "%s%s", root, lib);
	write_file(at, library, LIB_PAGES * PAGE);
	struct target *t = open_core(&(struct target_opts){ .sysroot = root });
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	target_close(t);
	unlink(at);
	/* A link that leads out of the sysroot stays in it. */
	assert_int_equal(symlink("/other", at), 0);
	snprintf(at, sizeof at, "%s/other", root);
	write_file(at, library, LIB_PAGES * PAGE);
	t = open_core(&(struct target_opts){ .sysroot = root });
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	target_close(t);
	snprintf(at, sizeof at, "%s/.build-id/07/07070707070707070707070707070707070707", root);
	write_file(at, library, LIB_PAGES * PAGE);
	t = open_core(&(struct target_opts){ .debug_dir = root });
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	target_close(t);
	free(library);
	free(wrong);
}

static void without_a_build_id_the_header_decides(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, false), *wrong = make_library(9, false);
	struct maker m = usual(library);
	make_core(&m, core);
	write_file(lib, wrong, LIB_PAGES * PAGE);
	struct target *t = open_core(NULL);
	assert_int_equal(byte_at(t, LIB + PAGE), -1);
	assert_true(noted(t, "header differs"));
	target_close(t);
	write_file(lib, library, LIB_PAGES * PAGE);
	t = open_core(NULL);
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	target_close(t);
	free(library);
	free(wrong);
}

/* gdb leaves out mappings that it does not dump, and aligns nothing. */
static void gcore_lists_what_it_left_out(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true);
	write_file(lib, library, LIB_PAGES * PAGE);
	struct maker m = { .unaligned = true };
	struct made_file files[] = {
		{ LIB, LIB + PAGE, 0, lib }, { LIB + PAGE, LIB + 2 * PAGE, PAGE, lib },
	};
	make_thread(&m, 5, 0, 0, 0);
	make_files(&m, files, 2);
	make_load(&m, HEAP, PAGE, PAGE, PF_R | PF_W, heap);
	make_load(&m, LIB, PAGE, PAGE, PF_R, library);
	make_core(&m, core);
	struct target *t = open_core(NULL);
	const struct mapping *mp = target_mapping(t, LIB + PAGE);
	assert_true(mp && mp->read && mp->exec && !mp->write);
	assert_int_equal(byte_at(t, LIB + PAGE), 8);
	assert_int_equal(byte_at(t, HEAP + 5), 1);
	assert_false(target_mapping(t, LIB)->exec);
	assert_int_equal(t->pid, 5);
	target_close(t);
	free(library);
}

static void a_damaged_header_of_a_listed_file_is_survived(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true);
	struct made_file files[] = {
		{ LIB, LIB + PAGE, 0, lib }, { LIB + PAGE, LIB + 2 * PAGE, PAGE, lib },
	};
	((Elf64_Ehdr *)library)->e_phoff = 1 << 30;
	struct maker m = { .unaligned = true };
	make_thread(&m, 5, 0, 0, 0);
	make_files(&m, files, 2);
	make_load(&m, LIB, PAGE, PAGE, PF_R, library);
	make_core(&m, core);
	struct target *t = open_core(NULL);
	assert_int_equal(byte_at(t, LIB + PAGE), -1);
	target_close(t);
	free(library);
}

static void what_was_cut_off_is_unknown(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true);
	struct maker m = usual(library);
	uint64_t size = make_core(&m, core);
	assert_int_equal(truncate(core, (off_t)(size - 3 * PAGE + 100)), 0);
	struct target *t = open_core(NULL);
	assert_true(noted(t, "cut off"));
	assert_int_equal(byte_at(t, HEAP + PAGE), 2);
	assert_int_equal(byte_at(t, HEAP + 2 * PAGE), -1);
	assert_int_equal(byte_at(t, LIB), -1);
	target_close(t);
	for (uint64_t n = 0; n < size; n = n < 4096 ? n + 37 : n + 1111) {
		m = usual(library);
		make_core(&m, core);
		assert_int_equal(truncate(core, (off_t)n), 0);
		err_t e = target_open(core, NULL, &t);
		if (!e) {
			byte_at(t, HEAP + PAGE);
			byte_at(t, LIB + PAGE);
			target_close(t);
		}
		err_free(e);
	}
	free(library);
}

static void many_segments(void **state)
{
	(void)state;
	struct maker m = { 0 };
	enum { N = 70000 };
	make_thread(&m, 5, 0, 0, 0);
	for (uint64_t i = 0; i < N; i++)
		make_load(&m, HEAP + i * 2 * PAGE, PAGE, i % 100 ? 0 : PAGE, PF_R | PF_W, heap);
	make_core(&m, core);
	struct target *t = open_core(NULL);
	assert_int_equal(t->nmappings, N);
	assert_int_equal(byte_at(t, HEAP + 200 * 100 * PAGE), 1);
	assert_int_equal(byte_at(t, HEAP + 201 * 2 * PAGE), -1);
	target_close(t);
}

static void reserved_space_is_left_out(void **state)
{
	(void)state;
	struct maker m = { 0 };
	make_thread(&m, 5, 0, 0, 0);
	make_load(&m, HEAP, PAGE, PAGE, PF_R | PF_W, heap);
	make_load(&m, 0x100000000000, 1ull << 44, 0, PF_R | PF_W, NULL);
	make_load(&m, 0x200000000000, 1ull << 45, 0, PF_R | PF_W, NULL);
	make_core(&m, core);
	struct target *t = open_core(NULL);
	assert_int_equal(byte_at(t, HEAP), 1);
	assert_int_equal(byte_at(t, 0x100000000000), -1);
	target_close(t);
}

static void packed(const char *how)
{
	struct stat sb;
	int fd = open(core, O_RDONLY);
	fstat(fd, &sb);
	size_t n = (size_t)sb.st_size, room = n * 2 + 4096, got;
	char *in = malloc(n), *out = malloc(room);
	assert_int_equal(read(fd, in, n), n);
	close(fd);
	got = strcmp(how, "zstd") == 0 ? ZSTD_compress(out, room, in, n, 1)
				       : LZ4F_compressFrame(out, room, in, n, NULL);
	write_file(core, out, got);
	free(in);
	struct target *t = open_core(NULL);
	assert_int_equal(byte_at(t, HEAP + 2 * PAGE), 3);
	assert_int_equal(byte_at(t, 0x7fff00000000), 0);
	assert_int_equal(t->nthreads, 3);
	assert_int_equal(t->nnotes, 0);
	target_close(t);
	/* What can be unpacked of a part is a core that is cut off. */
	write_file(core, out, got / 2);
	err_t e = target_open(core, NULL, &t);
	if (!e)
		target_close(t);
	err_free(e);
	out[got / 3] ^= 0x55;
	out[got / 3 + 1] ^= 0x55;
	write_file(core, out, got);
	e = target_open(core, NULL, &t);
	if (!e)
		target_close(t);
	err_free(e);
	free(out);
}

/* Some KB that unpack to far more: the file that they are unpacked into stays small. */
static void write_bomb(const void *head, size_t n, uint8_t filling)
{
	const size_t size = 512u << 20;
	uint8_t *in = malloc(size), *out = malloc(size / 64);
	memset(in, filling, size);
	memcpy(in, head, n);
	size_t got = ZSTD_compress(out, size / 64, in, size, 1);
	assert_false(ZSTD_isError(got));
	write_file(core, out, got);
	free(in);
	free(out);
}

static void bombs_are_not_unpacked(void **state)
{
	(void)state;
	struct target *t;
	for (int filling = 0; filling < 256; filling += 0xAA) {
		write_bomb("", 0, (uint8_t)filling);
		is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "neither a process id nor a core dump");
	}
	uint8_t *library = make_library(7, true);
	struct maker m = usual(library);
	uint64_t size = make_core(&m, core);
	char *head = malloc(size);
	int fd = open(core, O_RDONLY);
	assert_int_equal(read(fd, head, size), size);
	close(fd);
	write_bomb(head, size, 0xAA);
	t = open_core(NULL);
	assert_int_equal(byte_at(t, HEAP + 2 * PAGE), 3);
	assert_in_range(core_of(t)->size, size, size + (1 << 20));
	target_close(t);
	/* Program headers behind all that is unpacked. */
	((Elf64_Ehdr *)head)->e_phoff = 1ull << 40;
	write_bomb(head, size, 0xAA);
	is_error(target_open(core, NULL, &t), E_BADDATA, "cut off within its program headers");
	free(head);
	free(library);
}

static void compressed_cores_are_unpacked(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true);
	struct maker m = usual(library);
	make_core(&m, core);
	packed("zstd");
	m = usual(library);
	make_core(&m, core);
	packed("lz4");
	struct target *t;
	write_file(core, "\xfd" "7zXZ\0\0\4", 8);
	is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "xz -dc");
	write_file(core, "\x1f\x8b\x08\0\0\0\0\0", 8);
	is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "gzip -dc");
	free(library);
}

static void what_is_no_core_is_named(void **state)
{
	(void)state;
	struct target *t;
	is_error(target_open("/nonexistent/core", NULL, &t), E_IO, "/nonexistent/core");
	is_error(target_open("/dev/zero", NULL, &t), E_UNSUPPORTED, "regular");
	is_error(target_open("/tmp", NULL, &t), E_UNSUPPORTED, "regular");
	write_file(core, "", 0);
	is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "empty");
	write_file(core, "#!/bin/sh\necho hello\n", 21);
	is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "neither a process id nor a core");
	write_file(core, "\x7f" "ELF\2\1\1", 7);
	is_error(target_open(core, NULL, &t), E_BADDATA, "cut off");
	is_error(target_open("/proc/self/exe", NULL, &t), E_UNSUPPORTED, "not a core");
	struct maker m = { .machine = EM_AARCH64 };
	make_core(&m, core);
	is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "AArch64");
	m = (struct maker){ .machine = EM_386, .class = ELFCLASS32 };
	make_core(&m, core);
	is_error(target_open(core, NULL, &t), E_UNSUPPORTED, "32-bit");
	m = (struct maker){ 0 };
	make_core(&m, core);
	is_error(target_open(core, NULL, &t), E_BADDATA, "no memory");
	is_error(target_open(core, &(struct target_opts){ .sysroot = "/nonexistent" }, &t), E_USAGE,
		 "/nonexistent");
}

static void scribbled_cores_do_no_harm(void **state)
{
	(void)state;
	uint8_t *library = make_library(7, true), *bytes = malloc(1 << 20);
	struct maker m = usual(library);
	make_core(&m, core);
	write_file(lib, library, LIB_PAGES * PAGE);
	int fd = open(core, O_RDONLY);
	ssize_t n = read(fd, bytes, 1 << 20);
	close(fd);
	uint32_t seed = 1;
	for (int round = 0; round < 1000; round++) {
		uint8_t *copy = malloc((size_t)n);
		memcpy(copy, bytes, (size_t)n);
		for (int k = 0; k < 1 + round % 8; k++) {
			seed = seed * 1664525 + 1013904223;
			size_t at = (seed >> 8) % (round % 3 ? 2500u : (uint32_t)n);
			seed = seed * 1664525 + 1013904223;
			copy[at] = (uint8_t)(round % 2 ? seed >> 16 : seed >> 16 & 1 ? 0xff : 0);
		}
		write_file(core, copy, (size_t)n);
		struct target *t;
		err_t e = target_open(core, NULL, &t);
		for (size_t i = 0; !e && i < t->nmappings; i++) {
			byte_at(t, t->mappings[i].start);
			byte_at(t, t->mappings[i].end - 1);
			image_str(t->image, t->mappings[i].start, 100000);
		}
		if (!e)
			target_close(t);
		err_free(e);
		free(copy);
	}
	free(library);
	free(bytes);
}

/* A listed range that ends within a page, where too large a hole begins. */
static void listed_ranges_are_of_whole_pages(void **state)
{
	(void)state;
	const uint64_t at = 0x100000000000;
	struct maker m = { 0 };
	struct made_file files[] = { { at, at + (200ull << 30) + 100, 0, "/x" }, { at + 7, at + 9, 0, "/y" } };
	make_process(&m, 1, "x");
	make_files(&m, files, 2);
	make_load(&m, at, (200ull << 30) + PAGE, 0, PF_R, NULL);
	make_load(&m, HEAP, PAGE, PAGE, PF_R | PF_W, NULL);
	make_core(&m, core);
	struct target *t = open_core(NULL);
	for (size_t i = 0; i < t->nmappings; i++) {
		assert_int_equal((t->mappings[i].start | t->mappings[i].end) % PAGE, 0);
		byte_at(t, t->mappings[i].end - 1);
	}
	target_close(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, dir_new, dir_free)
	const struct CMUnitTest tests[] = {
		T(what_a_core_says),
		T(threads_of_several_note_segments),
		T(bytes_come_from_the_file_of_the_same_build),
		T(files_are_looked_for_where_told),
		T(without_a_build_id_the_header_decides),
		T(gcore_lists_what_it_left_out),
		T(a_damaged_header_of_a_listed_file_is_survived),
		T(what_was_cut_off_is_unknown),
		T(many_segments),
		T(reserved_space_is_left_out),
		T(compressed_cores_are_unpacked),
		T(bombs_are_not_unpacked),
		T(what_is_no_core_is_named),
		T(scribbled_cores_do_no_harm),
		T(listed_ranges_are_of_whole_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Source lines of this very program, which is compiled with -g, and of others, as
 * libdw has them; the same from a separate debug file; and damaged DWARF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbols/debugfile.h"
#include "symbols/functions.h"
#include "symbols/lines.h"
#include "symbols/units.h"

extern const char __executable_start[];

static const int line_of_here = __LINE__ + 1;
__attribute__((noinline)) static int here(int x) { return x * 31 + (int)getpid(); }

static uint64_t here_vaddr(struct elf *e)
{
	size_t n;
	const Elf64_Phdr *ph = elf_phdrs(e, &n);
	for (size_t i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD)
			return (uint64_t)(uintptr_t)here - (uint64_t)(uintptr_t)__executable_start +
			       (ph[i].p_vaddr & ~4095ull);
	return 0;
}

static struct elf *open_elf(const char *path)
{
	struct elf *e;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_null(elf_open_file(fd, &e));
	return e;
}

static void assert_here(struct lines *ls, uint64_t vaddr)
{
	const char *file;
	int line;
	assert_non_null(ls);
	assert_true(lines_find(ls, vaddr, &file, &line));
	assert_int_equal(line, line_of_here);
	assert_non_null(strstr(file, "tests/unit/test_lines.c"));
	assert_false(lines_find(ls, 1, &file, &line));
	assert_false(lines_find(ls, UINT64_MAX - 1, &file, &line));
}

static void own_line(void **state)
{
	(void)state;
	assert_true(here(1) != here(2));
	struct elf *e = open_elf("/proc/self/exe");
	struct lines *ls = lines_read(e);
	assert_here(ls, here_vaddr(e));
	lines_free(ls);
	elf_close(e);
}

static err_t open_any(struct target *t, const char *path, uint64_t copy_up_to, int *fd, struct stat *st)
{
	(void)t;
	(void)copy_up_to;
	(void)st;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? err_errno(E_NOTFOUND, errno, path) : NULL;
}

static void run(const char *fmt, const char *dir)
{
	char cmd[2048];
	snprintf(cmd, sizeof cmd, fmt, dir);
	assert_int_equal(system(cmd), 0);
}

/* Lines and names of the stripped file in dir are those of its debug file. */
static void assert_separate(const char *dir)
{
	static const struct target_ops ops = { .open_path = open_any };
	struct target t = { .ops = &ops };
	char path[128];
	const char *name;
	uint64_t start;
	snprintf(path, sizeof path, "%s/stripped", dir);
	struct elf *e = open_elf(path), *debug = debug_file_open(&t, e, path, "");
	assert_non_null(debug);
	assert_false(lines_own(e) || functions_own(e));
	struct lines *ls = lines_read(debug);
	assert_here(ls, here_vaddr(e));
	lines_free(ls);
	struct functions *fs = functions_read(e, debug);
	assert_true(functions_find(fs, here_vaddr(e) + 1, &name, &start));
	assert_string_equal(name, "here");
	assert_int_equal(start, here_vaddr(e));
	functions_free(fs);
	elf_close(debug);
	elf_close(e);
}

static void separate_file(void **state)
{
	(void)state;
	static const struct target_ops ops = { .open_path = open_any };
	struct target t = { .ops = &ops };
	char dir[] = "/tmp/asyncmon-lines-XXXXXX", self[256], cmd[512], path[128];
	if (system("command -v objcopy >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	assert_true(n > 0);
	self[n] = 0;
	snprintf(cmd, sizeof cmd, "objcopy -R .note.gnu.build-id '%s' %s/whole", self, dir);
	assert_int_equal(system(cmd), 0);
	run("cd %s && objcopy --only-keep-debug whole d.debug 2>/dev/null && "
	    "strip -o stripped whole && objcopy --add-gnu-debuglink=d.debug stripped", dir);
	assert_separate(dir);
	run("cd %s && mkdir .debug && mv d.debug .debug", dir);
	assert_separate(dir);
	run("cd %s && printf x >>.debug/d.debug", dir); /* another checksum */
	snprintf(path, sizeof path, "%s/stripped", dir);
	struct elf *e = open_elf(path);
	assert_null(debug_file_open(&t, e, path, ""));
	elf_close(e);
	run("rm -r %s", dir);
}

/* What libdw says of vaddr: by .debug_aranges, else by every unit. */
static bool libdw_line(Dwarf *dw, uint64_t vaddr, const char **file, int *line)
{
	Dwarf_Die cu;
	Dwarf_Off at = 0, next;
	size_t hdr;
	Dwarf_Line *l = NULL;
	while (!l && dwarf_nextcu(dw, at, &next, &hdr, NULL, NULL, NULL) == 0) {
		if (dwarf_offdie(dw, at + hdr, &cu))
			l = dwarf_getsrc_die(&cu, vaddr);
		at = next;
	}
	if (!l || dwarf_lineno(l, line) != 0 || *line <= 0)
		return false;
	*file = dwarf_linesrc(l, NULL, NULL);
	return *file && **file;
}

/* Compares every step-th address of the code with what libdw says of the file at plain. */
static void assert_as_libdw(const char *path, const char *plain, unsigned step)
{
	size_t n, known = 0;
	int fd = open(plain, O_RDONLY | O_CLOEXEC);
	Dwarf *dw = dwarf_begin(fd, DWARF_C_READ);
	assert_non_null(dw);
	struct elf *e = open_elf(path);
	struct lines *ls = lines_read(e);
	assert_non_null(ls);
	const Elf64_Phdr *ph = elf_phdrs(e, &n);
	for (size_t i = 0; i < n; i++) {
		if (ph[i].p_type != PT_LOAD || !(ph[i].p_flags & PF_X))
			continue;
		for (uint64_t a = ph[i].p_vaddr; a < ph[i].p_vaddr + ph[i].p_memsz; a += step) {
			const char *mine, *theirs;
			int line, their_line;
			bool a_line = libdw_line(dw, a, &theirs, &their_line);
			if (lines_find(ls, a, &mine, &line) != a_line)
				fail_msg("%#lx: only %s has a line", (unsigned long)a, a_line ? "libdw" : "asyncmon");
			if (!a_line)
				continue;
			assert_int_equal(line, their_line);
			/* Before version 5 the directory is in .debug_info, which may not be read. */
			size_t len = strlen(theirs), have = strlen(mine);
			assert_true(have <= len);
			assert_string_equal(mine, theirs + len - have);
			assert_true(have == len || theirs[len - have - 1] == '/');
			known++;
		}
	}
	assert_true(known > 20);
	assert_false(lines_refused(ls));
	lines_free(ls);
	elf_close(e);
	dwarf_end(dw);
	close(fd);
}

static void own_lines_as_libdw(void **state)
{
	(void)state;
	assert_as_libdw("/proc/self/exe", "/proc/self/exe", 61);
}

static const char source[] =
	"#include \"part.h\"\n"
	"extern int other(int);\n"
	"__attribute__((noinline)) static int inner(int x)\n{\n\tfor (int i = 0; i < x; i++)\n\t\tx += other(i) * part(x);\n"
	"\treturn x;\n}\n"
	"int dropped(int x) { return other(x) * 7; }\n"
	"#line 70000 \"elsewhere.y\"\n"
	"int NAME(int x)\n{\n\tif (x > 3)\n\t\t__builtin_trap();\n\treturn inner(x) + other(x);\n}\n";

static const char header[] =
	"static inline int part(int x)\n{\n\tx ^= x << 3;\n\n\n\treturn x / 5;\n}\n";

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* A section that says it is larger than any should be. */
static void assert_refused(const char *path)
{
	Elf64_Shdr s;
	Elf64_Chdr c = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = 3ull << 30, .ch_addralign = 1 };
	const char *file;
	int line, fd = open(path, O_RDWR | O_CLOEXEC);
	struct elf *e = open_elf(path);
	assert_true(elf_section(e, ".debug_line", &s) && s.sh_flags & SHF_COMPRESSED);
	elf_close(e);
	assert_int_equal(pwrite(fd, &c, sizeof c, (off_t)s.sh_offset), sizeof c);
	close(fd);
	e = open_elf(path);
	struct lines *ls = lines_read(e);
	assert_non_null(ls);
	assert_false(lines_find(ls, 0x1100, &file, &line));
	assert_true(lines_refused(ls));
	lines_free(ls);
	elf_close(e);
}

/* Every version of the format, units with and without .debug_aranges, all of them or some,
 * functions that the linker dropped, compressed sections. */
static void versions_as_libdw(void **state)
{
	(void)state;
	static const char *const ways[] = {
		"cp so way", "objcopy -R .debug_aranges so way", "objcopy --compress-debug-sections=zlib so way",
		"objcopy --compress-debug-sections=zstd so way",
		"objcopy -R .debug_aranges a.o c.o && cc -shared -Wl,--gc-sections,-u,a,-u,b"
		" -Wl,--allow-multiple-definition -o mixed c.o b.o o.o &&"
		" objcopy --compress-debug-sections=zlib mixed way",
	};
	char dir[] = "/tmp/asyncmon-lines-XXXXXX", cmd[1536], so[64], way[64];
	if (system("command -v cc >/dev/null && command -v objcopy >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(so, sizeof so, "%s/so", dir);
	snprintf(way, sizeof way, "%s/way", dir);
	write_file(dir, "unit.c", source);
	snprintf(cmd, sizeof cmd, "mkdir %s/include", dir);
	assert_int_equal(system(cmd), 0);
	write_file(dir, "include/part.h", header);
	for (int version = 2; version <= 5; version++) {
		snprintf(cmd, sizeof cmd, "cd %s && for n in a b; do cc -O2 -g -gdwarf-%d -fPIC -ffunction-sections"
			 " -fvisibility=hidden -Iinclude -DNAME=$n -c -o $n.o unit.c || exit 1; done;"
			 " printf 'int other(int x)\\n{\\n\\treturn x;\\n}\\n' >o.c; cc -g -gdwarf-%d -fPIC -c o.c &&"
			 " cc -shared -Wl,--gc-sections,-u,a,-u,b -Wl,--allow-multiple-definition -o so a.o b.o o.o",
			 dir, version, version);
		assert_int_equal(system(cmd), 0);
		for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
			snprintf(cmd, sizeof cmd, "cd %s && %s 2>/dev/null", dir, ways[i]);
			if (system(cmd) == 0)
				assert_as_libdw(way, so, 1);
		}
	}
	run("cd %s && objcopy --compress-debug-sections=zlib so way", dir);
	assert_refused(way);
	run("rm -r %s", dir);
}

static void damage(struct elf *e, const char *section, uint8_t *bytes, unsigned *seed)
{
	Elf64_Shdr s;
	if (!elf_section(e, section, &s) || !s.sh_size)
		return;
	for (int i = 0; i < 40; i++) {
		uint64_t at = (uint64_t)rand_r(seed) % (i < 20 && s.sh_size > 64 ? 64 : s.sh_size);
		bytes[s.sh_offset + at] = i % 3 ? (uint8_t)rand_r(seed) : 0xff;
	}
}

static void damaged(void **state)
{
	(void)state;
	static const char *const sections[] = {
		".debug_line", ".debug_info", ".debug_abbrev", ".debug_aranges", ".debug_rnglists",
		".debug_line_str", ".debug_str",
	};
	struct elf *e = open_elf("/proc/self/exe");
	uint64_t size = elf_size(e), vaddr = here_vaddr(e);
	size_t len = 0;
	for (unsigned seed = 1; seed <= 200; seed++) {
		unsigned s = seed;
		int fd = memfd_create("damaged", MFD_CLOEXEC);
		assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
		uint8_t *b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_true(b != MAP_FAILED);
		memcpy(b, elf_bytes(e, 0, size), size);
		for (size_t k = 0; k < sizeof sections / sizeof *sections; k++)
			if (seed % 8 == 7 || seed % 8 == k)
				damage(e, sections[k], b, &s);
		munmap(b, size);
		struct elf *d;
		assert_null(elf_open_file(fd, &d));
		struct lines *ls = lines_read(d);
		const char *file;
		int line;
		for (uint64_t at = 0; ls && at < 0x20000; at += 0x1000)
			if (lines_find(ls, vaddr - 0x10000 + at, &file, &line))
				len += strlen(file);
		lines_free(ls);
		elf_close(d);
	}
	assert_true(len > 0);
	elf_close(e);
}

/* The same answer however often it was asked: they are put in order at some time. */
static void ranges(void **state)
{
	(void)state;
	static const struct { uint64_t start, end; uint64_t unit; } in[] = {
		{ 0x3000, 0x3100, 30 }, { 0x1100, 0x1200, 11 }, { 0x1000, 0x2000, 10 }, { 0x3000, 0x3100, 31 },
		{ 0x5000, 0x5000, 50 }, { 0, 0x100, 1 }, { 0x4000, 0x4800, 40 },
	};
	static const struct { uint64_t addr, unit; } asked[] = {
		{ 0x1000, 10 }, { 0x10ff, 10 }, { 0x1100, 11 }, { 0x11ff, 11 }, { 0x1200, 0 }, { 0x3050, 31 },
		{ 0x3100, 0 }, { 0x47ff, 40 }, { 0x4800, 0 }, { 0x5000, 0 }, { 0x50, 0 }, { UINT64_MAX, 0 },
	};
	struct unit_ranges rs = { 0 };
	assert_null(unit_ranges_find(&rs, 0x1000));
	for (size_t i = 0; i < sizeof in / sizeof *in; i++)
		assert_true(unit_ranges_add(&rs, in[i].start, in[i].end, in[i].unit));
	for (int round = 0; round <= 200; round++) {
		for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
			const struct unit_range *r = unit_ranges_find(&rs, asked[i].addr);
			assert_int_equal(r ? r->unit : 0, asked[i].unit);
		}
	}
	assert_true(rs.nsorted > 0);
	/* More, after they were. */
	assert_true(unit_ranges_add(&rs, 0x1080, 0x1090, 99));
	assert_int_equal(unit_ranges_find(&rs, 0x1085)->unit, 99);
	assert_null(unit_ranges_find(&rs, 0x10ff));
	unit_ranges_free(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(own_line),
		cmocka_unit_test(separate_file),
		cmocka_unit_test(own_lines_as_libdw),
		cmocka_unit_test(versions_as_libdw),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

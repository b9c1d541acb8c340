/* Source lines of this very program, which is compiled with -g; the same from a
 * separate debug file; and damaged DWARF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbols/lines.h"

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

static struct target nowhere;

static void own_line(void **state)
{
	(void)state;
	assert_true(here(1) != here(2));
	struct elf *e = open_elf("/proc/self/exe");
	struct lines *ls = lines_read(&nowhere, e, "/proc/self/exe", "");
	assert_here(ls, here_vaddr(e));
	lines_free(ls);
	elf_close(e);
}

static err_t open_any(struct target *t, const char *path, int *fd)
{
	(void)t;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? err_errno(E_NOTFOUND, errno, path) : NULL;
}

static void run(const char *fmt, const char *dir)
{
	char cmd[2048];
	snprintf(cmd, sizeof cmd, fmt, dir);
	assert_int_equal(system(cmd), 0);
}

static struct lines *read_stripped(struct target *t, const char *dir, struct elf **e)
{
	char path[128];
	snprintf(path, sizeof path, "%s/stripped", dir);
	*e = open_elf(path);
	return lines_read(t, *e, path, "");
}

static void separate_file(void **state)
{
	(void)state;
	static const struct target_ops ops = { .open_path = open_any };
	struct target t = { .ops = &ops };
	struct elf *e;
	struct lines *ls;
	char dir[] = "/tmp/asyncmon-lines-XXXXXX", self[256], cmd[512];
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
	ls = read_stripped(&t, dir, &e);
	assert_here(ls, here_vaddr(e));
	lines_free(ls);
	elf_close(e);
	run("cd %s && mkdir .debug && mv d.debug .debug", dir);
	ls = read_stripped(&t, dir, &e);
	assert_here(ls, here_vaddr(e));
	lines_free(ls);
	elf_close(e);
	run("cd %s && printf x >>.debug/d.debug", dir); /* another checksum */
	assert_null(read_stripped(&t, dir, &e));
	elf_close(e);
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
		struct lines *ls = lines_read(&nowhere, d, "/damaged", "");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_line),
		cmocka_unit_test(separate_file),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

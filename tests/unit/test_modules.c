/* ELF files, sound and hostile, and the modules of a process: a child of this test,
 * which has the same files at the same addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "symbols/elf.h"
#include "symbols/functions.h"
#include "symbols/modules.h"
#include "symbols/python.h"

static int file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, (const char *)bytes + done, n - done);
		assert_true(w > 0);
		done += (size_t)w;
	}
	return fd;
}

static uint8_t *read_file(const char *path, size_t *n)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	uint8_t *b = malloc((size_t)st.st_size);
	assert_non_null(b);
	*n = (size_t)st.st_size;
	assert_true(read(fd, b, *n) == (ssize_t)*n);
	close(fd);
	return b;
}

static bool any_name(void *ctx, const char *name)
{
	*(size_t *)ctx += strlen(name);
	return false;
}

/* Everything that is asked of an ELF file. Must come back, whatever the bytes. */
static void ask_all(struct elf *e)
{
	Elf64_Sym sym;
	Elf64_Shdr sh;
	size_t n = 0;
	uint64_t start;
	const char *name;
	elf_symbol(e, "_PyRuntime", &sym);
	elf_symbol(e, "deflate", &sym);
	elf_symbol(e, "", &sym);
	elf_section(e, ".PyRuntime", &sh);
	elf_build_id(e, &n);
	elf_each_needed(e, any_name, &n);
	struct functions *fs = functions_read(e, NULL);
	for (uint64_t at = 0; fs && at < 0x20000; at += 0x800)
		if (functions_find(fs, at, &name, &start))
			n += strlen(name);
	functions_free(fs);
}

static void ask_bytes(const void *bytes, size_t n)
{
	struct elf *e;
	err_t err = elf_open_file(file_of(bytes, n), &e);
	if (err) {
		assert_int_equal(err_code(err), E_BADDATA);
		err_free(err);
		return;
	}
	ask_all(e);
	elf_close(e);
}

/* Any small shared object will do. */
static const char *a_library(void)
{
	Dl_info info;
	void *h = dlopen("libdl.so.2", RTLD_LAZY);
	void *f = h ? dlsym(h, "dlsym") : NULL;
	static char path[512];
	snprintf(path, sizeof path, "%s", f && dladdr(f, &info) ? info.dli_fname : "/proc/self/exe");
	char *slash = strrchr(path, '/');
	if (slash)
		snprintf(slash, sizeof path - (size_t)(slash - path), "/libdl.so.2");
	return access(path, R_OK) == 0 ? path : "/proc/self/exe";
}

static void junk_is_refused(void **state)
{
	(void)state;
	static const uint8_t zeros[4096];
	ask_bytes("", 0);
	ask_bytes("\177ELF", 4);
	ask_bytes(zeros, sizeof zeros);
	ask_bytes("#!/bin/sh\n", 10);
	struct elf *e;
	err_t err = elf_open_file(open("/proc/self", O_RDONLY | O_CLOEXEC), &e);
	assert_int_equal(err_code(err), E_BADDATA);
	err_free(err);
}

static void truncated_files_are_survived(void **state)
{
	(void)state;
	size_t n;
	uint8_t *b = read_file(a_library(), &n);
	for (size_t len = 0; len < n && len < 8192; len += len < 1024 ? 7 : 97)
		ask_bytes(b, len);
	for (size_t len = 8192; len < n; len += n / 50 + 1)
		ask_bytes(b, len);
	free(b);
}

/* A file that shrinks after it was opened ends in short reads, not in SIGBUS. */
static void a_shrinking_file_is_survived(void **state)
{
	(void)state;
	size_t n;
	uint8_t *b = read_file(a_library(), &n);
	int fd = file_of(b, n);
	struct elf *e;
	assert_null(elf_open_file(dup(fd), &e));
	assert_int_equal(ftruncate(fd, 4096), 0);
	ask_all(e);
	elf_close(e);
	close(fd);
	free(b);
}

static void changed_bytes_are_survived(void **state)
{
	(void)state;
	size_t n;
	uint8_t *b = read_file(a_library(), &n), *copy = malloc(n);
	uint64_t seed = 88172645463325252ull;
	assert_non_null(copy);
	for (int round = 0; round < 3000; round++) {
		memcpy(copy, b, n);
		for (int k = 0; k < 1 + round % 12; k++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			/* Headers and dynamic tables more often than the rest. */
			size_t at = seed % (round % 3 ? 2048 : n);
			copy[at < n ? at : n - 1] = (uint8_t)(seed >> 40);
		}
		ask_bytes(copy, n);
	}
	free(copy);
	free(b);
}

/* A file of one segment with a dynamic table made here. */
struct made {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	Elf64_Dyn dyn[6];
	Elf64_Sym sym[4];
	uint32_t hash[16];
	char str[32];
};

static void make(struct made *m, int64_t hash_tag)
{
	memset(m, 0, sizeof *m);
	memcpy(m->eh.e_ident, ELFMAG, SELFMAG);
	m->eh.e_ident[EI_CLASS] = ELFCLASS64;
	m->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	m->eh.e_phoff = offsetof(struct made, ph);
	m->eh.e_phnum = 2;
	m->eh.e_phentsize = sizeof(Elf64_Phdr);
	m->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = sizeof *m, .p_memsz = sizeof *m };
	m->ph[1] = (Elf64_Phdr){ .p_type = PT_DYNAMIC, .p_vaddr = offsetof(struct made, dyn) };
	m->dyn[0] = (Elf64_Dyn){ .d_tag = DT_SYMTAB, .d_un.d_ptr = offsetof(struct made, sym) };
	m->dyn[1] = (Elf64_Dyn){ .d_tag = DT_STRTAB, .d_un.d_ptr = offsetof(struct made, str) };
	m->dyn[2] = (Elf64_Dyn){ .d_tag = DT_STRSZ, .d_un.d_val = sizeof m->str };
	m->dyn[3] = (Elf64_Dyn){ .d_tag = hash_tag, .d_un.d_ptr = offsetof(struct made, hash) };
	strcpy(m->str + 1, "found");
	for (int i = 1; i < 4; i++)
		m->sym[i] = (Elf64_Sym){ .st_name = 10, .st_shndx = 1, .st_value = 0x1000 };
	m->sym[3].st_name = 1;
}

static bool lookup(const struct made *m, const char *name)
{
	struct elf *e;
	Elf64_Sym s;
	assert_null(elf_open_file(file_of(m, sizeof *m), &e));
	bool ok = elf_symbol(e, name, &s);
	elf_close(e);
	return ok;
}

static void hash_tables_are_walked_and_end(void **state)
{
	(void)state;
	struct made m;
	make(&m, DT_HASH);
	uint32_t sysv[] = { 1, 4, 1, 0, 2, 3, 0 }; /* one bucket: 1 -> 2 -> 3 */
	memcpy(m.hash, sysv, sizeof sysv);
	assert_true(lookup(&m, "found"));
	assert_false(lookup(&m, "lost"));
	m.hash[6] = 1; /* 3 -> 1: a ring */
	assert_false(lookup(&m, "lost"));
	m.hash[1] = UINT32_MAX;
	m.hash[2] = UINT32_MAX - 1;
	assert_false(lookup(&m, "found"));

	make(&m, DT_GNU_HASH);
	uint32_t h = 5381;
	for (const char *p = "found"; *p; p++)
		h = h * 33 + (uint8_t)*p;
	/* One bucket, symbols from 1 on, a bloom filter that lets all pass. */
	uint32_t gnu[] = { 1, 1, 1, 0, UINT32_MAX, UINT32_MAX, 1, 2, 2, h | 1 };
	memcpy(m.hash, gnu, sizeof gnu);
	assert_true(lookup(&m, "found"));
	assert_false(lookup(&m, "lost"));
	m.hash[9] = 2; /* no end mark: the chain runs to the end of the segment */
	assert_false(lookup(&m, "found"));
	m.hash[6] = UINT32_MAX;
	assert_false(lookup(&m, "found"));
	m.hash[0] = 0;
	assert_false(lookup(&m, "found"));
	m.hash[0] = 1;
	m.hash[2] = 0;
	assert_false(lookup(&m, "found"));
}

/* --- a process ------------------------------------------------------------- */

static pid_t child;
static struct target *target;

static int start_child(void **state)
{
	(void)state;
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	err_t e = target_open_process(child, &(struct target_opts){ 0 }, &target);
	if (e)
		print_message("%s\n", e->msg);
	return e ? -1 : 0;
}

static int end_child(void **state)
{
	(void)state;
	if (target)
		target_close(target);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

static struct module *module_named(struct modules *ms, const char *part)
{
	for (size_t i = 0; i < modules_count(ms); i++)
		if (strstr(module_path(modules_at(ms, i)), part))
			return modules_at(ms, i);
	fail_msg("no module %s", part);
	return NULL;
}

static void modules_of_a_process(void **state)
{
	(void)state;
	struct modules *ms;
	uint64_t addr = 0, size = 0, start = 0;
	const char *name = NULL;
	assert_null(modules_find(target, &ms));
	struct module *libc = module_named(ms, "/libc.so"), *self = module_named(ms, "test_modules");
	assert_true(module_symbol(libc, "gnu_get_libc_version", &addr, &size));
	assert_true(addr == (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "gnu_get_libc_version") && size > 0);
	assert_false(module_symbol(libc, "no such symbol", &addr, NULL));
	assert_ptr_equal(modules_by_addr(ms, addr), libc);
	assert_ptr_equal(modules_by_addr(ms, (uint64_t)(uintptr_t)&modules_of_a_process), self);
	assert_null(modules_by_addr(ms, 16));
	assert_true(module_section(self, ".text", &addr, &size));
	assert_true(addr <= (uint64_t)(uintptr_t)&modules_of_a_process &&
		    (uint64_t)(uintptr_t)&modules_of_a_process < addr + size);
	addr = (uint64_t)(uintptr_t)&modules_of_a_process;
	assert_true(module_function(self, addr + 4, &name, &start));
	assert_string_equal(name, "modules_of_a_process");
	assert_true(start == addr);
	assert_int_equal(strlen(module_build_id(libc)), 40);
	modules_free(ms);
}

#define ASKED 64

/* Names asked for together are those that each question alone is answered with, however
 * many came before it. */
static void names_together(void **state)
{
	(void)state;
	static const char *const files[] = { "/proc/self/exe", "/lib/x86_64-linux-gnu/libc.so.6" };
	size_t named = 0;
	for (size_t f = 0; f < 2; f++) {
		struct elf *e;
		size_t n;
		int fd = open(files[f], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		assert_null(elf_open_file(fd, &e));
		const Elf64_Phdr *ph = elf_phdrs(e, &n), *code = ph;
		while (code < ph + n && !(code->p_type == PT_LOAD && code->p_flags & PF_X))
			code++;
		assert_true(code < ph + n);
		struct functions *often = functions_read(e, NULL);
		uint64_t step = code->p_memsz / (64 * ASKED) + 1, v[ASKED];
		for (uint64_t at = 0; at < code->p_memsz; at += ASKED * step) {
			struct functions *once = functions_read(e, NULL);
			/* Not in order, one of them twice. */
			for (uint64_t i = 0; i < ASKED; i++)
				v[i] = code->p_vaddr + at + (i * 37 % (ASKED - 1)) * step;
			v[ASKED / 2] = code->p_vaddr + (at % 2 ? 1ull << 40 : 0);
			functions_prepare(once, v, ASKED);
			for (size_t i = 0; i < ASKED; i++) {
				const char *a = "", *b = "";
				uint64_t start_a = 0, start_b = 0;
				bool is = functions_find(once, v[i], &a, &start_a);
				assert_int_equal(is, functions_find(often, v[i], &b, &start_b));
				assert_string_equal(a, b);
				assert_int_equal(start_a, start_b);
				named += is;
			}
			functions_free(once);
		}
		functions_free(often);
		elf_close(e);
	}
	assert_true(named > 1000);
}

/* Without a file: the same answers from memory. */
static void modules_from_memory(void **state)
{
	(void)state;
	struct modules *ms;
	struct elf *e;
	Elf64_Sym s;
	uint64_t addr;
	size_t len;
	assert_null(modules_find(target, &ms));
	struct module *libc = module_named(ms, "/libc.so");
	assert_true(module_symbol(libc, "gnu_get_libc_version", &addr, NULL));
	assert_null(elf_open_memory(target->image, module_start(libc), &e));
	assert_true(elf_symbol(e, "gnu_get_libc_version", &s));
	assert_true(s.st_value + module_bias(libc) == addr);
	assert_non_null(elf_build_id(e, &len));
	assert_int_equal(len * 2, strlen(module_build_id(libc)));
	elf_close(e);
	err_t err = elf_open_memory(target->image, 4096, &e);
	assert_int_equal(err_code(err), E_BADDATA);
	err_free(err);
	modules_free(ms);
}

static void another_program_is_no_python(void **state)
{
	(void)state;
	struct python *py;
	err_t e = python_find(target, &py);
	assert_int_equal(err_code(e), E_NOTPYTHON);
	assert_non_null(strstr(e->msg, "test_modules"));
	err_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(junk_is_refused),
		cmocka_unit_test(truncated_files_are_survived),
		cmocka_unit_test(a_shrinking_file_is_survived),
		cmocka_unit_test(changed_bytes_are_survived),
		cmocka_unit_test(hash_tables_are_walked_and_end),
		cmocka_unit_test(modules_of_a_process),
		cmocka_unit_test(names_together),
		cmocka_unit_test(modules_from_memory),
		cmocka_unit_test(another_program_is_no_python),
	};
	return cmocka_run_group_tests(tests, start_child, end_child);
}

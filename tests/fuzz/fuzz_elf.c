/* An ELF file of any bytes: its headers, symbols, function names, source lines. Seeds:
 * small libraries with debug information of every version (elf_seeds). */
#include <sys/mman.h>
#include <unistd.h>

#include "symbols/functions.h"
#include "symbols/lines.h"
#include "tests/fuzz/fuzz.h"

static bool count(void *n, const char *name)
{
	*(size_t *)n += strlen(name);
	return false;
}

static void ask(struct elf *e)
{
	struct functions *fs = functions_read(e, NULL);
	struct lines *ls = lines_read(e);
	size_t n, all = 0;
	const Elf64_Phdr *ph = elf_phdrs(e, &n);
	for (size_t i = 0; i < n; i++) {
		if (ph[i].p_type != PT_LOAD || !(ph[i].p_flags & PF_X))
			continue;
		for (uint64_t k = 0; k < 64; k++) {
			uint64_t at = ph[i].p_vaddr + ph[i].p_memsz / 64 * k, start;
			const char *text;
			int line;
			if (fs && functions_find(fs, at, &text, &start))
				all += strlen(text);
			if (ls && lines_find(ls, at, &text, &line))
				all += strlen(text);
		}
	}
	if (all == SIZE_MAX)
		abort();
	functions_free(fs);
	lines_free(ls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf *e = NULL;
	Elf64_Sym sym;
	Elf64_Shdr section;
	size_t len = 0;
	int fd = memfd_create("elf", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	err_t err = elf_open_file(fd, &e);
	if (!err) {
		elf_each_needed(e, count, &len);
		elf_symbol(e, "_PyRuntime", &sym);
		elf_static_symbol(e, "_PyRuntime", &sym);
		elf_section(e, ".PyRuntime", &section);
		elf_build_id(e, &len);
		ask(e);
		elf_close(e);
	}
	err_free(err);
	return 0;
}

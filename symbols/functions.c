#include "symbols/functions.h"

#include <stdlib.h>
#include <string.h>

#include "symbols/debugfile.h"

struct function {
	uint64_t start, size;
	const char *name; /* in an elf of ours or of the module */
};

struct functions {
	struct function *items;
	size_t n, cap;
	struct elf *debug; /* NULL when there is no separate file */
};

static bool add(struct functions *fs, struct function f)
{
	if (fs->n == fs->cap) {
		size_t cap = fs->cap ? fs->cap * 2 : 1024;
		struct function *p = reallocarray(fs->items, cap, sizeof *p);
		if (!p)
			return false;
		fs->items = p;
		fs->cap = cap;
	}
	fs->items[fs->n++] = f;
	return true;
}

static void read_table(struct functions *fs, struct elf *e, const Elf64_Shdr *tab,
		       const Elf64_Shdr *str)
{
	const uint8_t *syms = elf_bytes(e, tab->sh_offset, tab->sh_size);
	const char *names = elf_bytes(e, str->sh_offset, str->sh_size);
	/* With a NUL at its end, every name within the table ends within it. */
	if (!syms || !names || !str->sh_size || names[str->sh_size - 1])
		return;
	for (uint64_t i = 0; i < tab->sh_size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym s;
		memcpy(&s, syms + i * sizeof s, sizeof s);
		int type = ELF64_ST_TYPE(s.st_info);
		if (s.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC) ||
		    s.st_name >= str->sh_size || !names[s.st_name])
			continue;
		if (!add(fs, (struct function){ s.st_value, s.st_size, names + s.st_name }))
			return;
	}
}

static bool read_tables(struct functions *fs, struct elf *e, uint32_t type)
{
	size_t n, before = fs->n;
	const Elf64_Shdr *sh = elf_sections(e, &n);
	for (size_t i = 0; i < n; i++)
		if (sh[i].sh_type == type && sh[i].sh_link < n)
			read_table(fs, e, &sh[i], &sh[sh[i].sh_link]);
	return fs->n > before;
}

static int by_start(const void *a, const void *b)
{
	const struct function *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->size < y->size ? -1 : x->size > y->size;
}

struct functions *functions_read(struct target *t, struct elf *e, const char *build_id)
{
	struct functions *fs = calloc(1, sizeof *fs);
	if (!fs)
		return NULL;
	if (!read_tables(fs, e, SHT_SYMTAB)) {
		fs->debug = debug_file_open(t, build_id);
		if (!fs->debug || !read_tables(fs, fs->debug, SHT_SYMTAB))
			read_tables(fs, e, SHT_DYNSYM);
	}
	if (fs->n)
		qsort(fs->items, fs->n, sizeof *fs->items, by_start);
	return fs;
}

void functions_free(struct functions *fs)
{
	if (!fs)
		return;
	elf_close(fs->debug);
	free(fs->items);
	free(fs);
}

bool functions_find(const struct functions *fs, uint64_t vaddr, const char **name,
		    uint64_t *start)
{
	size_t lo = 0, hi = fs->n;
	while (lo < hi) { /* the last that starts at or below */
		size_t mid = lo + (hi - lo) / 2;
		if (fs->items[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	const struct function *f = &fs->items[lo - 1];
	if (f->size ? vaddr - f->start >= f->size : vaddr - f->start > 65536)
		return false;
	*name = f->name;
	*start = f->start;
	return true;
}

/* .debug_aranges says which unit holds an address; compilers may leave it out (clang
 * does), then the ranges of all units are gathered once. */
#include "symbols/lines.h"

#include <elfutils/libdw.h>
#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "symbols/debugfile.h"

#define DEBUG_MAX (1ull << 30)   /* all sections of one file */
/* libelf decompresses a section whole, all of them when it opens: 5 ms and more for a
 * megabyte, 50 for libc's. A stack may not take that long. */
#define COMPRESSED_MAX (1u << 20)
#define ARANGES_MAX (16u << 20)
#define UNIT_MAX (8u << 20)      /* one line program: sqlite's, in one file, has 0.3 MB */
#define PROGRAMS_MAX (32u << 20) /* all that are run for one file; 40 bytes a row each */
#define UNITS_MAX 65536u
#define RANGES_MAX (1u << 20)
#define UNIT_HEAD 1024u
#define GATHER_NS 300000000ll

struct range {
	uint64_t start, end;
	Dwarf_Off unit;          /* of its DIE */
};

struct lines {
	struct elf *debug;       /* NULL: in the module's own file */
	struct elf *file;        /* that or the module's */
	Elf *elf;
	Dwarf *dwarf;
	Elf_Data *programs;      /* .debug_line, decompressed */
	uint64_t programs_at;    /* its offset in the file where it is read by parts, else 0 */
	uint64_t run;            /* bytes of programs that were run */
	uint64_t units[64];      /* offsets of programs that were run, where known */
	size_t nunits;
	bool aranges, gathered;
	struct range *ranges;    /* by start */
	size_t n, cap;
};

static bool has_bytes(struct elf *e, const char *name)
{
	Elf64_Shdr s;
	return elf_section(e, name, &s) && s.sh_type != SHT_NOBITS && s.sh_size;
}

static bool usable(struct elf *e)
{
	size_t n;
	uint64_t all = 0, compressed = 0, size;
	const Elf64_Shdr *sh = elf_sections(e, &n);
	if (elf_fd(e) < 0 || !has_bytes(e, ".debug_info") || !has_bytes(e, ".debug_line") ||
	    has_bytes(e, ".gnu_debugaltlink"))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (sh[i].sh_type != SHT_PROGBITS || sh[i].sh_flags & SHF_ALLOC)
			continue;
		size = sh[i].sh_size;
		if (sh[i].sh_flags & SHF_COMPRESSED) {
			const Elf64_Chdr *c = size >= sizeof *c ? elf_bytes(e, sh[i].sh_offset, sizeof *c) : NULL;
			size = c ? c->ch_size : UINT64_MAX;
			if (size > COMPRESSED_MAX || (compressed += size) > COMPRESSED_MAX)
				return false;
		}
		if (size > DEBUG_MAX || (all += size) > DEBUG_MAX)
			return false;
	}
	return true;
}

/* The first bytes of each unit of .debug_info, which hold its header and its own DIE:
 * all that is asked of it, a few percent of the section. */
static bool fetch_units(struct elf *e, const Elf64_Shdr *sh)
{
	uint64_t at = 0;
	for (unsigned i = 0; i < UNITS_MAX && sh->sh_size - at > sizeof(uint32_t); i++) {
		uint32_t len;
		uint64_t left = sh->sh_size - at;
		const void *p = elf_bytes(e, sh->sh_offset + at, left < UNIT_HEAD ? left : UNIT_HEAD);
		if (!p)
			return false;
		memcpy(&len, p, sizeof len);
		if (len == UINT32_MAX) /* 64-bit DWARF */
			return elf_bytes(e, sh->sh_offset, sh->sh_size);
		if (len > left - sizeof len)
			break;
		at += sizeof len + len;
	}
	return true;
}

static bool fetch(struct lines *ls, const char *name)
{
	Elf64_Shdr sh;
	if (!elf_section(ls->file, name, &sh) || sh.sh_type == SHT_NOBITS)
		return true;
	return elf_bytes(ls->file, sh.sh_offset, sh.sh_size);
}

/* What libdw will look at has to be there before it looks. What is compressed it
 * decompresses at once. */
static bool fetch_sections(struct lines *ls)
{
	static const char *const whole[] = {
		".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_aranges", ".debug_addr",
		".debug_str_offsets",
	};
	size_t n;
	Elf64_Shdr info;
	const Elf64_Shdr *sh = elf_sections(ls->file, &n);
	for (size_t i = 0; i < n; i++)
		if (sh[i].sh_flags & SHF_COMPRESSED && !elf_bytes(ls->file, sh[i].sh_offset, sh[i].sh_size))
			return false;
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
		if (!fetch(ls, whole[i]))
			return false;
	return elf_section(ls->file, ".debug_info", &info) &&
	       (info.sh_flags & SHF_COMPRESSED || fetch_units(ls->file, &info));
}

/* Over bytes that were read: a mapped file that shrinks kills its reader. */
static bool start(struct lines *ls)
{
	size_t names;
	GElf_Shdr sh;
	if (!fetch_sections(ls))
		return false;
	elf_version(EV_CURRENT);
	/* It takes char *, and writes only where it was opened to write. */
	ls->elf = elf_memory((char *)(uintptr_t)elf_bytes(ls->file, 0, 0), elf_size(ls->file));
	ls->dwarf = ls->elf ? dwarf_begin_elf(ls->elf, DWARF_C_READ, NULL) : NULL;
	if (!ls->dwarf || elf_getshdrstrndx(ls->elf, &names) != 0)
		return false;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(ls->elf, s));) {
		const char *name = gelf_getshdr(s, &sh) ? elf_strptr(ls->elf, names, sh.sh_name) : NULL;
		if (name && strcmp(name, ".debug_line") == 0)
			ls->programs = elf_rawdata(s, NULL);
		if (name && strcmp(name, ".debug_aranges") == 0)
			ls->aranges = sh.sh_size <= ARANGES_MAX;
	}
	Elf64_Shdr line;
	if (elf_section(ls->file, ".debug_line", &line) && !(line.sh_flags & SHF_COMPRESSED))
		ls->programs_at = line.sh_offset;
	return ls->programs && ls->programs->d_buf;
}

struct lines *lines_read(struct target *t, struct elf *e, const char *path, const char *build_id)
{
	bool own = usable(e);
	struct elf *debug = own ? NULL : debug_file_open(t, build_id);
	if (!own && (!debug || !usable(debug))) {
		elf_close(debug);
		debug = debug_link_open(t, e, path, build_id);
	}
	struct lines *ls = own || debug ? calloc(1, sizeof *ls) : NULL;
	if (!ls) {
		elf_close(debug);
		return NULL;
	}
	ls->debug = debug;
	ls->file = own ? e : debug;
	if ((!own && !usable(debug)) || !start(ls)) {
		lines_free(ls);
		return NULL;
	}
	return ls;
}

void lines_free(struct lines *ls)
{
	if (!ls)
		return;
	dwarf_end(ls->dwarf);
	elf_end(ls->elf);
	elf_close(ls->debug);
	free(ls->ranges);
	free(ls);
}

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static bool add(struct lines *ls, uint64_t from, uint64_t end, Dwarf_Off unit)
{
	if (ls->n == ls->cap) {
		size_t cap = ls->cap ? 2 * ls->cap : 256;
		struct range *v = cap <= RANGES_MAX ? reallocarray(ls->ranges, cap, sizeof *v) : NULL;
		if (!v)
			return false;
		ls->ranges = v;
		ls->cap = cap;
	}
	ls->ranges[ls->n++] = (struct range){ from, end, unit };
	return true;
}

static int order(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

static void gather(struct lines *ls)
{
	Dwarf_Off at = 0, next;
	size_t hdr;
	int64_t stop = now_ns() + GATHER_NS;
	ls->gathered = true;
	if (!fetch(ls, ".debug_ranges") || !fetch(ls, ".debug_rnglists"))
		return;
	for (unsigned i = 0; i < UNITS_MAX; i++, at = next) {
		Dwarf_Die cu;
		Dwarf_Addr base, from, end;
		if (dwarf_nextcu(ls->dwarf, at, &next, &hdr, NULL, NULL, NULL) != 0 || now_ns() > stop)
			break;
		if (!dwarf_offdie(ls->dwarf, at + hdr, &cu))
			continue;
		/* Ranges at 0 are of functions that the linker dropped. */
		for (ptrdiff_t k = 0; (k = dwarf_ranges(&cu, k, &base, &from, &end)) > 0;)
			if (from && from < end && (!add(ls, from, end, at + hdr) || now_ns() > stop))
				goto sorted;
	}
sorted:
	if (ls->n)
		qsort(ls->ranges, ls->n, sizeof *ls->ranges, order);
}

static bool unit_of(struct lines *ls, uint64_t vaddr, Dwarf_Die *cu)
{
	if (ls->aranges && dwarf_addrdie(ls->dwarf, vaddr, cu))
		return true;
	if (!ls->gathered)
		gather(ls);
	size_t lo = 0, hi = ls->n;
	while (lo < hi) { /* the last that starts at or below */
		size_t mid = lo + (hi - lo) / 2;
		if (ls->ranges[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && vaddr < ls->ranges[lo - 1].end && dwarf_offdie(ls->dwarf, ls->ranges[lo - 1].unit, cu);
}

/* May the unit's line program be run: is it of a sane length, and within the budget? */
static bool affordable(struct lines *ls, Dwarf_Die *cu)
{
	Dwarf_Attribute at;
	Dwarf_Word off;
	uint32_t len;
	if (!dwarf_attr(cu, DW_AT_stmt_list, &at) || dwarf_formudata(&at, &off) != 0 ||
	    off > ls->programs->d_size || ls->programs->d_size - off < sizeof len)
		return false;
	for (size_t i = 0; i < ls->nunits; i++)
		if (ls->units[i] == off)
			return true;
	if (ls->programs_at && !elf_bytes(ls->file, ls->programs_at + off, sizeof len))
		return false;
	memcpy(&len, (const char *)ls->programs->d_buf + off, sizeof len);
	if (len > UNIT_MAX || ls->run + len > PROGRAMS_MAX) /* 64-bit DWARF says 0xffffffff */
		return false;
	uint64_t left = ls->programs->d_size - off - sizeof len;
	if (len > left || (ls->programs_at && !elf_bytes(ls->file, ls->programs_at + off, sizeof len + len)))
		return false;
	ls->run += len;
	if (ls->nunits < sizeof ls->units / sizeof *ls->units)
		ls->units[ls->nunits++] = off;
	return true;
}

bool lines_find(struct lines *ls, uint64_t vaddr, const char **file, int *line)
{
	Dwarf_Die cu;
	if (!unit_of(ls, vaddr, &cu) || !affordable(ls, &cu))
		return false;
	Dwarf_Line *l = dwarf_getsrc_die(&cu, vaddr);
	if (!l || dwarf_lineno(l, line) != 0 || *line <= 0)
		return false;
	*file = dwarf_linesrc(l, NULL, NULL);
	return *file && **file;
}

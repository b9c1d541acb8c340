/* Mappings of a core: its segments, cut where the files mapped there begin and end. */
#include "attach/core.h"

#include <stdlib.h>
#include <string.h>

#define IN_PAGE ((uint64_t)IMAGE_PAGE - 1)
#define PF_LISTED PF_MASKOS /* in p_flags: a range of NT_FILE without a segment */

static int by_address(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b; /* both structs begin with their start */
	return *x < *y ? -1 : *x > *y;
}

/* The index + 1 of the file of that name. They come in runs, so the last one first. */
static uint32_t file_index(struct core *c, const struct core_range *r)
{
	static const char gone[] = " (deleted)";
	size_t len = strlen(r->path), ngone = sizeof gone - 1;
	bool deleted = len > ngone && strcmp(r->path + len - ngone, gone) == 0;
	if (deleted)
		len -= ngone;
	for (size_t i = c->nfiles; i-- > 0 && c->nfiles - i < 64;) {
		struct core_file *f = &c->files[i];
		if (strncmp(f->path, r->path, len) == 0 && !f->path[len]) {
			if (r->offset == 0 && !f->base)
				f->base = r->start;
			return (uint32_t)i + 1;
		}
	}
	const char *path = arena_strn(c->arena, r->path, len);
	if (!path)
		return 0;
	c->files[c->nfiles] = (struct core_file){
		.path = path, .deleted = deleted, .base = r->offset ? 0 : r->start, .fd = -1,
	};
	return (uint32_t)++c->nfiles;
}

struct pieces {
	struct core *c;
	size_t cap;
};

static bool add_piece(struct pieces *p, uint64_t start, uint64_t end, uint32_t flags,
		      uint64_t offset, uint64_t dumped, const struct core_range *file)
{
	struct core *c = p->c;
	if (c->nsegments == p->cap || start >= end)
		return start >= end;
	struct core_segment *s = &c->segments[c->nsegments];
	struct mapping *m = &c->t.mappings[c->nsegments++];
	*s = (struct core_segment){ .start = start, .end = end, .offset = offset,
				    .dumped = dumped, .listed = flags & PF_LISTED };
	*m = (struct mapping){
		.start = start, .end = end, .path = start == c->vdso ? "[vdso]" : "",
		.read = flags & PF_R, .write = flags & PF_W, .exec = flags & PF_X,
	};
	if (!file)
		return true;
	s->file = file_index(c, file);
	if (!s->file)
		return false;
	s->file_offset = file->offset + (start - file->start);
	m->offset = s->file_offset;
	m->inode = s->file; /* any number that tells files apart */
	m->path = c->files[s->file - 1].path;
	m->deleted = c->files[s->file - 1].deleted;
	return true;
}

/* One segment, cut at the ranges of files that lie in it; *k moves along with them. */
static bool add_load(struct pieces *p, const Elf64_Phdr *ph, const struct core_range *r,
		     size_t n, size_t *k)
{
	uint64_t at = ph->p_vaddr, end = at + ph->p_memsz;
	uint64_t size = p->c->size, there = ph->p_offset < size ? size - ph->p_offset : 0;
	uint64_t dumped = ph->p_filesz < there ? ph->p_filesz : there;
	while (at < end) {
		while (*k < n && r[*k].end <= at)
			++*k;
		bool in = *k < n && r[*k].start <= at;
		uint64_t stop = *k == n ? end : in ? r[*k].end : r[*k].start;
		stop = stop < end ? stop : end;
		uint64_t done = at - ph->p_vaddr, has = dumped > done ? dumped - done : 0;
		has = has < stop - at ? has : stop - at;
		if (!add_piece(p, at, stop, ph->p_flags, ph->p_offset + done, has, in ? &r[*k] : NULL))
			return false;
		at = stop;
	}
	return true;
}

/* Segments in order, whole pages, apart from each other. */
static size_t clean_loads(Elf64_Phdr *ph, size_t n)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t start = ph[i].p_vaddr, size = (ph[i].p_memsz + IN_PAGE) & ~IN_PAGE;
		if (ph[i].p_type != PT_LOAD || size == 0 || (start & IN_PAGE) || size < ph[i].p_memsz ||
		    start + size < start || start + size > 1ull << 57)
			continue;
		ph[k] = ph[i];
		ph[k++].p_memsz = size;
	}
	return k;
}

struct load { uint64_t start; size_t i; };

static bool covered(const Elf64_Phdr *ph, const struct load *order, size_t n, uint64_t addr,
		    uint64_t *next)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (order[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	*next = lo < n ? order[lo].start : UINT64_MAX;
	return lo > 0 && addr - order[lo - 1].start < ph[order[lo - 1].i].p_memsz;
}

/* gcore leaves mappings out that it does not dump; the list of files has them. */
static size_t add_listed(Elf64_Phdr *ph, const struct load *order, size_t n,
			 const struct core_range *r, size_t nranges)
{
	size_t k = n;
	for (size_t i = 0; i < nranges; i++) {
		uint64_t next, end = r[i].end;
		if (r[i].start >= end || covered(ph, order, n, r[i].start, &next))
			continue;
		end = end < next ? end : next;
		ph[k++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_LISTED,
					.p_vaddr = r[i].start, .p_memsz = end - r[i].start };
	}
	return clean_loads(ph, k);
}

static void in_order(struct load *order, const Elf64_Phdr *ph, size_t n)
{
	for (size_t i = 0; i < n; i++)
		order[i] = (struct load){ ph[i].p_vaddr, i };
	if (n)
		qsort(order, n, sizeof *order, by_address);
}

/* Ranges of whole pages; no one maps others. */
static size_t clean_ranges(struct core_range *r, size_t n)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (r[i].start < r[i].end && r[i].end <= 1ull << 57 && !((r[i].start | r[i].end) & IN_PAGE))
			r[k++] = r[i];
	return k;
}

err_t core_build_mappings(struct core *c, const Elf64_Phdr *given, size_t n,
			  struct core_range *ranges, size_t nranges)
{
	Elf64_Phdr *ph = calloc(n + nranges + 1, sizeof *ph);
	struct load *order = calloc(n + nranges + 1, sizeof *order);
	struct pieces p = { c, 2 * (n + 2 * nranges) + 1 };
	c->t.mappings = arena_array(c->arena, p.cap, sizeof *c->t.mappings);
	c->segments = arena_array(c->arena, p.cap, sizeof *c->segments);
	c->files = arena_array(c->arena, nranges + 1, sizeof *c->files);
	bool fine = ph && order && c->t.mappings && c->segments && c->files;
	if (fine) {
		memcpy(ph, given, n * sizeof *ph);
		n = clean_loads(ph, n);
		in_order(order, ph, n);
		nranges = clean_ranges(ranges, nranges);
		if (nranges)
			qsort(ranges, nranges, sizeof *ranges, by_address);
		n = add_listed(ph, order, n, ranges, nranges);
		in_order(order, ph, n);
	}
	uint64_t done = 0;
	for (size_t i = 0, k = 0; i < n && fine; i++) {
		const Elf64_Phdr *h = &ph[order[i].i];
		if (h->p_vaddr < done)
			continue; /* overlaps the one before: not a core as anyone writes it */
		done = h->p_vaddr + h->p_memsz;
		fine = add_load(&p, h, ranges, nranges, &k);
	}
	c->t.nmappings = c->nsegments;
	free(ph);
	free(order);
	for (size_t i = 0; i < c->nsegments && fine; i++) {
		const struct core_segment *s = &c->segments[i];
		if (s->listed && s->file)
			c->t.mappings[i].exec =
				core_file_access(c, &c->files[s->file - 1], s->file_offset) & PF_X;
	}
	return fine ? NULL : ERR_NOMEM;
}

struct core_segment *core_segment_at(struct core *c, uint64_t addr)
{
	const struct mapping *m = target_mapping(&c->t, addr);
	return m ? &c->segments[m - c->t.mappings] : NULL;
}

bool core_read_dumped(struct core *c, uint64_t addr, void *buf, size_t len)
{
	char *to = buf;
	while (len) {
		const struct core_segment *s = core_segment_at(c, addr);
		uint64_t at = s ? addr - s->start : 0;
		if (!s || at >= s->dumped)
			return false;
		size_t step = s->dumped - at < len ? s->dumped - at : len;
		if (!read_at(c->fd, s->offset + at, to, step))
			return false;
		addr += step;
		to += step;
		len -= step;
	}
	return true;
}

#include "symbols/elf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/oom.h"
#include "symbols/filebytes.h"

#define MAX_PHDRS 128          /* ld writes about a dozen */
#define MAX_NAME 4096u
#define MAX_CHAIN (1u << 20)   /* symbols of one hash bucket */
#define MAX_DYN 1024

struct elf {
	struct filebytes file; /* of one in memory: no descriptor, no bytes */
	struct image *image;   /* for an ELF in memory */
	uint64_t bias;
	Elf64_Ehdr eh;
	Elf64_Phdr *ph;
	size_t nph;
	bool dyn_read, dyn_ok;
	uint64_t gnu_hash, hash, symtab, strtab, strsz, soname;
	uint64_t needed[64];
	size_t nneeded;
	const Elf64_Shdr *sh;
	size_t nsh;
	uint64_t names, names_end; /* the section name table, offsets in the file */
	bool sh_read;
};

const void *elf_bytes(struct elf *e, uint64_t offset, uint64_t len)
{
	return filebytes_at(&e->file, offset, len);
}

bool elf_copy(struct elf *e, uint64_t offset, uint64_t len, void *to)
{
	return filebytes_copy(&e->file, offset, len, to);
}

/* The segment whose bytes in the file hold vaddr; *into: how far into it that is. */
static const Elf64_Phdr *segment_at(const struct elf *e, uint64_t vaddr, uint64_t *into)
{
	for (size_t i = 0; i < e->nph; i++) {
		const Elf64_Phdr *p = &e->ph[i];
		*into = vaddr - p->p_vaddr;
		if (p->p_type == PT_LOAD && vaddr >= p->p_vaddr && *into < p->p_filesz)
			return p;
	}
	return NULL;
}

const void *elf_near(struct elf *e, uint64_t vaddr, uint64_t len, uint64_t *before, uint64_t *behind)
{
	uint64_t into;
	const Elf64_Phdr *p = segment_at(e, vaddr, &into);
	if (!p || len > p->p_filesz - into)
		return NULL;
	const void *bytes = filebytes_near(&e->file, p->p_offset + into, len, before, behind);
	if (!bytes)
		return NULL;
	*before = *before < into ? *before : into;
	*behind = *behind < p->p_filesz - into - len ? *behind : p->p_filesz - into - len;
	return bytes;
}

size_t elf_copy_at(struct elf *e, uint64_t vaddr, size_t most, void *to)
{
	uint64_t into;
	const Elf64_Phdr *p = segment_at(e, vaddr, &into);
	if (p && most > p->p_filesz - into)
		most = p->p_filesz - into;
	return p && filebytes_copy(&e->file, p->p_offset + into, most, to) ? most : 0;
}

const void *elf_at(struct elf *e, uint64_t vaddr, uint64_t len)
{
	uint64_t before, behind;
	if (e->image)
		return image_at(e->image, vaddr + e->bias, len);
	return elf_near(e, vaddr, len, &before, &behind);
}

const char *elf_string(struct elf *e, uint64_t offset, uint64_t end)
{
	if (end > e->file.size)
		end = e->file.size;
	for (uint64_t n = 64; offset < end; n *= 4) {
		uint64_t len = end - offset < n ? end - offset : n;
		const char *s = elf_bytes(e, offset, len);
		if (!s)
			return NULL;
		if (memchr(s, 0, len))
			return s;
		if (len < n || n > MAX_NAME)
			return NULL;
	}
	return NULL;
}

/* Is the string at vaddr exactly `name`? */
static bool name_is(struct elf *e, uint64_t vaddr, const char *name, size_t len)
{
	const char *s = elf_at(e, vaddr, len + 1);
	return s && memcmp(s, name, len + 1) == 0;
}

static err_t read_headers(struct elf *e, uint64_t start)
{
	const Elf64_Ehdr *eh = e->image ? image_at(e->image, start, sizeof *eh)
					: elf_bytes(e, 0, sizeof *eh);
	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
		return err_new(E_BADDATA, "not an ELF file");
	memcpy(&e->eh, eh, sizeof e->eh);
	if (e->eh.e_ident[EI_CLASS] != ELFCLASS64 || e->eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return err_new(E_BADDATA, "not a 64-bit little-endian ELF file");
	if (e->eh.e_phnum > MAX_PHDRS || (e->eh.e_phnum && e->eh.e_phentsize != sizeof(Elf64_Phdr)))
		return err_new(E_BADDATA, "its program headers make no sense");
	size_t len = e->eh.e_phnum * sizeof(Elf64_Phdr);
	const void *ph = e->image ? image_at(e->image, start + e->eh.e_phoff, len)
				  : elf_bytes(e, e->eh.e_phoff, len);
	if (len && !ph)
		return err_new(E_BADDATA, "its program headers are missing");
	e->ph = oom_check(calloc(e->eh.e_phnum + 1u, sizeof *e->ph));
	if (!e->ph)
		return ERR_NOMEM;
	if (len)
		memcpy(e->ph, ph, len);
	e->nph = e->eh.e_phnum;
	return NULL;
}

err_t elf_open_file(int fd, struct elf **out)
{
	struct elf *e = oom_check(calloc(1, sizeof *e));
	if (!e) {
		close(fd);
		return ERR_NOMEM;
	}
	err_t err = filebytes_open(&e->file, fd, sizeof(Elf64_Ehdr));
	if (!err)
		err = read_headers(e, 0);
	if (err)
		elf_close(e);
	else
		*out = e;
	return err;
}

err_t elf_open_memory(struct image *img, uint64_t start, struct elf **out)
{
	struct elf *e = oom_check(calloc(1, sizeof *e));
	if (!e)
		return ERR_NOMEM;
	e->file.fd = -1;
	e->image = img;
	err_t err = read_headers(e, start);
	if (err) {
		elf_close(e);
		return err;
	}
	/* The header is at file offset 0; the segment that holds it says its address. */
	e->bias = start;
	for (size_t i = 0; i < e->nph; i++)
		if (e->ph[i].p_type == PT_LOAD && e->ph[i].p_offset < 4096) {
			e->bias = start - (e->ph[i].p_vaddr - e->ph[i].p_offset);
			break;
		}
	*out = e;
	return NULL;
}

void elf_close(struct elf *e)
{
	if (!e)
		return;
	filebytes_close(&e->file);
	free(e->ph);
	free(e);
}

const Elf64_Ehdr *elf_header(const struct elf *e)
{
	return &e->eh;
}

const Elf64_Phdr *elf_phdrs(const struct elf *e, size_t *n)
{
	*n = e->nph;
	return e->ph;
}

uint64_t elf_size(const struct elf *e)
{
	return e->file.size;
}

int elf_fd(const struct elf *e)
{
	return e->file.fd;
}

/* glibc adds the bias to addresses in a mapped dynamic segment, musl does not: an
 * address at or above the bias has it already. */
static uint64_t dyn_addr(const struct elf *e, uint64_t v)
{
	return e->image && e->bias && v >= e->bias ? v - e->bias : v;
}

static void read_dyn_entry(struct elf *e, const Elf64_Dyn *d)
{
	switch (d->d_tag) {
	case DT_GNU_HASH: e->gnu_hash = dyn_addr(e, d->d_un.d_ptr); break;
	case DT_HASH: e->hash = dyn_addr(e, d->d_un.d_ptr); break;
	case DT_SYMTAB: e->symtab = dyn_addr(e, d->d_un.d_ptr); break;
	case DT_STRTAB: e->strtab = dyn_addr(e, d->d_un.d_ptr); break;
	case DT_STRSZ: e->strsz = d->d_un.d_val; break;
	case DT_SONAME: e->soname = d->d_un.d_val; break;
	case DT_NEEDED:
		if (e->nneeded < sizeof e->needed / sizeof *e->needed)
			e->needed[e->nneeded++] = d->d_un.d_val;
		break;
	default: break;
	}
}

static bool read_dynamic(struct elf *e)
{
	if (e->dyn_read)
		return e->dyn_ok;
	e->dyn_read = true;
	for (size_t i = 0; i < e->nph; i++) {
		if (e->ph[i].p_type != PT_DYNAMIC)
			continue;
		for (size_t n = 0; n < MAX_DYN; n++) {
			Elf64_Dyn d;
			const void *p = elf_at(e, e->ph[i].p_vaddr + n * sizeof d, sizeof d);
			if (!p)
				break;
			memcpy(&d, p, sizeof d);
			if (d.d_tag == DT_NULL)
				break;
			read_dyn_entry(e, &d);
		}
	}
	e->dyn_ok = e->symtab && e->strtab && e->strsz;
	return e->dyn_ok;
}

static bool read_u32(struct elf *e, uint64_t vaddr, uint32_t *v)
{
	const void *p = elf_at(e, vaddr, 4);
	if (p)
		memcpy(v, p, 4);
	return p;
}

/* Symbol i of the dynamic table, if it has that name and is defined here. */
static bool symbol_is(struct elf *e, uint64_t i, const char *name, size_t len, Elf64_Sym *out)
{
	const void *p = elf_at(e, e->symtab + i * sizeof *out, sizeof *out);
	if (!p)
		return false;
	memcpy(out, p, sizeof *out);
	return out->st_shndx != SHN_UNDEF && out->st_name < e->strsz &&
	       name_is(e, e->strtab + out->st_name, name, len);
}

static bool gnu_lookup(struct elf *e, const char *name, size_t len, Elf64_Sym *out)
{
	uint32_t h = 5381, hdr[4], i, hi;
	for (size_t k = 0; k < len; k++)
		h = h * 33 + (uint8_t)name[k];
	const void *p = elf_at(e, e->gnu_hash, sizeof hdr);
	if (!p)
		return false;
	memcpy(hdr, p, sizeof hdr); /* nbuckets, symoffset, bloom_size, bloom_shift */
	if (!hdr[0] || !hdr[2])
		return false;
	uint64_t word;
	p = elf_at(e, e->gnu_hash + 16 + 8ull * (h / 64 % hdr[2]), 8);
	if (!p)
		return false;
	memcpy(&word, p, 8);
	if (!(word >> (h % 64) & 1) || !(word >> ((h >> (hdr[3] & 31)) % 64) & 1))
		return false;
	uint64_t buckets = e->gnu_hash + 16 + 8ull * hdr[2], chains = buckets + 4ull * hdr[0];
	if (!read_u32(e, buckets + 4ull * (h % hdr[0]), &i) || i < hdr[1])
		return false;
	for (uint32_t n = 0; n < MAX_CHAIN; n++, i++) {
		if (!read_u32(e, chains + 4ull * (i - hdr[1]), &hi))
			return false;
		if ((hi | 1) == (h | 1) && symbol_is(e, i, name, len, out))
			return true;
		if (hi & 1)
			return false;
	}
	return false;
}

static bool sysv_lookup(struct elf *e, const char *name, size_t len, Elf64_Sym *out)
{
	uint32_t h = 0, nbucket, nchain, i;
	for (size_t k = 0; k < len; k++) {
		h = (h << 4) + (uint8_t)name[k];
		h = (h ^ (h & 0xf0000000u) >> 24) & ~0xf0000000u;
	}
	if (!read_u32(e, e->hash, &nbucket) || !read_u32(e, e->hash + 4, &nchain) || !nbucket ||
	    !read_u32(e, e->hash + 8 + 4ull * (h % nbucket), &i))
		return false;
	for (uint32_t n = 0; i && i < nchain && n < nchain && n < MAX_CHAIN; n++) {
		if (symbol_is(e, i, name, len, out))
			return true;
		if (!read_u32(e, e->hash + 8 + 4ull * nbucket + 4ull * i, &i))
			return false;
	}
	return false;
}

bool elf_static_symbol(struct elf *e, const char *name, Elf64_Sym *out)
{
	size_t n;
	const Elf64_Shdr *sh = elf_sections(e, &n);
	for (size_t i = 0; i < n; i++) {
		if (sh[i].sh_type != SHT_SYMTAB || sh[i].sh_link >= n)
			continue;
		const Elf64_Shdr *str = &sh[sh[i].sh_link];
		const uint8_t *syms = elf_bytes(e, sh[i].sh_offset, sh[i].sh_size);
		const char *names = elf_bytes(e, str->sh_offset, str->sh_size);
		size_t len = strlen(name);
		for (uint64_t k = 0; syms && names && k < sh[i].sh_size / sizeof *out; k++) {
			memcpy(out, syms + k * sizeof *out, sizeof *out);
			if (out->st_shndx != SHN_UNDEF && out->st_name < str->sh_size &&
			    len < str->sh_size - out->st_name &&
			    memcmp(names + out->st_name, name, len + 1) == 0)
				return true;
		}
	}
	return false;
}

bool elf_symbol(struct elf *e, const char *name, Elf64_Sym *out)
{
	size_t len = strlen(name);
	if (!read_dynamic(e))
		return false;
	return e->gnu_hash ? gnu_lookup(e, name, len, out)
			   : e->hash && sysv_lookup(e, name, len, out);
}

const Elf64_Shdr *elf_sections(struct elf *e, size_t *n)
{
	if (!e->sh_read) {
		e->sh_read = true;
		uint64_t count = e->eh.e_shnum, strndx = e->eh.e_shstrndx;
		const Elf64_Shdr *first = NULL;
		/* Aligned in any file that a linker wrote; others are done without. */
		if (e->eh.e_shoff && e->eh.e_shoff % 8 == 0 && e->eh.e_shentsize == sizeof *first)
			first = elf_bytes(e, e->eh.e_shoff, sizeof *first);
		if (first && !count)
			count = first->sh_size;
		if (first && strndx == SHN_XINDEX)
			strndx = first->sh_link;
		if (first && count <= e->file.size / sizeof *first)
			e->sh = elf_bytes(e, e->eh.e_shoff, count * sizeof *first);
		e->nsh = e->sh ? count : 0;
		if (strndx < e->nsh && e->sh[strndx].sh_offset <= e->file.size &&
		    e->sh[strndx].sh_size <= e->file.size - e->sh[strndx].sh_offset) {
			e->names = e->sh[strndx].sh_offset;
			e->names_end = e->names + e->sh[strndx].sh_size;
		}
	}
	*n = e->nsh;
	return e->sh;
}

bool elf_section(struct elf *e, const char *name, Elf64_Shdr *out)
{
	size_t n;
	const Elf64_Shdr *sh = elf_sections(e, &n);
	for (size_t i = 0; i < n; i++) {
		const char *s = elf_string(e, e->names + sh[i].sh_name, e->names_end);
		if (s && strcmp(s, name) == 0) {
			*out = sh[i];
			return true;
		}
	}
	return false;
}

const uint8_t *elf_build_id(struct elf *e, size_t *len)
{
	for (size_t i = 0; i < e->nph; i++) {
		const Elf64_Phdr *p = &e->ph[i];
		if (p->p_type != PT_NOTE || p->p_filesz > 65536)
			continue;
		for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= p->p_filesz;) {
			Elf64_Nhdr nh;
			const uint8_t *b = elf_at(e, p->p_vaddr + at, sizeof nh);
			if (!b)
				break;
			memcpy(&nh, b, sizeof nh);
			uint64_t name = (nh.n_namesz + 3ull) & ~3ull, desc = (nh.n_descsz + 3ull) & ~3ull;
			uint64_t desc_at = at + sizeof nh + name;
			if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && nh.n_descsz &&
			    nh.n_descsz <= 64 && name_is(e, p->p_vaddr + at + sizeof nh, "GNU", 3)) {
				*len = nh.n_descsz;
				return elf_at(e, p->p_vaddr + desc_at, nh.n_descsz);
			}
			at = desc_at + desc;
		}
	}
	return NULL;
}

bool elf_each_needed(struct elf *e, bool (*f)(void *ctx, const char *name), void *ctx)
{
	if (!read_dynamic(e))
		return false;
	for (size_t i = 0; i <= e->nneeded; i++) {
		uint64_t off = i < e->nneeded ? e->needed[i] : e->soname;
		uint64_t len = off < e->strsz && e->strsz - off < 256 ? e->strsz - off : 256;
		const char *s = off && off < e->strsz ? elf_at(e, e->strtab + off, len) : NULL;
		if (s && memchr(s, 0, len) && f(ctx, s))
			return true;
	}
	return false;
}

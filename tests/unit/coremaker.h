/* Makes core dumps and small ELF files for tests, byte by byte. */
#ifndef TESTS_UNIT_COREMAKER_H
#define TESTS_UNIT_COREMAKER_H

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#define PAGE 4096u

struct maker {
	Elf64_Phdr *ph;
	size_t nph, cap;
	const uint8_t **bytes;    /* of each segment; NULL: zeros */
	uint8_t *notes;
	size_t nnotes;
	size_t split;             /* where in them a second PT_NOTE segment begins; 0: one is all */
	bool unaligned;           /* as gcore: segments right behind each other */
	uint16_t machine, type;
	uint8_t class;
};

static inline void make_load(struct maker *m, uint64_t addr, uint64_t memsz, uint64_t filesz,
			     uint32_t flags, const void *bytes)
{
	if (m->nph == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 16;
		m->ph = realloc(m->ph, m->cap * sizeof *m->ph);
		m->bytes = realloc(m->bytes, m->cap * sizeof *m->bytes);
	}
	m->ph[m->nph] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = flags, .p_vaddr = addr,
				      .p_memsz = memsz, .p_filesz = filesz, .p_align = PAGE };
	m->bytes[m->nph++] = bytes;
}

static inline size_t note_bytes(uint8_t *to, const char *name, uint32_t type,
				const void *desc, size_t len)
{
	Elf64_Nhdr h = { (uint32_t)strlen(name) + 1, (uint32_t)len, type };
	size_t at = sizeof h, pad = (h.n_namesz + 3) & ~3u;
	memcpy(to, &h, sizeof h);
	memset(to + at, 0, pad);
	memcpy(to + at, name, h.n_namesz);
	memcpy(to + at + pad, desc, len);
	memset(to + at + pad + len, 0, (0u - len) & 3);
	return at + pad + ((len + 3) & ~(size_t)3);
}

static inline void make_note(struct maker *m, const char *name, uint32_t type,
			     const void *desc, size_t len)
{
	m->notes = realloc(m->notes, m->nnotes + len + 64);
	m->nnotes += note_bytes(m->notes + m->nnotes, name, type, desc, len);
}

static inline void make_thread(struct maker *m, int tid, int signal, uint64_t rip, uint64_t fs)
{
	struct elf_prstatus st = { .pr_pid = tid, .pr_cursig = (short)signal };
	st.pr_reg[16] = rip;
	st.pr_reg[21] = fs;
	make_note(m, "CORE", NT_PRSTATUS, &st, sizeof st);
}

static inline void make_process(struct maker *m, int pid, const char *name)
{
	struct elf_prpsinfo ps = { .pr_pid = pid };
	strncpy(ps.pr_fname, name, sizeof ps.pr_fname - 1);
	make_note(m, "CORE", NT_PRPSINFO, &ps, sizeof ps);
}

struct made_file { uint64_t start, end, offset; const char *path; };

static inline void make_files(struct maker *m, const struct made_file *f, size_t n)
{
	size_t len = 16 + 24 * n, at;
	for (size_t i = 0; i < n; i++)
		len += strlen(f[i].path) + 1;
	uint8_t *desc = calloc(1, len);
	uint64_t head[2] = { n, PAGE };
	memcpy(desc, head, 16);
	at = 16 + 24 * n;
	for (size_t i = 0; i < n; i++) {
		uint64_t v[3] = { f[i].start, f[i].end, f[i].offset / PAGE };
		memcpy(desc + 16 + 24 * i, v, 24);
		strcpy((char *)desc + at, f[i].path);
		at += strlen(f[i].path) + 1;
	}
	make_note(m, "CORE", NT_FILE, desc, len);
	free(desc);
}

/* Writes it; the size of the file. Frees what m holds. */
static inline uint64_t make_core(struct maker *m, const char *path)
{
	size_t nnote = m->split ? 2 : 1, n = m->nph + nnote;
	bool many = n >= PN_XNUM;
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, m->class ? m->class : ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT },
		.e_type = m->type ? m->type : ET_CORE, .e_machine = m->machine ? m->machine : EM_X86_64,
		.e_version = EV_CURRENT, .e_ehsize = sizeof eh, .e_phoff = sizeof eh,
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = many ? PN_XNUM : (uint16_t)n,
	};
	uint64_t at = sizeof eh + n * sizeof(Elf64_Phdr);
	Elf64_Shdr sh = { .sh_info = (uint32_t)n };
	if (many) {
		eh.e_shoff = at;
		eh.e_shnum = 1;
		eh.e_shentsize = sizeof sh;
		at += sizeof sh;
	}
	Elf64_Phdr note[2] = {
		{ .p_type = PT_NOTE, .p_offset = at, .p_filesz = m->split ? m->split : m->nnotes },
		{ .p_type = PT_NOTE, .p_offset = at + m->split, .p_filesz = m->nnotes - m->split },
	};
	size_t notes_size = nnote * sizeof *note;
	at += m->nnotes;
	for (size_t i = 0; i < m->nph; i++) {
		if (!m->unaligned)
			at = (at + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		m->ph[i].p_offset = at;
		at += m->ph[i].p_filesz;
	}
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	bool fine = pwrite(fd, &eh, sizeof eh, 0) == sizeof eh &&
		    pwrite(fd, note, notes_size, sizeof eh) == (ssize_t)notes_size &&
		    pwrite(fd, m->ph, m->nph * sizeof *note, (off_t)(sizeof eh + notes_size)) >= 0 &&
		    (!many || pwrite(fd, &sh, sizeof sh, (off_t)eh.e_shoff) == sizeof sh) &&
		    pwrite(fd, m->notes, m->nnotes, (off_t)note[0].p_offset) >= 0;
	for (size_t i = 0; i < m->nph && fine; i++)
		if (m->bytes[i])
			fine = pwrite(fd, m->bytes[i], m->ph[i].p_filesz, (off_t)m->ph[i].p_offset) >= 0;
	if (!fine || ftruncate(fd, (off_t)at) < 0)
		abort();
	close(fd);
	free(m->ph);
	free(m->bytes);
	free(m->notes);
	*m = (struct maker){ 0 };
	return at;
}

/* A library: page 0 with headers and build-id, page 1 text, page 2 relocated and
 * written to. Its bytes, to be freed. */
enum { LIB_PAGES = 3 };

static inline uint8_t *make_library(uint8_t id, bool with_id)
{
	uint8_t *p = calloc(LIB_PAGES, PAGE);
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_ehsize = sizeof eh, .e_phoff = sizeof eh, .e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = with_id ? 4 : 3,
	};
	uint8_t build[20];
	memset(build, id, sizeof build);
	size_t len = note_bytes(p + 512, "GNU", NT_GNU_BUILD_ID, build, sizeof build);
	Elf64_Phdr ph[4] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = PAGE, .p_memsz = PAGE },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = PAGE, .p_vaddr = PAGE,
		  .p_filesz = PAGE, .p_memsz = PAGE },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 2 * PAGE, .p_vaddr = 2 * PAGE,
		  .p_filesz = PAGE, .p_memsz = PAGE },
		{ .p_type = PT_NOTE, .p_flags = PF_R, .p_offset = 512, .p_vaddr = 512,
		  .p_filesz = len, .p_memsz = len },
	};
	memcpy(p, &eh, sizeof eh);
	memcpy(p + sizeof eh, ph, sizeof ph);
	p[100 + sizeof eh + sizeof ph] = id; /* in the header bytes that are compared */
	memset(p + PAGE, id + 1, 2 * PAGE);
	return p;
}

#endif

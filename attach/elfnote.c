#include "attach/elfnote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/oom.h"

#define NOTES_MAX (64u << 10) /* of a program or library; more is none we look for */
#define HEADERS_MAX 512

bool build_id_same(const struct build_id *a, const struct build_id *b)
{
	return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

const char *build_id_text(const struct build_id *id, char *text)
{
	memcpy(text, "none", sizeof "none");
	for (size_t i = 0; i < id->n; i++)
		sprintf(text + 2 * i, "%02x", id->bytes[i]);
	return text;
}

bool note_next(const uint8_t *segment, size_t len, size_t *at, struct note *out)
{
	Elf64_Nhdr h;
	if (*at > len || len - *at < sizeof h)
		return false;
	memcpy(&h, segment + *at, sizeof h);
	size_t pos = *at + sizeof h;
	size_t name = ((size_t)h.n_namesz + 3) & ~(size_t)3, desc = ((size_t)h.n_descsz + 3) & ~(size_t)3;
	if (name > len - pos || h.n_descsz > len - pos - name)
		return false;
	*out = (struct note){
		.type = h.n_type,
		.name = (const char *)segment + pos,
		.name_len = h.n_namesz ? h.n_namesz - 1 : 0,
		.desc = segment + pos + name,
		.desc_len = h.n_descsz,
	};
	/* The last one may go without its padding. */
	*at = desc > len - pos - name ? len : pos + name + desc;
	return true;
}

bool note_is(const struct note *n, const char *name, uint32_t type)
{
	return n->type == type && n->name_len == strlen(name) &&
	       memcmp(n->name, name, n->name_len) == 0;
}

bool elf_headers(const struct elf_source *s, Elf64_Ehdr *eh, Elf64_Phdr **ph)
{
	if (!s->read(s->ctx, 0, eh, sizeof *eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64 || eh->e_phentsize != sizeof **ph || eh->e_phnum > HEADERS_MAX)
		return false;
	*ph = oom_check(calloc(eh->e_phnum + 1u, sizeof **ph));
	if (*ph && s->read(s->ctx, eh->e_phoff, *ph, eh->e_phnum * sizeof **ph))
		return true;
	free(*ph);
	*ph = NULL;
	return false;
}

void elf_find_build_id(const struct elf_source *s, const Elf64_Phdr *ph, size_t n,
		       struct build_id *out)
{
	out->n = 0;
	for (size_t i = 0; i < n && !out->n; i++) {
		if (ph[i].p_type != PT_NOTE || ph[i].p_filesz > NOTES_MAX)
			continue;
		uint8_t *bytes = oom_check(malloc(ph[i].p_filesz + 1));
		struct note note;
		if (bytes && s->read(s->ctx, ph[i].p_offset, bytes, ph[i].p_filesz)) {
			for (size_t at = 0; note_next(bytes, ph[i].p_filesz, &at, &note);) {
				if (!note_is(&note, "GNU", NT_GNU_BUILD_ID) || note.desc_len > BUILD_ID_MAX)
					continue;
				memcpy(out->bytes, note.desc, note.desc_len);
				out->n = note.desc_len;
				break;
			}
		}
		free(bytes);
	}
}

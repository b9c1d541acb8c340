/* Opening is lazy: modules_find() only groups mappings; a file is opened when it is
 * asked something, so a process with a hundred libraries costs what is looked at. */
#include "symbols/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/oom.h"
#include "symbols/debugfile.h"
#include "symbols/elf.h"
#include "symbols/functions.h"
#include "symbols/lines.h"

#define IN_PAGE 4095ull

struct module {
	struct target *target;
	struct mapping first; /* lowest mapping; the path is our copy */
	char *path;
	uint64_t end, bias;
	uint64_t text_start, text_offset; /* first executable mapping */
	/* NULL until asked, or when there is none: */
	struct elf *elf, *debug; /* debug: its separate debug file */
	struct functions *functions;
	struct lines *lines;
	bool has_text, tried, debug_tried, functions_tried, lines_tried, build_id_read;
	char build_id[129];
};

struct modules {
	struct target *target;
	struct module **items; /* mapped now, by address */
	size_t n;
	struct module **all;   /* that ever were: others point to them */
	size_t nall;
};

static bool same_file(const struct mapping *a, const struct mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && strcmp(a->path, b->path) == 0;
}

/* Does mp continue module m? A second copy of the same file (dlmopen) begins with
 * its header again, not writable; a data segment of a small file may lie at offset
 * 0 too, but is writable. */
static bool continues(const struct module *m, const struct mapping *mp)
{
	if (!same_file(&m->first, mp))
		return false;
	return mp->offset > m->first.offset || (mp->write && m->has_text) ||
	       (!m->has_text && mp->offset == m->first.offset);
}

static void add_mapping(struct module *m, const struct mapping *mp)
{
	if (mp->exec && !m->has_text) {
		m->has_text = true;
		m->text_start = mp->start;
		m->text_offset = mp->offset;
	}
	m->end = mp->end;
}

/* Could a mapping belong to an ELF file? The vdso is one without a file. */
static bool candidate(const struct mapping *mp)
{
	if (strcmp(mp->path, "[vdso]") == 0)
		return true;
	return mp->inode && mp->path[0] == '/' && strncmp(mp->path, "/dev/zero", 9) != 0;
}

/* The modules that the mappings show, unopened, into v (with room for one a mapping). */
static size_t group(struct target *t, struct module *v)
{
	struct module *last = NULL;
	size_t n = 0;
	for (size_t i = 0; i < t->nmappings; i++) {
		const struct mapping *mp = &t->mappings[i];
		if (!candidate(mp))
			continue;
		if (!last || !continues(last, mp)) {
			/* A data file (locale, cache) is no module: take its place. */
			last = last && !last->has_text ? last : &v[n++];
			*last = (struct module){ .target = t, .first = *mp };
		}
		add_mapping(last, mp);
	}
	return last && !last->has_text ? n - 1 : n;
}

static bool same_module(const struct module *a, const struct module *b)
{
	return a->first.start == b->first.start && a->end == b->end && a->text_start == b->text_start &&
	       a->first.offset == b->first.offset && same_file(&a->first, &b->first);
}

/* NULL when memory is out. */
static struct module *add_module(struct modules *ms, const struct module *like)
{
	struct module **all = oom_check(reallocarray(ms->all, ms->nall + 1, sizeof *all));
	if (!all)
		return NULL;
	ms->all = all;
	char *path = strdup(like->first.path);
	struct module *m = path ? oom_check(malloc(sizeof *m)) : NULL;
	if (!m) {
		free(path);
		return NULL;
	}
	*m = *like;
	m->path = path;
	m->first.path = path;
	ms->all[ms->nall++] = m;
	return m;
}

err_t modules_refresh(struct modules *ms)
{
	struct module *now = oom_check(calloc(ms->target->nmappings + 1, sizeof *now));
	struct module **items = oom_check(calloc(ms->target->nmappings + 1, sizeof *items));
	size_t n = now && items ? group(ms->target, now) : 0;
	bool ok = now && items;
	for (size_t i = 0; i < n && ok; i++) {
		struct module *known = modules_by_addr(ms, now[i].first.start);
		items[i] = known && same_module(known, &now[i]) ? known : add_module(ms, &now[i]);
		ok = items[i];
	}
	free(now);
	if (!ok) {
		free(items);
		return ERR_NOMEM;
	}
	free(ms->items);
	ms->items = items;
	ms->n = n;
	return NULL;
}

err_t modules_find(struct target *t, struct modules **out)
{
	struct modules *ms = oom_check(calloc(1, sizeof *ms));
	if (!ms)
		return ERR_NOMEM;
	ms->target = t;
	err_t e = modules_refresh(ms);
	if (e)
		modules_free(ms);
	else
		*out = ms;
	return e;
}

void modules_free(struct modules *ms)
{
	if (!ms)
		return;
	for (size_t i = 0; i < ms->nall; i++) {
		functions_free(ms->all[i]->functions);
		lines_free(ms->all[i]->lines);
		elf_close(ms->all[i]->debug);
		elf_close(ms->all[i]->elf);
		free(ms->all[i]->path);
		free(ms->all[i]);
	}
	free(ms->all);
	free(ms->items);
	free(ms);
}

size_t modules_count(const struct modules *ms)
{
	return ms->n;
}

struct module *modules_at(struct modules *ms, size_t i)
{
	return i < ms->n ? ms->items[i] : NULL;
}

struct module *modules_by_addr(struct modules *ms, uint64_t addr)
{
	size_t lo = 0, hi = ms->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (addr < ms->items[mid]->first.start)
			hi = mid;
		else if (addr >= ms->items[mid]->end)
			lo = mid + 1;
		else
			return ms->items[mid];
	}
	return NULL;
}

/* Address in memory - address in the file, by the segment that a mapping shows. */
static uint64_t find_bias(const struct module *m)
{
	size_t n;
	const Elf64_Phdr *ph = elf_phdrs(m->elf, &n);
	uint64_t start = m->has_text ? m->text_start : m->first.start;
	uint64_t offset = m->has_text ? m->text_offset : m->first.offset;
	for (int any = 0; any < 2; any++)
		for (size_t i = 0; i < n; i++)
			if (ph[i].p_type == PT_LOAD && (any || !m->has_text || ph[i].p_flags & PF_X) &&
			    (ph[i].p_offset & ~IN_PAGE) == offset)
				return start - (ph[i].p_vaddr & ~IN_PAGE);
	return start - offset;
}

struct elf *module_elf(struct module *m)
{
	if (m->tried)
		return m->elf;
	m->tried = true;
	int fd;
	err_t e = m->first.inode && m->target->ops ?
		m->target->ops->open_file(m->target, &m->first, &fd) : ERR_NOTFOUND;
	if (!e)
		e = elf_open_file(fd, &m->elf);
	if (e && err_code(e) != E_NOMEM && m->first.offset == 0) {
		err_free(e);
		e = elf_open_memory(m->target->image, m->first.start, &m->elf);
	}
	err_free(e);
	if (m->elf)
		m->bias = find_bias(m);
	return m->elf;
}

const char *module_path(const struct module *m)
{
	return m->path;
}

uint64_t module_start(const struct module *m)
{
	return m->first.start;
}

uint64_t module_end(const struct module *m)
{
	return m->end;
}

uint64_t module_bias(struct module *m)
{
	module_elf(m);
	return m->bias;
}

const char *module_build_id(struct module *m)
{
	if (m->build_id_read || !module_elf(m))
		return m->build_id;
	m->build_id_read = true;
	size_t len;
	const uint8_t *id = elf_build_id(m->elf, &len);
	for (size_t i = 0; id && i < len; i++)
		snprintf(m->build_id + 2 * i, 3, "%02x", id[i]);
	return m->build_id;
}

static bool symbol_found(const struct module *m, const Elf64_Sym *s, uint64_t *addr, uint64_t *size)
{
	if (addr)
		*addr = s->st_value + (s->st_shndx == SHN_ABS ? 0 : m->bias);
	if (size)
		*size = s->st_size;
	return true;
}

bool module_symbol(struct module *m, const char *name, uint64_t *addr, uint64_t *size)
{
	Elf64_Sym s;
	return module_elf(m) && elf_symbol(m->elf, name, &s) && symbol_found(m, &s, addr, size);
}

bool module_static_symbol(struct module *m, const char *name, uint64_t *addr, uint64_t *size)
{
	Elf64_Sym s;
	return module_elf(m) && elf_static_symbol(m->elf, name, &s) && symbol_found(m, &s, addr, size);
}

bool module_section(struct module *m, const char *name, uint64_t *addr, uint64_t *size)
{
	Elf64_Shdr s;
	if (!module_elf(m) || !elf_section(m->elf, name, &s) || !(s.sh_flags & SHF_ALLOC))
		return false;
	if (addr)
		*addr = s.sh_addr + m->bias;
	if (size)
		*size = s.sh_size;
	return true;
}

struct elf *module_debug(struct module *m)
{
	if (!m->debug_tried && module_elf(m)) {
		m->debug_tried = true;
		m->debug = debug_file_open(m->target, m->elf, m->path, module_build_id(m));
	}
	return m->debug;
}

static struct functions *functions(struct module *m)
{
	if (!m->functions_tried && module_elf(m)) {
		m->functions_tried = true;
		m->functions = functions_read(m->elf, functions_own(m->elf) ? NULL : module_debug(m));
	}
	return m->functions;
}

void module_functions_prepare(struct module *m, uint64_t *addrs, size_t n)
{
	if (!functions(m))
		return;
	for (size_t i = 0; i < n; i++)
		addrs[i] -= m->bias;
	functions_prepare(m->functions, addrs, n);
}

bool module_function(struct module *m, uint64_t addr, const char **name, uint64_t *start)
{
	uint64_t at;
	if (!functions(m) || !functions_find(m->functions, addr - m->bias, name, &at))
		return false;
	if (start)
		*start = at + m->bias;
	return true;
}

bool module_line(struct module *m, uint64_t addr, const char **file, int *line)
{
	if (!m->lines_tried && module_elf(m)) {
		m->lines_tried = true;
		struct elf *e = lines_own(m->elf) ? m->elf : module_debug(m);
		m->lines = e ? lines_read(e) : NULL;
	}
	return m->lines && lines_find(m->lines, addr - m->bias, file, line);
}

bool module_lines_refused(const struct module *m)
{
	return m->lines && lines_refused(m->lines);
}

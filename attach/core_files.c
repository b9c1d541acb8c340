/* The files behind a core: found by name, believed by build-id. */
#include "attach/core.h"
#include "attach/openfile.h"
#include "attach/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEBUG_ROOT "/usr/lib/debug"

struct in_core { struct core *c; uint64_t base; };

static bool read_core(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct in_core *s = ctx;
	return offset <= UINT64_MAX - s->base && core_read_dumped(s->c, s->base + offset, buf, len);
}

static bool read_file(void *ctx, uint64_t offset, void *buf, size_t len)
{
	return read_at(*(int *)ctx, offset, buf, len);
}

/* What the dump itself says the file was: its first page is dumped as a rule. */
struct expected {
	struct build_id id;
	uint8_t head[512];
	bool have_head;
};

static void expect(struct core *c, const struct core_file *f, struct expected *out)
{
	struct in_core in = { c, f->base };
	struct elf_source src = { read_core, &in };
	Elf64_Ehdr eh;
	Elf64_Phdr *ph;
	*out = (struct expected){ .id.n = 0 };
	if (!f->base)
		return;
	out->have_head = core_read_dumped(c, f->base, out->head, sizeof out->head);
	if (!elf_headers(&src, &eh, &ph))
		return;
	elf_find_build_id(&src, ph, eh.e_phnum, &out->id);
	free(ph);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Is the file the one? By build-id; where there is none, by its first bytes, which
 * hold the headers. */
static bool matches(struct core *c, struct core_file *f, const struct expected *want, int fd,
		    const char *where)
{
	struct elf_source src = { read_file, &fd };
	Elf64_Ehdr eh;
	Elf64_Phdr *ph;
	struct build_id id;
	if (!elf_headers(&src, &eh, &ph))
		return false;
	elf_find_build_id(&src, ph, eh.e_phnum, &id);
	bool same = true;
	if (want->id.n) {
		char theirs[2 * BUILD_ID_MAX + 1], ours[2 * BUILD_ID_MAX + 1];
		same = build_id_same(&want->id, &id);
		if (!same)
			core_note(c, "%s is not the %s of this core: its build-id is %s, not %s.", where,
				  base_name(f->path), build_id_text(&id, theirs), build_id_text(&want->id, ours));
	} else if (want->have_head) {
		uint8_t head[sizeof want->head];
		same = read_at(fd, 0, head, sizeof head) && memcmp(head, want->head, sizeof head) == 0;
		if (!same)
			core_note(c, "%s is not the %s of this core: its header differs.", where,
				  base_name(f->path));
	} else {
		core_note(c, "%s is taken for the %s of this core, which has nothing to compare it with.",
			  where, base_name(f->path));
	}
	if (!same) {
		f->differs = true;
		free(ph);
		return false;
	}
	f->ph = ph;
	f->nph = eh.e_phnum;
	return true;
}

/* Who left the core may have written into it what paths he likes: root opens them with the
 * rights of the core's owner. Anybody else opens what he could look at anyway. */
static struct opener *opener_for(struct core *c)
{
	struct rights r;
	if (!c->opener) {
		bool limited = geteuid() == 0 && c->owner != 0;
		rights_of_user(c->owner, c->group, &r);
		c->opener = opener_new(limited ? &r : NULL);
	}
	return c->opener;
}

static err_t open_named(struct core *c, int root_fd, const char *path, uint64_t copy_up_to, int *fd, struct stat *st)
{
	struct opener *o = opener_for(c);
	struct opener_ask ask = { root_fd, path, copy_up_to };
	err_t e = o ? opener_open(o, &ask, fd, st) : ERR_NOMEM;
	if (err_code(e) == E_BUSY)
		core_note(c, "%s, and was left out.", e->msg);
	return e;
}

/* Tries the file `path` below root_fd (-1: as it stands); `ours`: the user's own choice. */
static bool try_file(struct core *c, struct core_file *f, const struct expected *want, bool ours,
		     int root_fd, const char *path)
{
	int fd;
	struct stat st;
	err_t e = ours ? open_regular(open(path, O_PATH | O_CLOEXEC), path, &fd)
		       : open_named(c, root_fd, path, 0, &fd, &st);
	if (e) {
		err_free(e);
		return false;
	}
	if (matches(c, f, want, fd, path)) {
		f->fd = fd;
		f->state = FILE_FOUND;
		return true;
	}
	close(fd);
	return false;
}

static bool try_debug_dir(struct core *c, struct core_file *f, const struct expected *want,
			  const char *dir)
{
	char path[4096], hex[2 * BUILD_ID_MAX + 1];
	if (want->id.n < 2)
		return false;
	build_id_text(&want->id, hex);
	int n = snprintf(path, sizeof path, "%s/.build-id/%.2s/%s", dir, hex, hex + 2);
	return n < (int)sizeof path && try_file(c, f, want, true, -1, path);
}

static void find_file(struct core *c, struct core_file *f)
{
	struct expected want;
	f->state = FILE_MISSING;
	expect(c, f, &want);
	if (c->opt_exe && strcmp(f->path, c->t.exe) == 0 && try_file(c, f, &want, true, -1, c->opt_exe))
		return;
	if (f->path[0] == '/' && try_file(c, f, &want, false, c->root_fd, f->path))
		return;
	/* With a sysroot the machine's own files are tried as well, but only where a
	 * build-id can tell. */
	if (c->sysroot && want.id.n && f->path[0] == '/' && try_file(c, f, &want, false, -1, f->path))
		return;
	if (c->opt_debug_dir && try_debug_dir(c, f, &want, c->opt_debug_dir))
		return;
	try_debug_dir(c, f, &want, DEBUG_ROOT);
}

int core_file_fd(struct core *c, struct core_file *f)
{
	if (f->state == FILE_UNTRIED)
		find_file(c, f);
	return f->state == FILE_FOUND ? f->fd : -1;
}

uint32_t core_file_access(struct core *c, struct core_file *f, uint64_t offset)
{
	struct in_core in = { c, f->base };
	struct elf_source src = { read_core, &in };
	Elf64_Ehdr eh;
	Elf64_Phdr *dumped = NULL, *ph = f->ph;
	size_t n = f->nph;
	uint32_t access = PF_R;
	if (!ph && f->base && elf_headers(&src, &eh, &dumped)) {
		ph = dumped;
		n = eh.e_phnum;
	} else if (!ph && core_file_fd(c, f) >= 0) {
		ph = f->ph;
		n = f->nph;
	}
	for (size_t i = 0; ph && i < n; i++)
		if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_X) &&
		    offset >= (ph[i].p_offset & ~((uint64_t)IMAGE_PAGE - 1)) &&
		    offset < ph[i].p_offset + ph[i].p_filesz)
			access |= PF_X;
	free(dumped);
	return access;
}

bool core_file_constant(const struct core_file *f, uint64_t addr, uint64_t offset)
{
	const uint64_t in_page = IMAGE_PAGE - 1;
	uint64_t bias = 0;
	bool biased = false;
	for (size_t i = 0; i < f->nph && f->base && !biased; i++) {
		biased = f->ph[i].p_type == PT_LOAD && f->ph[i].p_offset <= in_page;
		bias = f->base - (f->ph[i].p_vaddr & ~in_page);
	}
	for (size_t i = 0; i < f->nph; i++) {
		const Elf64_Phdr *ph = &f->ph[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		/* By address where it can be had: one page of the file may be mapped twice,
		 * as the end of the text and as the beginning of the data. */
		uint64_t at = biased ? addr - bias : offset;
		uint64_t from = biased ? ph->p_vaddr : ph->p_offset;
		if (at >= (from & ~in_page) && at - (from & ~in_page) < ph->p_memsz + (from & in_page))
			return false;
	}
	return true;
}

err_t core_open_file(struct target *t, const struct mapping *m, int *fd)
{
	struct core *c = core_of(t);
	if (!m->inode || m->inode > c->nfiles)
		return ERR_NOTFOUND;
	int have = core_file_fd(c, &c->files[m->inode - 1]);
	if (have < 0)
		return ERR_NOTFOUND;
	/* Opened anew: the caller reads and closes it as it likes. */
	char self[32];
	snprintf(self, sizeof self, "/proc/self/fd/%d", have);
	*fd = open(self, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? err_errno(E_IO, errno, m->path) : NULL;
}

err_t core_open_path(struct target *t, const char *path, uint64_t copy_up_to, int *fd, struct stat *st)
{
	struct core *c = core_of(t);
	size_t n = strlen(DEBUG_ROOT);
	if (path[0] != '/')
		return ERR_NOTFOUND;
	if (c->opt_debug_dir && strncmp(path, DEBUG_ROOT "/", n + 1) == 0) {
		char there[4096];
		if (snprintf(there, sizeof there, "%s%s", c->opt_debug_dir, path + n) < (int)sizeof there) {
			err_t e = open_named(c, -1, there, copy_up_to, fd, st);
			if (!e)
				return NULL;
			err_free(e);
		}
	}
	err_t e = open_named(c, c->root_fd, path, copy_up_to, fd, st);
	if (!e || !c->sysroot || strncmp(path, DEBUG_ROOT "/", n + 1) != 0)
		return e;
	/* Debug files go by build-id; the machine's own will do. */
	err_free(e);
	return open_named(c, -1, path, copy_up_to, fd, st);
}

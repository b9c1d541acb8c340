/* A core dump as a target: opening it, and its image. Bytes are read when they are
 * asked for, by pread: a core of many GB costs what is looked at of it, and one that
 * is cut short while it is read ends in unknown pages, not in a signal. */
#include "attach/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attach/openfile.h"
#include "attach/opener.h"
#include "attach/unpack.h"

/* Segments that hold nothing and are larger than this have no place in the image:
 * reserved address space, shadow memory. */
#define EMPTY_MAX (64ull << 30)

bool read_at(int fd, uint64_t offset, void *buf, size_t len)
{
	for (char *to = buf; len;) {
		if (offset > INT64_MAX)
			return false;
		ssize_t got = pread(fd, to, len, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return true;
}

void core_note(struct core *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	target_note(&c->t, c->arena, fmt, ap);
	va_end(ap);
}

static size_t fill_dumped(struct core *c, const struct core_segment *s, struct image_range *r,
			  uint64_t addr)
{
	uint64_t from, to, dumped_end = s->start + (s->dumped & ~((uint64_t)IMAGE_PAGE - 1));
	image_around(r, s->start, dumped_end, addr, &from, &to);
	if (!read_at(c->fd, s->offset + (from - s->start), r->bytes + (from - r->start), to - from)) {
		from = addr;
		to = addr + IMAGE_PAGE;
		if (!read_at(c->fd, s->offset + (addr - s->start), r->bytes + (addr - r->start), IMAGE_PAGE))
			return 0;
	}
	image_mark(r, from, to - from);
	return IMAGE_PAGE;
}

/* A page that was not dumped, out of the file. */
static size_t fill_from_file(struct core *c, const struct core_segment *s, struct image_range *r,
			     uint64_t addr)
{
	const struct mapping *m = &c->t.mappings[s - c->segments];
	uint64_t offset = s->file_offset + (addr - s->start);
	if (!s->file || m->write)
		return 0;
	struct core_file *f = &c->files[s->file - 1];
	int fd = core_file_fd(c, f);
	struct stat sb;
	if (fd < 0 && !f->lacked) {
		f->lacked = true;
		if (!f->differs)
			core_note(c, "%s is not here; what the core lacks of it is unknown "
				  "(--exe, --sysroot and --debug-dir say where to look).", f->path);
	}
	if (fd < 0 || !core_file_constant(f, addr, offset) || fstat(fd, &sb) < 0 ||
	    offset >= (uint64_t)sb.st_size)
		return 0;
	uint64_t rest = (uint64_t)sb.st_size - offset;
	size_t len = rest < IMAGE_PAGE ? rest : IMAGE_PAGE;
	uint8_t *to = r->bytes + (addr - r->start);
	memset(to + len, 0, IMAGE_PAGE - len); /* as the kernel does behind a file's end */
	return read_at(fd, offset, to, len) ? IMAGE_PAGE : 0;
}

static size_t core_fill(void *ctx, struct image_range *r, uint64_t addr, size_t len)
{
	struct core *c = ctx;
	const struct core_segment *s = core_segment_at(c, addr);
	(void)len;
	if (!s)
		return 0;
	if (addr + IMAGE_PAGE <= s->start + s->dumped)
		return fill_dumped(c, s, r, addr);
	return fill_from_file(c, s, r, addr);
}

static const char *machine_name(unsigned machine)
{
	static const struct { unsigned machine; const char *name; } known[] = {
		{ EM_386, "32-bit x86" }, { EM_AARCH64, "AArch64" }, { EM_ARM, "ARM" },
		{ EM_PPC64, "PowerPC" }, { EM_S390, "s390" }, { EM_RISCV, "RISC-V" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].machine == machine)
			return known[i].name;
	return NULL;
}

static err_t check_header(const struct core *c, const char *path, Elf64_Ehdr *eh)
{
	if (c->size == 0)
		return err_new(E_UNSUPPORTED, "%s is empty", path);
	*eh = (Elf64_Ehdr){ .e_type = ET_NONE };
	bool whole = read_at(c->fd, 0, eh, c->size < sizeof *eh ? c->size : sizeof *eh);
	if (!whole || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
		return err_new(E_UNSUPPORTED, "%s is neither a process id nor a core dump", path);
	if (c->size < sizeof *eh)
		return err_new(E_BADDATA, "%s is cut off within its header", path);
	bool native = eh->e_ident[EI_CLASS] == ELFCLASS64 && eh->e_ident[EI_DATA] == ELFDATA2LSB;
	/* A 32-bit header has type and machine at the same places. */
	if (!native || eh->e_machine != EM_X86_64) {
		const char *name = machine_name(eh->e_machine);
		return name ? err_new(E_UNSUPPORTED, "%s is of an %s machine; only x86-64 can be read", path, name)
			    : err_new(E_UNSUPPORTED, "%s is of another machine (ELF number %u); only x86-64 can be read",
				      path, eh->e_machine);
	}
	if (eh->e_type != ET_CORE)
		return err_new(E_UNSUPPORTED, "%s is a program or library, not a core dump", path);
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return err_new(E_BADDATA, "%s is damaged: its header makes no sense", path);
	return NULL;
}

static err_t read_headers(const struct core *c, const char *path, Elf64_Phdr **ph, size_t *n)
{
	Elf64_Ehdr eh;
	Elf64_Shdr first;
	TRY(check_header(c, path, &eh));
	*n = eh.e_phnum;
	/* 65,535 and more are counted in the first section header. */
	if (eh.e_phnum == PN_XNUM && read_at(c->fd, eh.e_shoff, &first, sizeof first))
		*n = first.sh_info;
	if (eh.e_phoff > c->size || *n > (c->size - eh.e_phoff) / sizeof **ph)
		return err_new(E_BADDATA, "%s is cut off within its program headers", path);
	*ph = calloc(*n + 1, sizeof **ph);
	if (!*ph)
		return ERR_NOMEM;
	if (read_at(c->fd, eh.e_phoff, *ph, *n * sizeof **ph))
		return NULL;
	free(*ph);
	return err_new(E_IO, "%s cannot be read", path);
}

static void note_truncation(struct core *c, const Elf64_Phdr *ph, size_t n)
{
	uint64_t end = 0;
	for (size_t i = 0; i < n; i++)
		if (ph[i].p_filesz && ph[i].p_offset <= UINT64_MAX - ph[i].p_filesz &&
		    ph[i].p_offset + ph[i].p_filesz > end)
			end = ph[i].p_offset + ph[i].p_filesz;
	if (end > c->size)
		core_note(c, "The core is cut off: it has %llu of %llu bytes; what lay in the rest is unknown.",
			  (unsigned long long)c->size, (unsigned long long)end);
}

static err_t make_image(struct core *c)
{
	struct image_span *spans = calloc(c->nsegments + 1, sizeof *spans);
	size_t n = 0;
	if (!spans)
		return ERR_NOMEM;
	for (size_t i = 0; i < c->nsegments; i++) {
		const struct core_segment *s = &c->segments[i];
		if (c->t.mappings[i].read && (s->dumped || s->end - s->start <= EMPTY_MAX))
			spans[n++] = (struct image_span){ s->start, s->end };
	}
	err_t e = image_init(&c->img, spans, n);
	free(spans);
	c->img.fill = core_fill;
	c->img.fill_ctx = c;
	return e;
}

/* The program's path: the file at its entry point; else as it was called. */
static void find_exe(struct core *c)
{
	const struct mapping *m = target_mapping(&c->t, c->entry);
	c->t.exe = m ? m->path : "";
	if (c->t.exe[0])
		return;
	const char *name = c->execfn ? image_str(&c->img, c->execfn, 4096) : NULL;
	c->t.exe = name ? arena_str(c->arena, name) : "";
	if (!c->t.exe)
		c->t.exe = "";
}

static err_t core_look(struct core *c, const char *path)
{
	Elf64_Phdr *ph = NULL;
	size_t n = 0, nranges = 0;
	struct core_range *ranges = NULL;
	TRY(read_headers(c, path, &ph, &n));
	err_t e = core_read_notes(c, ph, n, &ranges, &nranges);
	if (!e)
		e = core_build_mappings(c, ph, n, ranges, nranges);
	if (!e && c->nsegments == 0)
		e = err_new(E_BADDATA, "%s holds no memory of a process", path);
	if (!e)
		note_truncation(c, ph, n);
	free(ph);
	if (!e)
		e = make_image(c);
	if (e)
		return e;
	find_exe(c);
	if (c->t.nthreads == 0)
		core_note(c, "The core names no threads.");
	if (!c->t.pid && c->t.nthreads)
		c->t.pid = c->t.ns_pid = c->t.threads[0].tid;
	return NULL;
}

static err_t core_freeze(struct target *t, const struct freeze_opts *o, struct freeze_stats *st)
{
	(void)o;
	*st = (struct freeze_stats){ .paused_us = -1, .stop_us = -1, .threads = (unsigned)t->nthreads };
	return NULL;
}

static uint64_t core_whole_size(struct target *t)
{
	(void)t;
	return 0;
}

static void core_close(struct target *t)
{
	struct core *c = core_of(t);
	for (size_t i = 0; i < c->nfiles; i++) {
		if (c->files[i].fd >= 0)
			close(c->files[i].fd);
		free(c->files[i].ph);
	}
	image_free(&c->img);
	vec_free(&c->threads);
	opener_free(c->opener);
	arena_free(c->arena);
	if (c->fd >= 0)
		close(c->fd);
	if (c->root_fd >= 0)
		close(c->root_fd);
	free(c);
}

static bool number_of(int fd, const char *name, unsigned *v)
{
	char link[32], text[16] = "";
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	return getxattr(link, name, text, sizeof text - 1) > 0 && sscanf(text, "%u", v) == 1;
}

/* Whose process it was: systemd-coredump keeps the file as root's and notes that. */
static void find_owner(struct core *c, int fd, const struct stat *sb)
{
	unsigned uid, gid;
	c->owner = sb->st_uid;
	c->group = sb->st_gid;
	if (sb->st_uid == 0 && number_of(fd, "user.coredump.uid", &uid) &&
	    number_of(fd, "user.coredump.gid", &gid)) {
		c->owner = uid;
		c->group = gid;
	}
}

static err_t open_core_fd(struct core *c, const char *path)
{
	struct stat sb;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return err_errno(E_IO, errno, path);
	if (fstat(fd, &sb) == 0 && !S_ISREG(sb.st_mode)) {
		close(fd);
		return err_new(E_UNSUPPORTED, "%s is not a regular file", path);
	}
	find_owner(c, fd, &sb);
	c->t.since = sb.st_mtim;
	TRY(open_regular(fd, path, &c->fd));
	TRY(unpack(&c->fd, path));
	if (fstat(c->fd, &sb) < 0)
		return err_errno(E_IO, errno, path);
	c->size = (uint64_t)sb.st_size;
	return NULL;
}

static err_t open_root(struct core *c, const char *sysroot)
{
	c->sysroot = sysroot != NULL;
	c->root_fd = open(sysroot ? sysroot : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return c->root_fd < 0 ? err_errno(E_USAGE, errno, sysroot) : NULL;
}

err_t target_open_core(const char *path, const struct target_opts *o, struct target **out)
{
	static const struct target_ops ops = {
		.open_file = core_open_file,
		.open_path = core_open_path,
		.freeze = core_freeze,
		.whole_size = core_whole_size,
		.close = core_close,
	};
	struct core *c = calloc(1, sizeof *c);
	if (!c)
		return ERR_NOMEM;
	c->t = (struct target){ .kind = TARGET_CORE, .image = &c->img, .ops = &ops, .exe = "" };
	c->fd = c->root_fd = -1;
	c->opt_exe = o ? o->exe : NULL;
	c->opt_debug_dir = o ? o->debug_dir : NULL;
	c->arena = arena_new();
	err_t e = c->arena ? open_root(c, o ? o->sysroot : NULL) : ERR_NOMEM;
	if (!e)
		e = open_core_fd(c, path);
	if (!e)
		e = core_look(c, path);
	if (e) {
		core_close(&c->t);
		return e;
	}
	*out = &c->t;
	return NULL;
}

/* Files of the target, as the target sees them: its mappings' and its sources'. */
#include "attach/openfile.h"
#include "attach/opener.h"
#include "attach/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* With our own rights: for what the kernel itself names. One for all targets. */
static struct opener *ours;

static err_t open_ours(const char *path, int *fd, struct stat *st)
{
	struct opener_ask ask = { .root_fd = -1, .path = path };
	if (!ours)
		ours = opener_new(NULL);
	return ours ? opener_open(ours, &ask, fd, st) : ERR_NOMEM;
}

/* The opener with the rights that the target has now: a process may give some up. */
static err_t opener_of(struct process *p)
{
	struct rights now;
	err_t e = rights_read(p->mem_tid, &now);
	if (!e && (!p->opener || !rights_same(opener_rights(p->opener), &now))) {
		opener_free(p->opener);
		p->opener = opener_new(&now);
		e = p->opener ? NULL : ERR_NOMEM;
	}
	rights_free(&now);
	return e;
}

static err_t open_as_target(struct process *p, const struct opener_ask *ask, int *fd, struct stat *st)
{
	TRY(opener_of(p));
	return opener_open(p->opener, ask, fd, st);
}

static void note(struct process *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct process *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	target_note(&p->t, p->strings, fmt, ap);
	va_end(ap);
}

err_t process_open_path(struct target *t, const char *path, uint64_t copy_up_to, int *fd, struct stat *st)
{
	struct process *p = process_of(t);
	if (path[0] != '/' || p->root_fd < 0)
		return ERR_NOTFOUND;
	return open_as_target(p, &(struct opener_ask){ p->root_fd, path, copy_up_to }, fd, st);
}

/* Is the open file the mapping's? Overlay and btrfs show another device number in
 * maps than stat() does, so the inode alone has to do for them. */
static bool is_behind(const struct stat *st, const struct mapping *m)
{
	return st->st_ino == m->inode &&
	       ((major(st->st_dev) == m->dev_major && minor(st->st_dev) == m->dev_minor) ||
		major(st->st_dev) == 0);
}

/* On a file system of this machine, by what the kernel says of its mounts: asking the file
 * itself may take for ever elsewhere. Names by proc(5), mountinfo: "36 35 98:0 / /mnt … - ext4 …" */
static bool is_near(const struct strbuf *mounts, const struct mapping *m)
{
	static const char *const near[] = {
		"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "squashfs", "erofs", "f2fs", "zfs",
		"bcachefs", "jfs", "iso9660", "vfat", "exfat", "ramfs", "rootfs",
	};
	for (const char *p = mounts->s; p && *p; p = strchrnul(p, '\n'), p += *p == '\n') {
		unsigned at_major, at_minor;
		char type[32];
		const char *dash = strstr(p, " - "), *end = strchrnul(p, '\n');
		if (!dash || dash > end || sscanf(p, "%*u %*u %u:%u", &at_major, &at_minor) != 2 ||
		    at_major != m->dev_major || at_minor != m->dev_minor || sscanf(dash, " - %31s", type) != 1)
			continue;
		for (size_t i = 0; i < sizeof near / sizeof *near; i++)
			if (strcmp(type, near[i]) == 0)
				return true;
		return false;
	}
	return false;
}

/* The file behind a link of /proc. */
static err_t open_behind(struct process *p, const struct mapping *m, const char *path, int *fd, struct stat *st)
{
	if (!p->mounts.s)
		proc_slurp(p->mem_tid, "mountinfo", &p->mounts);
	if (!is_near(&p->mounts, m))
		return open_ours(path, fd, st);
	TRY(open_regular(open(path, O_PATH | O_CLOEXEC), path, fd));
	return fstat(*fd, st) == 0 ? NULL : err_errno(E_IO, errno, path);
}

/* What is mapped to be read the target can read, whoever may open it. With the
 * capabilities for map_files it is the file itself, whatever became of its name. */
static err_t open_link(struct process *p, const struct mapping *m, int *fd)
{
	char path[96];
	struct stat st;
	if (!m->read)
		return ERR_NOTFOUND;
	snprintf(path, sizeof path, "/proc/%d/map_files/%llx-%llx", (int)p->mem_tid,
		 (unsigned long long)m->start, (unsigned long long)m->end);
	err_t e = open_behind(p, m, path, fd, &st);
	if (!e || err_code(e) == E_BUSY || strcmp(m->path, p->t.exe) != 0)
		return e;
	err_free(e);
	snprintf(path, sizeof path, "/proc/%d/exe", (int)p->mem_tid);
	TRY(open_behind(p, m, path, fd, &st));
	if (is_behind(&st, m))
		return NULL;
	close(*fd);
	return ERR_NOTFOUND;
}

err_t process_open_file(struct target *t, const struct mapping *m, int *fd)
{
	struct process *p = process_of(t);
	struct stat st;
	if (!m->inode)
		return ERR_NOTFOUND;
	err_t e = open_link(p, m, fd);
	if (err_code(e) == E_BUSY)
		note(p, "%s is on a file system that does not answer; it was read from memory.", m->path);
	if (!e || err_code(e) == E_BUSY || m->deleted)
		return e;
	err_free(e);
	/* Below its root; else by our own eyes, when it was mapped from outside. */
	e = process_open_path(t, m->path, 0, fd, &st);
	if (e && err_code(e) != E_BUSY) {
		err_free(e);
		e = open_as_target(p, &(struct opener_ask){ -1, m->path, 0 }, fd, &st);
	}
	if (!e && !is_behind(&st, m)) {
		close(*fd);
		e = ERR_NOTFOUND;
	}
	return e;
}

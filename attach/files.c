/* Files of the target, as the target sees them: its mappings' and its sources'. */
#include "attach/openfile.h"
#include "attach/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

err_t process_open_path(struct target *t, const char *path, int *fd)
{
	struct process *p = process_of(t);
	if (path[0] != '/' || p->root_fd < 0)
		return ERR_NOTFOUND;
	return open_below(p->root_fd, path, fd);
}

/* Is the open file the mapping's? Overlay and btrfs show another device number in
 * maps than stat() does, so the inode alone has to do for them. */
static bool is_behind(int fd, const struct mapping *m)
{
	struct stat sb;
	if (fstat(fd, &sb) < 0 || sb.st_ino != m->inode)
		return false;
	return (major(sb.st_dev) == m->dev_major && minor(sb.st_dev) == m->dev_minor) ||
	       major(sb.st_dev) == 0;
}

static err_t open_proc_link(const struct process *p, const char *name, int *fd)
{
	char path[96];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)p->mem_tid, name);
	return open_regular(open(path, O_PATH | O_CLOEXEC), path, fd);
}

/* With the capabilities for it, the file itself, whatever became of its name. */
static err_t open_map_file(const struct process *p, const struct mapping *m, int *fd)
{
	char name[64];
	snprintf(name, sizeof name, "map_files/%llx-%llx", (unsigned long long)m->start,
		 (unsigned long long)m->end);
	return open_proc_link(p, name, fd);
}

err_t process_open_file(struct target *t, const struct mapping *m, int *fd)
{
	struct process *p = process_of(t);
	if (!m->inode)
		return ERR_NOTFOUND;
	err_t e = open_map_file(p, m, fd);
	if (!e)
		return NULL;
	err_free(e);
	if (strcmp(m->path, t->exe) == 0) {
		e = open_proc_link(p, "exe", fd);
		if (!e && is_behind(*fd, m))
			return NULL;
		if (!e)
			close(*fd);
		err_free(e);
	}
	if (m->deleted)
		return ERR_NOTFOUND;
	/* Below its root; else by our own eyes, when it was mapped from outside. */
	e = process_open_path(t, m->path, fd);
	if (e) {
		err_free(e);
		e = open_regular(open(m->path, O_PATH | O_CLOEXEC), m->path, fd);
	}
	if (!e && !is_behind(*fd, m)) {
		close(*fd);
		e = ERR_NOTFOUND;
	}
	return e;
}

#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static err_t exists(const char *path)
{
	return err_new(E_USAGE, "%s is there already; --force replaces it", path);
}

/* In the folder where it shall be: a name is given within one file system only. */
static err_t begin_unnamed(struct outfile *f, mode_t mode)
{
	const char *slash = strrchr(f->path, '/');
	char *folder = slash ? strndup(f->path, (size_t)(slash - f->path) + 1) : strdup(".");
	if (!folder)
		return ERR_NOMEM;
	f->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
	free(folder);
	return f->fd >= 0 ? NULL : ERR_NOTFOUND;
}

static char *temporary_name(const struct outfile *f)
{
	char *name;
	return asprintf(&name, "%s.%d.new", f->path, (int)getpid()) < 0 ? NULL : name;
}

static err_t begin_named(struct outfile *f, mode_t mode)
{
	f->temporary = temporary_name(f);
	if (!f->temporary)
		return ERR_NOMEM;
	f->fd = open(f->temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
	if (f->fd >= 0)
		return NULL;
	err_t e = err_errno(E_IO, errno, f->path);
	free(f->temporary);
	f->temporary = NULL;
	return e;
}

err_t outfile_begin(struct outfile *f, const char *path, mode_t mode, bool replace)
{
	struct stat st, link;
	*f = (struct outfile){ .fd = -1, .replace = replace };
	bool there = stat(path, &st) == 0;
	f->direct = there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
	if (there && S_ISDIR(st.st_mode))
		return err_errno(E_IO, EISDIR, path);
	/* /dev/stdout, of a shell that redirects it, would be replaced itself. */
	if (there && !f->direct && lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
		return err_new(E_USAGE, "%s is a link: name the file that it leads to", path);
	if (there && !f->direct && !replace)
		return exists(path);
	f->path = strdup(path);
	if (!f->path)
		return ERR_NOMEM;
	if (f->direct) {
		struct stat now;
		f->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (f->fd < 0)
			return err_errno(E_IO, errno, path);
		/* Another file by now, as through a link that somebody put there: not without a word. */
		if (fstat(f->fd, &now) != 0 || S_ISREG(now.st_mode) || S_ISBLK(now.st_mode))
			return exists(path);
		return NULL;
	}
	err_t e = begin_unnamed(f, mode);
	return err_code(e) == E_NOTFOUND ? begin_named(f, mode) : e;
}

/* Gives the open file a name that must be free. */
static int name_it(const struct outfile *f, const char *name)
{
	char open_file[40];
	if (f->temporary)
		return renameat2(AT_FDCWD, f->temporary, AT_FDCWD, name, RENAME_NOREPLACE);
	snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, open_file, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static int replace(struct outfile *f)
{
	if (!f->temporary) {
		char *name = temporary_name(f);
		if (!name || name_it(f, name) != 0) {
			free(name);
			return -1;
		}
		f->temporary = name;
	}
	return rename(f->temporary, f->path);
}

err_t outfile_keep(struct outfile *f)
{
	if (f->direct)
		return NULL;
	int failed = name_it(f, f->path);
	if (failed && errno == EEXIST && !f->replace)
		return exists(f->path);
	if (failed && f->replace)
		failed = replace(f);
	/* A file system without RENAME_NOREPLACE: the name was free at the start. */
	else if (failed && errno == EINVAL && f->temporary)
		failed = rename(f->temporary, f->path);
	if (failed)
		return err_errno(E_IO, errno, f->path);
	free(f->temporary);
	f->temporary = NULL;
	return NULL;
}

void outfile_end(struct outfile *f)
{
	if (f->path && f->fd >= 0)
		close(f->fd);
	if (f->temporary)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	*f = (struct outfile){ .fd = -1 };
}

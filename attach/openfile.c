#include "attach/openfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int reopen(int path_fd)
{
	char self[32];
	snprintf(self, sizeof self, "/proc/self/fd/%d", path_fd);
	return open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

err_t open_regular(int path_fd, const char *name, int *fd)
{
	struct stat sb;
	if (path_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOTFOUND : err_errno(E_IO, errno, name);
	if (fstat(path_fd, &sb) < 0 || !S_ISREG(sb.st_mode)) {
		close(path_fd);
		return err_new(E_IO, "%s: not a regular file", name);
	}
	*fd = reopen(path_fd);
	int err = errno;
	close(path_fd);
	return *fd < 0 ? err_errno(E_IO, err, name) : NULL;
}

/* Opening below a root by hand, for kernels before 5.6 and filters that know no
 * openat2: one component after another, never following a link by the kernel. */
struct walk {
	int fds[64];      /* [0] is the root */
	int depth, links;
	char rest[PATH_MAX * 2];
};

static int walk_into(struct walk *w, const char *name, bool last)
{
	if (strcmp(name, ".") == 0 || *name == '\0')
		return 0;
	if (strcmp(name, "..") == 0) {
		if (w->depth > 0)
			close(w->fds[w->depth--]);
		return 0;
	}
	int fd = openat(w->fds[w->depth], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat sb;
	if (fd < 0 || fstat(fd, &sb) < 0)
		return -1;
	if (S_ISLNK(sb.st_mode)) {
		char to[PATH_MAX];
		ssize_t n = readlinkat(fd, "", to, sizeof to);
		close(fd);
		size_t left = strlen(w->rest);
		if (n <= 0 || ++w->links > 40 || (size_t)n + 1 + left >= sizeof w->rest) {
			errno = ELOOP;
			return -1;
		}
		while (to[0] == '/' && w->depth > 0)
			close(w->fds[w->depth--]);
		memmove(w->rest + n + 1, w->rest, left + 1);
		memcpy(w->rest, to, (size_t)n);
		w->rest[n] = '/';
		return 0;
	}
	if ((!last && !S_ISDIR(sb.st_mode)) || w->depth + 1 == sizeof w->fds / sizeof *w->fds) {
		close(fd);
		errno = ENOTDIR;
		return -1;
	}
	w->fds[++w->depth] = fd;
	return 0;
}

static int walk_below(int root_fd, const char *path)
{
	struct walk w = { .fds = { root_fd } };
	size_t len = strlen(path);
	if (len >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(w.rest, path, len + 1);
	int status = 0;
	while (status == 0 && w.rest[0]) {
		char name[NAME_MAX + 2];
		size_t n = strcspn(w.rest, "/"), skip = n + strspn(w.rest + n, "/");
		if (n >= sizeof name) {
			errno = ENAMETOOLONG;
			status = -1;
			break;
		}
		memcpy(name, w.rest, n);
		name[n] = '\0';
		memmove(w.rest, w.rest + skip, strlen(w.rest + skip) + 1);
		status = walk_into(&w, name, w.rest[0] == '\0');
	}
	int err = errno, fd = -1;
	if (status == 0 && w.depth > 0)
		fd = w.fds[w.depth--];
	while (w.depth > 0)
		close(w.fds[w.depth--]);
	errno = fd < 0 && status == 0 ? EISDIR : err;
	return fd;
}

int path_below(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int found = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
	if (found < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
		found = walk_below(root_fd, path);
	return found;
}

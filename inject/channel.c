/* The nameless file in the target that text and reply go through. */
#include "inject/inject.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MARK "#asyncmon-channel "

/* os.memfd_create is missing where Python was built for an old libc; a temporary file
 * without a name does as well, where there is a folder for one. */
void channel_making(char *buf, size_t size, const char *nonce)
{
	snprintf(buf, size,
		 INJECT_TEXT_HEAD
		 "try:\n"
		 " import os\n"
		 " try:f=os.memfd_create('asyncmon')\n"
		 " except AttributeError:\n"
		 "  import tempfile as t\n"
		 "  with t.TemporaryFile() as g:f=os.dup(g.fileno())\n"
		 " os.write(f,b'" MARK "%s\\\\n')\n"
		 "except BaseException:pass\n"
		 INJECT_TEXT_TAIL, nonce);
}

/* Whether the file behind our descriptor is the channel wanted; takes its lock, which
 * says that a living asyncmon uses it. */
static bool is_channel(int fd, const char *nonce)
{
	char buf[sizeof MARK + 40];
	ssize_t n = pread(fd, buf, sizeof buf - 1, 0);
	if (n < (ssize_t)sizeof MARK - 1 || memcmp(buf, MARK, sizeof MARK - 1) != 0)
		return false;
	buf[n] = '\0';
	if (nonce && strncmp(buf + sizeof MARK - 1, nonce, strlen(nonce)) != 0)
		return false;
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool might_be(const char *link)
{
	return strncmp(link, "/memfd:asyncmon", 15) == 0 || strstr(link, " (deleted)") != NULL;
}

/* The channels among the target's descriptors: of that nonce, or any that nobody holds. */
static size_t search(struct target *t, const char *nonce, struct channel *v, size_t max)
{
	char dir[32], path[64], link[256];
	size_t n = 0;
	snprintf(dir, sizeof dir, "/proc/%d/fd", (int)t->pid);
	DIR *d = opendir(dir);
	for (struct dirent *e; d && n < max && (e = readdir(d)); ) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
		link[len < 0 ? 0 : len] = '\0';
		if (len <= 0 || link[0] != '/' || !might_be(link))
			continue;
		snprintf(path, sizeof path, "%s/%.12s", dir, e->d_name);
		int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && is_channel(fd, nonce))
			v[n++] = (struct channel){ atoi(e->d_name), fd };
		else if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return n;
}

bool channel_find(struct target *t, const char *nonce, struct channel *c)
{
	return search(t, nonce, c, 1) == 1;
}

size_t channel_abandoned(struct target *t, struct channel *v, size_t max, bool *young)
{
	size_t n = search(t, NULL, v, max), kept = 0;
	*young = false;
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		bool old = fstat(v[i].ours, &st) == 0 && time(NULL) - st.st_mtime >= CHANNEL_ABANDONED_S;
		if (old) {
			v[kept++] = v[i];
		} else {
			*young = true;
			close(v[i].ours);
		}
	}
	return kept;
}

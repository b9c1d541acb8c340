#include "inject/agent_files.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libasyncmon-agent.so"

err_t agent_files_dir(char **dir)
{
	char exe[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (n < 0)
		return err_errno(E_IO, errno, "/proc/self/exe");
	exe[n] = '\0';
	char *slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	static const char *const below[] = { "", "/../lib/asyncmon" };
	for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
		snprintf(path, sizeof path, "%s%s/" LIBRARY, exe, below[i]);
		if (access(path, R_OK) != 0)
			continue;
		*strrchr(path, '/') = '\0';
		*dir = realpath(path, NULL);
		return *dir ? NULL : err_errno(E_IO, errno, path);
	}
	return err_new(E_IO, "the agent (" LIBRARY ") is neither in %s nor in %s/../lib/asyncmon", exe, exe);
}

err_t agent_file_read(const char *dir, const char *name, char **bytes, size_t *len)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return err_errno(E_IO, errno, path);
	char *b = NULL;
	size_t n = 0, cap = 0, got = 1;
	while (got > 0) {
		if (n == cap) {
			char *more = realloc(b, cap = cap ? cap * 2 : 65536);
			if (!more) {
				free(b);
				fclose(f);
				return ERR_NOMEM;
			}
			b = more;
		}
		got = fread(b + n, 1, cap - n, f);
		n += got;
	}
	bool bad = ferror(f);
	fclose(f);
	if (bad) {
		free(b);
		return err_errno(E_IO, EIO, path);
	}
	*bytes = b;
	*len = n;
	return NULL;
}

#include "inject/agent_files.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"

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
	struct strbuf b = { 0 };
	char piece[4096];
	for (size_t got; (got = fread(piece, 1, sizeof piece, f)) > 0;)
		strbuf_add(&b, piece, got);
	bool bad = ferror(f);
	fclose(f);
	if (bad || b.failed) {
		strbuf_free(&b);
		return bad ? err_errno(E_IO, EIO, path) : ERR_NOMEM;
	}
	*bytes = b.s;
	*len = b.len;
	return NULL;
}

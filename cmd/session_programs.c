/* Programs called asyncmon-NAME on PATH: commands of the user's own. */
#include "cmd/session.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"

#define PREFIX "asyncmon-"

/* The next folder of PATH, or false. Empty ones mean the working folder, which is no
 * place to take commands from. */
static bool next_folder(const char **path, struct strbuf *b)
{
	while (*path && **path) {
		size_t n = strcspn(*path, ":");
		strbuf_clear(b);
		strbuf_add(b, *path, n);
		*path += n + ((*path)[n] == ':');
		if (n)
			return !b->failed;
	}
	return false;
}

static bool runs(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *program_find(const char *name)
{
	const char *path = getenv("PATH");
	struct strbuf b = { 0 };
	char *found = NULL;
	while (!found && *name && !strchr(name, '/') && next_folder(&path, &b)) {
		strbuf_fmt(&b, "/" PREFIX "%s", name);
		if (!b.failed && runs(b.s))
			found = strdup(b.s);
	}
	strbuf_free(&b);
	return found;
}

void program_each(void (*fn)(void *ctx, const char *name), void *ctx)
{
	const char *path = getenv("PATH");
	struct strbuf b = { 0 };
	while (next_folder(&path, &b)) {
		DIR *d = opendir(b.s);
		for (struct dirent *e; d && (e = readdir(d)); )
			if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0 && e->d_name[strlen(PREFIX)] &&
			    faccessat(dirfd(d), e->d_name, X_OK, 0) == 0)
				fn(ctx, e->d_name + strlen(PREFIX));
		if (d)
			closedir(d);
	}
	strbuf_free(&b);
}

static bool write_all(int fd, const struct strbuf *b)
{
	size_t done = 0;
	while (done < b->len) {
		ssize_t n = write(fd, b->s + done, b->len - done);
		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return lseek(fd, 0, SEEK_SET) == 0;
}

int program_exec(const struct held *h, const char *path, char **words)
{
	char ps[] = "ps", all[] = "--all", json[] = "--json", target[24];
	char *argv[] = { ps, all, json, NULL };
	struct strbuf text = { 0 };
	struct held asked = *h;
	asked.text = &text;
	int status = command_run_held(NULL, &asked, 3, argv);
	if (status != STATUS_FINE && status != STATUS_INCOMPLETE) {
		fwrite(text.s, 1, text.len, stderr);
		return status;
	}
	int fd = memfd_create("asyncmon-snapshot", MFD_CLOEXEC);
	if (fd < 0 || !write_all(fd, &text) || dup2(fd, STDIN_FILENO) < 0) {
		fprintf(stderr, "asyncmon: %s: %s\n", path, strerror(errno));
		return STATUS_ATTACH;
	}
	snprintf(target, sizeof target, "%d", (int)capture_pid(h->caps[0]));
	/* A core has no PID to go by, but a name, which who opened the session set. */
	if (capture_is_process(h->caps[0]))
		setenv("ASYNCMON_TARGET", target, 1);
	descriptors_restore();
	execv(path, words);
	fprintf(stderr, "asyncmon: %s: %s\n", path, strerror(errno));
	return STATUS_ATTACH;
}

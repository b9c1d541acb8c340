#include "base/room.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first number of a file; UINT64_MAX where there is none ("max"). */
static uint64_t number(const char *folder, const char *name)
{
	char path[PATH_MAX + 128];
	uint64_t v = UINT64_MAX;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%" SCNu64, &v) != 1)
		v = UINT64_MAX;
	fclose(f);
	return v;
}

static uint64_t available(const char *root)
{
	char path[PATH_MAX], line[128];
	uint64_t kb = 0;
	snprintf(path, sizeof path, "%s/proc/meminfo", root);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %" SCNu64 " kB", &kb) != 1)
		;
	if (f)
		fclose(f);
	return kb << 10;
}

/* What a group's limit leaves; pages of files that it could drop count as used, for
 * dropping them slows down those they belong to. */
static uint64_t left_in(const char *folder, const char *limit, const char *usage)
{
	uint64_t most = number(folder, limit), used = number(folder, usage);
	if (most == UINT64_MAX || used == UINT64_MAX)
		return UINT64_MAX;
	return used < most ? most - used : 0;
}

/* The group and all above it, up to the mount. In a container the path may be one of the
 * host's that is not there; the mount itself is the container's group then. */
static uint64_t left_above(char *folder, size_t mount, const char *limit, const char *usage)
{
	uint64_t least = UINT64_MAX;
	for (;;) {
		uint64_t left = left_in(folder, limit, usage);
		least = left < least ? left : least;
		char *slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < mount)
			return least;
		*slash = '\0';
	}
}

/* A line of /proc/self/cgroup: "0::/path", or "4:memory:/path" of version 1. */
static uint64_t left_by(const char *root, char *line)
{
	char folder[PATH_MAX + 64];
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return UINT64_MAX;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	bool v2 = strcmp(controllers, ":") == 0;
	if (!v2 && strcmp(controllers, ":memory") != 0)
		return UINT64_MAX;
	int mount = snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s", root, v2 ? "" : "/memory");
	snprintf(folder + mount, sizeof folder - (size_t)mount, "%s", path);
	return left_above(folder, (size_t)mount, v2 ? "memory.max" : "memory.limit_in_bytes",
			  v2 ? "memory.current" : "memory.usage_in_bytes");
}

/* What the groups in /proc/WHO/cgroup leave. */
static uint64_t left_to(const char *root, const char *who)
{
	char line[PATH_MAX];
	uint64_t least = UINT64_MAX;
	snprintf(line, sizeof line, "%s/proc/%s/cgroup", root, who);
	FILE *f = fopen(line, "re");
	while (f && fgets(line, sizeof line, f)) {
		uint64_t left = left_by(root, line);
		least = left < least ? left : least;
	}
	if (f)
		fclose(f);
	return least;
}

uint64_t memory_room(const char *root)
{
	uint64_t room = available(root), left = left_to(root, "self");
	return left < room ? left : room;
}

uint64_t memory_left_to(const char *root, pid_t pid)
{
	char who[16];
	snprintf(who, sizeof who, "%d", (int)pid);
	return left_to(root, who);
}

void memory_yield(void)
{
	static const char worst[] = "1000";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* Refused or not: nothing else can be done. */
	ssize_t put = write(fd, worst, sizeof worst - 1);
	(void)put;
	close(fd);
}

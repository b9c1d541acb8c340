#include "inject/limits.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/room.h"

/* Two memfds, a pair of sockets, a module that is imported, and some for the program, which
 * opens files meanwhile. */
#define DESCRIPTORS_MIN 16
#define AGENT_MIN (1ull << 20)
/* The agent's share of what is left: a program that doubles a buffer should not notice. */
#define SHARE 16

/* What setrlimit() leaves of `used` bytes. */
static uint64_t left_of(const struct target *t, int what, uint64_t used)
{
	struct rlimit r;
	if (prlimit(t->pid, what, NULL, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return r.rlim_cur > used ? r.rlim_cur - used : 0;
}

uint64_t limits_memory_left(const struct target *t)
{
	char path[32];
	unsigned long long all, data;
	uint64_t left = memory_left_to("", t->pid);
	snprintf(path, sizeof path, "/proc/%d/statm", (int)t->pid);
	FILE *f = fopen(path, "re");
	/* RLIMIT_AS counts the first number, RLIMIT_DATA no more than the sixth (proc(5)). */
	if (f && fscanf(f, "%llu %*u %*u %*u %*u %llu", &all, &data) == 2) {
		uint64_t as = left_of(t, RLIMIT_AS, all * 4096), of_data = left_of(t, RLIMIT_DATA, data * 4096);
		left = as < left ? as : left;
		left = of_data < left ? of_data : left;
	}
	if (f)
		fclose(f);
	return left;
}

uint64_t limits_memory_share(uint64_t left, uint64_t wanted)
{
	uint64_t share = left / SHARE > AGENT_MIN ? left / SHARE : AGENT_MIN;
	return share < wanted ? share : wanted;
}

/* Descriptors below the limit that are open, counted up to `enough` free ones. */
static bool has_descriptors(const struct target *t, uint64_t limit)
{
	char path[32];
	struct stat st;
	uint64_t n = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)t->pid);
	/* The size is how many are open since Linux 6.2, zero before. */
	if (stat(path, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size + DESCRIPTORS_MIN <= limit)
		return true;
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.' && strtoull(e->d_name, NULL, 10) < limit;
	if (!d)
		return true;
	closedir(d);
	return n + DESCRIPTORS_MIN <= limit;
}

err_t limits_check(const struct target *t, uint64_t file_bytes)
{
	struct rlimit r;
	if (prlimit(t->pid, RLIMIT_NOFILE, NULL, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
	    !has_descriptors(t, r.rlim_cur))
		return err_new(E_UNSUPPORTED, "process %d has nearly used up its descriptors (%llu, ulimit -n): those that "
			       "code put into it needs for a moment would be lacking to the program; nothing was changed. "
			       "prlimit --nofile raises the limit", (int)t->pid, (unsigned long long)r.rlim_cur);
	if (prlimit(t->pid, RLIMIT_FSIZE, NULL, &r) == 0 && r.rlim_cur != RLIM_INFINITY && r.rlim_cur < file_bytes)
		return err_new(E_UNSUPPORTED, "process %d may write no files of more than %llu bytes (ulimit -f), and is "
			       "sent SIGXFSZ where it does; code put into it would have to: nothing was changed",
			       (int)t->pid, (unsigned long long)r.rlim_cur);
	return NULL;
}

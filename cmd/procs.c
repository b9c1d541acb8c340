#include "cmd/procs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"

static bool add(struct pids *p, pid_t pid)
{
	return vec_push(p, pid);
}

/* 0: it has ended; -1: we could not look. */
static pid_t parent_of(pid_t pid)
{
	char path[48], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return errno_is_ours(errno) ? -1 : 0;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	/* The name in parentheses can hold anything, parentheses too. */
	const char *p = strrchr(text, ')');
	int ppid = 0;
	return p && sscanf(p + 1, " %*c %d", &ppid) == 1 ? ppid : 0;
}

/* Pairs of process and parent, of all there are. */
static err_t all(struct pids *out)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	bool fine = true;
	if (!d)
		return err_errno(E_IO, errno, "/proc");
	int lack = 0;
	while (fine && !lack && (e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name), parent = pid > 0 ? parent_of(pid) : 0;
		lack = parent < 0 ? errno : 0;
		if (pid > 0)
			fine = add(out, pid) && add(out, parent);
	}
	closedir(d);
	return lack ? err_ours(lack, "looking for the processes of a tree") : fine ? NULL : ERR_NOMEM;
}

err_t pids_tree(const char *word, struct pids *out)
{
	struct pids pairs = { 0 };
	char *end;
	errno = 0;
	long root = strtol(word, &end, 10);
	if (*end || end == word || root <= 0 || root > 0x7FFFFFFF || errno)
		return err_new(E_USAGE, "--tree takes a PID, not %s", word);
	err_t e = all(&pairs);
	bool found = false, fine = true;
	for (size_t i = 0; i < pairs.n; i += 2)
		found |= pairs.v[i] == root;
	if (!e && !found)
		e = err_new(E_NOPROC, "no such process: %s", word);
	if (!e)
		fine = add(out, (pid_t)root);
	for (size_t done = 0; !e && fine && done < out->n; done++)
		for (size_t i = 0; i < pairs.n && fine; i += 2)
			if (pairs.v[i + 1] == out->v[done] && pairs.v[i] != out->v[done] &&
			    pairs.v[i] != getpid())
				fine = add(out, pairs.v[i]);
	free(pairs.v);
	return e ? e : fine ? NULL : ERR_NOMEM;
}

void process_command(pid_t pid, char *text, size_t n)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	FILE *f = fopen(path, "re");
	size_t len = f ? fread(text, 1, n - 1, f) : 0;
	if (f)
		fclose(f);
	while (len && !text[len - 1])
		len--;
	text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (!text[i])
			text[i] = ' ';
}

static bool runs_python(pid_t pid, const char *command)
{
	char path[48], exe[4096];
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = '\0';
	const char *slash = strrchr(exe, '/');
	size_t first = strcspn(command, " ");
	const char *in_first = strstr(command, "python");
	return (slash && strstr(slash, "python")) || (in_first && in_first < command + first);
}

err_t processes_of_python(struct processes *out)
{
	char text[256];
	struct pids pairs = { 0 };
	err_t e = all(&pairs);
	for (size_t i = 0; i < pairs.n && !e; i += 2) {
		process_command(pairs.v[i], text, sizeof text);
		if (pairs.v[i] == getpid() || !runs_python(pairs.v[i], text))
			continue;
		struct process p = { pairs.v[i], strdup(text) };
		if (!p.command || !vec_push(out, p)) {
			free(p.command);
			e = ERR_NOMEM;
		}
	}
	vec_free(&pairs);
	return e;
}

void processes_free(struct processes *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].command);
	vec_free(p);
}

/* Who else has a pipe open that a task waits for: the end of what comes through it comes only
 * when all of them have closed it, a child of a child too. Told by /proc/PID/fd of the
 * processes that may be looked into; live targets, not paused. */
#include "base/map.h"
#include "tasks/walk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many pipes are asked for, in so many processes with so many descriptors. */
#define PIPES_MAX 256
#define PROCESSES_MAX 65536
#define FDS_MAX 65536
#define NAMES_MAX 3

struct pipe { const char *id; struct { pid_t pid; char name[20]; } by[NAMES_MAX]; size_t n; };
struct pipes { struct pipe v[PIPES_MAX]; size_t n; };

/* False where it is no pipe: "pipe:[4711]". */
static bool link_of(const char *path, char *out, size_t size)
{
	ssize_t n = readlink(path, out, size - 1);
	if (n < 0)
		return false;
	out[n] = '\0';
	return strncmp(out, "pipe:[", 6) == 0;
}

static struct pipe *pipe_named(struct pipes *p, const char *id)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].id, id) == 0)
			return &p->v[i];
	return NULL;
}

static void pipes_of_target(struct snapshot *s, struct pipes *p)
{
	char path[64], id[64];
	for (size_t i = 0; i < s->ntasks && p->n < PIPES_MAX; i++) {
		const struct wait *w = s->tasks[i].wait;
		if (!w || w->fd < 0 || w->peer || (w->kind != WAIT_SUBPROCESS && w->kind != WAIT_STREAM_READ))
			continue;
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s->pid, w->fd);
		if (link_of(path, id, sizeof id) && !pipe_named(p, id))
			p->v[p->n].id = arena_str(s->arena, id), p->n += p->v[p->n].id != NULL;
	}
}

static void name_of(pid_t pid, char *name, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(name, 1, size - 1, f) : 0;
	if (f)
		fclose(f);
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

static void look_into(struct pipes *p, pid_t pid)
{
	char path[300], id[64];
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	const struct dirent *e;
	for (size_t n = 0; d && n < FDS_MAX && (e = readdir(d)); n++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, e->d_name);
		struct pipe *pipe = *e->d_name != '.' && link_of(path, id, sizeof id) ? pipe_named(p, id) : NULL;
		if (!pipe || (pipe->n && pipe->by[(pipe->n < NAMES_MAX ? pipe->n : NAMES_MAX) - 1].pid == pid))
			continue;
		if (pipe->n < NAMES_MAX) {
			pipe->by[pipe->n].pid = pid;
			name_of(pid, pipe->by[pipe->n].name, sizeof pipe->by[pipe->n].name);
		}
		pipe->n++;
	}
	if (d)
		closedir(d);
}

static const char *holders(struct snapshot *s, const struct pipe *p)
{
	const char *text = "";
	for (size_t i = 0; i < p->n && i < NAMES_MAX; i++)
		text = arena_fmt(s->arena, "%s%s %s (%d)", text, i ? "," : ", held open by", p->by[i].name,
				 (int)p->by[i].pid);
	return p->n > NAMES_MAX ? arena_fmt(s->arena, "%s and %zu more", text, p->n - NAMES_MAX) : text;
}

static void say(struct snapshot *s, struct pipes *p)
{
	char path[64], id[64];
	for (size_t i = 0; i < s->ntasks; i++) {
		const struct wait *known = s->tasks[i].wait;
		if (!known || known->fd < 0 || known->peer || (known->kind != WAIT_SUBPROCESS && known->kind != WAIT_STREAM_READ))
			continue;
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s->pid, known->fd);
		const struct pipe *pipe = link_of(path, id, sizeof id) ? pipe_named(p, id) : NULL;
		struct wait *w = pipe && pipe->n ? arena_dup(s->arena, known, sizeof *w) : NULL;
		if (!w)
			continue;
		w->detail = arena_fmt(s->arena, "%s%s", w->detail ? w->detail : "a pipe", holders(s, pipe));
		s->tasks[i].wait = w;
	}
}

void pipes_ask(struct snapshot *s)
{
	struct pipes *p = calloc(1, sizeof *p);
	const struct dirent *e;
	DIR *d = NULL;
	if (!p)
		return;
	pipes_of_target(s, p);
	if (p->n)
		d = opendir("/proc");
	for (size_t n = 0; d && n < PROCESSES_MAX && (e = readdir(d)); n++) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid > 0 && pid != s->pid)
			look_into(p, pid);
	}
	if (d) {
		closedir(d);
		say(s, p);
	}
	free(p);
}

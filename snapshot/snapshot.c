#include "snapshot/snapshot.h"

#include "base/pages.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[TASK_STATES] = {
	"running", "runnable", "waiting", "finished", "failed", "cancelled",
};
static const char *const wait_names[WAIT_KINDS] = {
	"sleep", "task", "gather", "wait", "taskgroup", "shield", "future", "lock", "semaphore",
	"condition", "event", "barrier", "queue-get", "queue-put", "queue-join", "socket",
	"stream-read", "stream-write", "executor", "subprocess", "pool", "server-close", "shutdown",
	"tls", "thread", "unknown",
};
static const char *const origin_names[CANCEL_ORIGINS] = {
	"task", "callback", "timeout", "taskgroup", "signal", "shutdown", "unknown",
};

const char *snapshot_source_name(enum snapshot_source s)
{
	static const char *const names[SNAPSHOT_SOURCES] = { "process", "core", "saved" };
	return (unsigned)s < SNAPSHOT_SOURCES ? names[s] : "unknown";
}

const char *task_state_name(enum task_state s)
{
	return (unsigned)s < TASK_STATES ? state_names[s] : "unknown";
}

const char *wait_kind_name(enum wait_kind k)
{
	return (unsigned)k < WAIT_KINDS ? wait_names[k] : "unknown";
}

const char *thread_wait_kind_name(enum thread_wait_kind k)
{
	static const char *const names[THREAD_WAIT_KINDS] = {
		"task", "loop", "call", "future", "lock", "event", "queue", "thread",
	};
	return (unsigned)k < THREAD_WAIT_KINDS ? names[k] : "unknown";
}

const char *cancel_origin_name(enum cancel_origin o)
{
	return (unsigned)o < CANCEL_ORIGINS ? origin_names[o] : "unknown";
}

static bool in_folder(const char *file, const char *folder)
{
	size_t n = folder ? strlen(folder) : 0;
	return n && strncmp(file, folder, n) == 0 && file[n] == '/';
}

static bool in_asyncio_by_name(const char *file)
{
	const char *base = strrchr(file, '/');
	size_t n = base ? (size_t)(base - file) : 0;
	return n >= 7 && memcmp(base - 7, "asyncio", 7) == 0 && (n == 7 || base[-8] == '/');
}

enum code_owner code_owner(const struct code_folders *folders, const char *file)
{
	if (!file)
		return CODE_UNKNOWN;
	if (folders->asyncio ? in_folder(file, folders->asyncio) : in_asyncio_by_name(file))
		return CODE_ASYNCIO;
	/* Before the standard library's folder, which theirs may lie in. */
	if (strstr(file, "/site-packages/") || strstr(file, "/dist-packages/"))
		return CODE_LIBRARY;
	if (in_folder(file, folders->stdlib) || strncmp(file, "<frozen ", 8) == 0)
		return CODE_STDLIB;
	return CODE_USER;
}

bool frame_is(const struct frame *f, const char *file_end, const char *function)
{
	if (!f || !f->file || !f->function)
		return false;
	if (f->owner && f->owner != CODE_ASYNCIO && strncmp(file_end, "asyncio/", 8) == 0)
		return false;
	const char *dot = strrchr(f->function, '.');
	size_t n = strlen(f->file), m = strlen(file_end);
	return strcmp(dot ? dot + 1 : f->function, function) == 0 &&
	       n >= m && strcmp(f->file + n - m, file_end) == 0;
}

void snapshot_index(struct snapshot *s)
{
	/* Groups after the tasks: no object is both. */
	bool fine = map_reserve(&s->by_id, s->ntasks + s->ngroups);
	for (size_t i = 0; i < s->ntasks && fine; i++)
		fine = !s->tasks[i].id || map_set(&s->by_id, s->tasks[i].id, i + 1);
	for (size_t i = 0; i < s->ngroups && fine; i++)
		fine = !s->groups[i].id || map_set(&s->by_id, s->groups[i].id, s->ntasks + i + 1);
	if (!fine)
		map_free(&s->by_id);
}

const struct task *snapshot_task(const struct snapshot *s, uint64_t id)
{
	uint64_t at;
	if (s->by_id.n)
		return id && map_get(&s->by_id, id, &at) && at <= s->ntasks ? &s->tasks[at - 1] : NULL;
	for (size_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].id == id)
			return &s->tasks[i];
	return NULL;
}

const struct loop *snapshot_loop(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; i < s->nloops; i++)
		if (s->loops[i].id == id)
			return &s->loops[i];
	return NULL;
}

const struct group *snapshot_group(const struct snapshot *s, uint64_t id)
{
	uint64_t at;
	if (s->by_id.n)
		return id && map_get(&s->by_id, id, &at) && at > s->ntasks ? &s->groups[at - 1 - s->ntasks] : NULL;
	for (size_t i = 0; i < s->ngroups; i++)
		if (s->groups[i].id == id)
			return &s->groups[i];
	return NULL;
}

static void add_note(struct snapshot *s, const char *fmt, va_list ap)
{
	const char **notes = arena_array(s->arena, s->nnotes + 1, sizeof *notes);
	char *text = arena_vfmt(s->arena, fmt, ap);
	if (!notes || !text)
		return;
	if (s->nnotes)
		memcpy(notes, s->notes, s->nnotes * sizeof *notes);
	notes[s->nnotes++] = text;
	s->notes = notes;
}

void snapshot_note(struct snapshot *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add_note(s, fmt, ap);
	va_end(ap);
}

void snapshot_lacks(struct snapshot *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add_note(s, fmt, ap);
	va_end(ap);
	s->complete = false;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	pages_free(s->tasks, s->tasks_room);
	free(s->loops);
	free(s->groups);
	map_free(&s->by_id);
	free(s->executors);
	arena_free(s->arena);
	free(s);
}

err_t snapshot_view(const struct snapshot *of, struct snapshot *out)
{
	*out = *of;
	out->arena = arena_new();
	return out->arena ? NULL : ERR_NOMEM;
}

void snapshot_view_end(struct snapshot *view)
{
	arena_free(view->arena);
	*view = (struct snapshot){ 0 };
}

double histogram_bound(const struct histogram *h, size_t i)
{
	return i + 1 < h->nbuckets ? ldexp(1.024e-6, (int)i) : INFINITY;
}

double histogram_below(const struct histogram *h, double part)
{
	uint64_t n = 0, all = 0;
	for (size_t i = 0; i < h->nbuckets; i++)
		all += h->buckets[i];
	for (size_t i = 0; all && i < h->nbuckets; i++) {
		n += h->buckets[i];
		if ((double)n >= part * (double)all)
			return histogram_bound(h, i);
	}
	return NAN;
}

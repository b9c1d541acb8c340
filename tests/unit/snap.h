/* Snapshots made by hand, and commands run over them. */
#ifndef ASYNCMON_TESTS_UNIT_SNAP_H
#define ASYNCMON_TESTS_UNIT_SNAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/pages.h"
#include "cmd/capture.h"
#include "cmd/command.h"

#define ID(i) (0x7f0000001000ull + (uint64_t)(i) * 0x100)

static inline struct snapshot *snap_new(size_t ntasks)
{
	struct snapshot *s = calloc(1, sizeof *s);
	s->arena = arena_new();
	s->source = SNAPSHOT_OF_PROCESS;
	s->pid = 4711;
	s->exe = "/usr/bin/python3";
	strcpy(s->python, "3.14.2");
	s->layout = "table";
	s->paused_us = 412;
	s->complete = true;
	s->ntasks = ntasks;
	s->tasks_room = (ntasks ? ntasks : 1) * sizeof *s->tasks;
	s->tasks = pages_alloc(s->tasks_room);
	for (size_t i = 0; i < ntasks; i++)
		s->tasks[i] = (struct task){ .id = ID(i), .serial = -1, .state = TASK_WAITING, .coro = "work",
			.type = "_asyncio.Task", .name = arena_fmt(s->arena, "Task-%zu", i + 1) };
	return s;
}

/* A stack of n frames that all tasks share. */
static inline struct stack snap_stack(struct snapshot *s, size_t n)
{
	const struct frame **v = arena_array(s->arena, n, sizeof *v);
	for (size_t i = 0; i < n; i++) {
		struct frame *f = arena_alloc(s->arena, sizeof *f);
		*f = (struct frame){ .function = arena_fmt(s->arena, "level_%zu", i),
				     .file = "/srv/app/handlers.py", .line = (int)i + 10 };
		v[i] = f;
	}
	return (struct stack){ .frames = v, .n = n };
}

static inline void snap_awaited_by(struct snapshot *s, size_t task, size_t by)
{
	struct task *t = &s->tasks[task];
	uint64_t *v = arena_array(s->arena, t->nawaited_by + 1, sizeof *v);
	if (t->nawaited_by)
		memcpy(v, t->awaited_by, t->nawaited_by * sizeof *v);
	v[t->nawaited_by++] = ID(by);
	t->awaited_by = v;
}

static inline struct wait *snap_wait(struct snapshot *s, enum wait_kind kind)
{
	struct wait *w = arena_alloc(s->arena, sizeof *w);
	*w = (struct wait){ .kind = kind, .deadline_in = NAN, .fd = -1, .total = -1, .left = -1 };
	return w;
}

static inline void snap_created(struct snapshot *s, size_t task, double age, const char *file, int line)
{
	struct created *c = arena_alloc(s->arena, sizeof *c);
	struct frame *f = arena_alloc(s->arena, sizeof *f);
	const struct frame **v = arena_array(s->arena, 1, sizeof *v);
	*f = (struct frame){ .function = "maker", .file = file, .line = line };
	v[0] = f;
	*c = (struct created){ .at = 1700000000.25, .age = age, .stack = { .frames = v, .n = 1 } };
	s->tasks[task].created = c;
}

struct ran { int status; char *out, *err; double seconds; };

struct fake { struct capture cap; struct snapshot *(*make)(void); };

static inline err_t fake_take(struct capture *cap, unsigned what, struct snapshot **out)
{
	(void)what;
	*out = ((struct fake *)cap)->make();
	return NULL;
}

static inline char *slurp(int fd)
{
	off_t n = lseek(fd, 0, SEEK_END);
	char *text = calloc((size_t)n + 1, 1);
	assert_int_equal(pread(fd, text, (size_t)n, 0), n);
	close(fd);
	return text;
}

/* Runs "ps --raw" or the like over the snapshot that make() gives. Words are apart by
 * one blank; free the result by ran_free(). */
static inline struct ran run_line(struct snapshot *(*make)(void), const char *line)
{
	struct fake fake = { .cap.take = fake_take, .make = make };
	char copy[512], *argv[32];
	int argc = 0, out = memfd_create("out", 0), err = memfd_create("err", 0);
	int old_out = dup(1), old_err = dup(2);
	struct timespec a, b;
	snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	struct ran r = { .status = command_run(NULL, &fake.cap, argc, argv) };
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	fflush(NULL);
	dup2(old_out, 1);
	dup2(old_err, 2);
	close(old_out);
	close(old_err);
	r.seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	r.out = slurp(out);
	r.err = slurp(err);
	return r;
}

static inline void ran_free(struct ran *r)
{
	free(r->out);
	free(r->err);
}

static inline void has(const char *text, const char *part)
{
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("no «%s» in:\n%.4000s", part, text);
}

static inline void has_not(const char *text, const char *part)
{
	assert_non_null(text);
	if (strstr(text, part))
		fail_msg("«%s» in:\n%.4000s", part, text);
}

static inline size_t count_of(const char *text, const char *part)
{
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

#endif

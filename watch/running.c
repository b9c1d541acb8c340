#include "watch/running.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tasks/take.h"
#include "watch/stall.h"

/* Between searches for loops. */
#define SEARCH_S 1.0
#define FRAMES_MAX 512

void running_begin(struct running *r, struct python *py, struct flame *f, struct arena *a)
{
	*r = (struct running){ .py = py, .flame = f, .arena = a };
}

static void close_all(struct running *r)
{
	for (size_t i = 0; i < r->peeks.n; i++)
		eye_close(&r->peeks.v[i].eye);
	r->peeks.n = 0;
}

void running_end(struct running *r)
{
	close_all(r);
	vec_free(&r->peeks);
	map_free(&r->texts);
}

static err_t search(struct running *r)
{
	struct turning *found;
	size_t n;
	TRY(turns_find(r->py, &found, &n));
	close_all(r);
	r->searched = now_seconds();
	err_t e = NULL;
	for (size_t i = 0; i < n && !e; i++) {
		struct peek p;
		if (!found[i].code && !found[i].uv)
			continue;
		err_t gone = peek_open(&p, r->py, &found[i]);
		if (gone)
			err_free(gone); /* its thread has ended since */
		else if (!vec_push(&r->peeks, p))
			e = ERR_NOMEM;
	}
	free(found);
	return e;
}

/* The same text of many looks once. */
static const char *kept(struct running *r, const char *s)
{
	uint64_t h = 14695981039346656037u, known;
	if (!s)
		return NULL;
	for (const char *p = s; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	h |= 1;
	if (map_get(&r->texts, h, &known) && strcmp((const char *)(uintptr_t)known, s) == 0)
		return (const char *)(uintptr_t)known;
	const char *copy = arena_str(r->arena, s);
	if (copy)
		map_set(&r->texts, h, (uint64_t)(uintptr_t)copy);
	return copy;
}

static err_t add(struct running *r, const struct turning *of, const struct snapshot *s)
{
	struct flame_frame stack[FRAMES_MAX + 1];
	struct hold h = { .of = *of };
	struct stall_look l;
	stall_look_make(&l, &h, s);
	size_t n = 0;
	const struct loop *loop = s ? snapshot_loop(s, of->loop) : NULL;
	/* It may have gone back to its selector before the process stood still. */
	bool waits = !s || (!l.task && loop && loop->asleep);
	if (waits || !l.nframes) {
		stack[n++] = (struct flame_frame){ .name = waits ? "waiting for events" : "between steps" };
		return flame_add(r->flame, stack, n, 1);
	}
	const char *coro = l.task ? kept(r, l.task->coro) : "a callback";
	stack[n++] = (struct flame_frame){ .name = coro ? coro : "?" };
	for (size_t i = 0; i < l.nframes && n < FRAMES_MAX; i++) {
		const struct thread_frame *f = &l.frames[i];
		bool python = f->kind == FRAME_PYTHON;
		const char *name = f->function ? kept(r, f->function) : "?";
		const char *file = kept(r, f->file ? f->file : python ? NULL : f->module);
		stack[n++] = (struct flame_frame){ .name = name ? name : "?", .file = file, .line = f->file ? f->line : 0 };
	}
	return flame_add(r->flame, stack, n, 1);
}

err_t running_sample(struct running *r)
{
	bool step[64] = { false };
	size_t steps = 0;
	struct snapshot *s = NULL;
	err_t e = NULL;
	if (now_seconds() - r->searched > SEARCH_S)
		TRY(search(r));
	for (size_t i = 0; i < r->peeks.n && i < sizeof step; i++) {
		struct glance g;
		peek_turn(&r->peeks.v[i], &g);
		step[i] = g.where == PEEK_STEP;
		steps += step[i];
	}
	if (steps) {
		e = snapshot_take(r->py, SNAPSHOT_RUNNING | SNAPSHOT_THREADS | SNAPSHOT_NATIVE, &s);
		r->looks++;
	}
	for (size_t i = 0; i < r->peeks.n && i < sizeof step && !e; i++) {
		e = add(r, &r->peeks.v[i].of, step[i] ? s : NULL);
		r->samples++;
	}
	snapshot_free(s);
	return e;
}

/* What the fuzz targets share. */
#ifndef ASYNCMON_TESTS_FUZZ_H
#define ASYNCMON_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/python.h"
#include "tasks/take.h"

/* libFuzzer calls these. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define FUZZ_ALL (SNAPSHOT_DONE | SNAPSHOT_LOCALS | SNAPSHOT_THREADS | SNAPSHOT_NATIVE | SNAPSHOT_ENDED)

static inline void fuzz_snapshot(struct python *py, unsigned what)
{
	struct snapshot *s = NULL;
	err_t e = snapshot_take(py, what, &s);
	if (!e)
		snapshot_index(s);
	snapshot_free(s);
	err_free(e);
}

static inline void fuzz_python(struct target *t)
{
	struct python *py = NULL;
	err_t e = python_find(t, &py);
	if (!e) {
		fuzz_snapshot(py, FUZZ_ALL);
		python_free(py);
	}
	err_free(e);
}

/* Which words a clean look reads: only those are worth changing. The targets are linked
 * with --wrap for what image.c exports to read with; and image_at() goes that way too
 * while it knows no last range. */
struct fuzz_words { uint64_t *v; size_t n, cap; };
static struct fuzz_words *fuzz_recording;

static inline void fuzz_read(struct image *img, uint64_t addr, size_t len)
{
	struct fuzz_words *w = fuzz_recording;
	if (!w)
		return;
	img->last = NULL;
	for (uint64_t at = addr & ~7ull, end = addr + (len < 4096 ? len : 4096); at < end; at += 8) {
		if (w->n == w->cap) {
			w->cap = w->cap ? 2 * w->cap : 4096;
			w->v = realloc(w->v, w->cap * sizeof *w->v);
			if (!w->v)
				abort();
		}
		w->v[w->n++] = at;
	}
}

#define FUZZ_WRAP(type, name, params, args, len) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		type got = __real_##name args; \
		fuzz_read(img, addr, got ? (len) : 0); \
		return got; \
	}
FUZZ_WRAP(const void *, image_find, (struct image *img, uint64_t addr, size_t len), (img, addr, len), len)
FUZZ_WRAP(struct image_range *, image_range_at, (struct image *img, uint64_t addr), (img, addr), 0)
FUZZ_WRAP(bool, image_read, (struct image *img, uint64_t addr, void *buf, size_t len), (img, addr, buf, len), len)
FUZZ_WRAP(const char *, image_str, (struct image *img, uint64_t addr, size_t max), (img, addr, max), strlen(got))

static int fuzz_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static inline void fuzz_record(struct python *py, unsigned what, struct fuzz_words *w)
{
	size_t k = 0;
	fuzz_recording = w;
	py->target->image->last = NULL;
	fuzz_snapshot(py, what);
	fuzz_recording = NULL;
	qsort(w->v, w->n, sizeof *w->v, fuzz_order);
	for (size_t i = 0; i < w->n; i++)
		if (!k || w->v[k - 1] != w->v[i])
			w->v[k++] = w->v[i];
	w->n = k;
}

/* The input is a list of changes of words, 8 bytes each: how (1), where (3), what (4). */
enum { FUZZ_CHANGES = 512 };
struct fuzz_undo { uint64_t at, was; };

static inline uint64_t fuzz_word(uint8_t how, uint32_t what, uint64_t was, uint64_t other, uint64_t place)
{
	switch (how % 8) {
	case 0:
		return what;
	case 1:
		return was + (uint64_t)(int32_t)what;
	case 2:
		return other;
	case 3:
		return place;
	case 4:
		return was ^ 1ull << what % 64;
	case 5:
		return (uint64_t)what << 32;
	case 6:
		return ~(uint64_t)what;
	default:
		return (was & ~0xFFull) | (what & 0xFF);
	}
}

static inline size_t fuzz_change(struct image *img, const struct fuzz_words *w, const uint8_t *data,
				 size_t size, struct fuzz_undo *undo)
{
	size_t n = 0;
	for (size_t at = 0; size - at >= 8 && n < FUZZ_CHANGES; at += 8) {
		uint32_t what, where = data[at + 1] | data[at + 2] << 8 | (uint32_t)data[at + 3] << 16;
		memcpy(&what, data + at + 4, 4);
		uint64_t other = 0, place = w->v[what % w->n];
		undo[n].at = w->v[where % w->n];
		if (!image_u64(img, undo[n].at, &undo[n].was) || !image_u64(img, place, &other))
			continue;
		uint64_t is = fuzz_word(data[at], what, undo[n].was, other, place);
		image_put(img, undo[n++].at, &is, 8);
	}
	return n;
}

static inline void fuzz_restore(struct image *img, const struct fuzz_undo *undo, size_t n)
{
	while (n--)
		image_put(img, undo[n].at, &undo[n].was, 8);
}

#endif

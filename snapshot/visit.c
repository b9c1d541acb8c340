#include "snapshot/visit.h"

#include <string.h>

/* Only exceptions nest, and a look bounds them far below that. */
#define DEPTH_MAX 1000

static bool visit_array(struct visit *v, const struct field_type *t, const void *array, size_t n);

/* Addresses have 47 bits. Of two arrays at one address one is the beginning of the other,
 * and so much shorter than 2^17 that the keys differ. */
static uint64_t key(const void *array, size_t n)
{
	return (uint64_t)(uintptr_t)array ^ (uint64_t)n << 47;
}

uint64_t visit_number(const struct visit *v, const struct field_type *t, const void *array, size_t n)
{
	uint64_t number;
	return array && map_get(&v->seen[field_type_index(t)], key(array, n), &number) ? number : 0;
}

const void *visit_pointed(const struct visit *v, const struct field *f, const void *element, size_t *n)
{
	const void *p;
	memcpy(&p, field_at(f, element), sizeof p);
	*n = 1;
	if (f->kind == FIELD_MANY)
		memcpy(n, (const char *)element + f->count, sizeof *n);
	return v->no_locals && strcmp(f->of->name, "local") == 0 ? NULL : p;
}

static bool visit_fields(struct visit *v, const struct field_type *t, const void *element)
{
	bool fine = true;
	for (size_t i = 0; i < t->n && fine; i++) {
		const struct field *f = &t->fields[i];
		size_t n;
		if (f->kind == FIELD_INSIDE) {
			fine = visit_fields(v, f->of, field_at(f, element));
		} else if (f->kind == FIELD_ONE || f->kind == FIELD_MANY) {
			const void *p = visit_pointed(v, f, element, &n);
			fine = !p || visit_array(v, f->of, p, n);
		}
	}
	return fine;
}

static bool visit_array(struct visit *v, const struct field_type *t, const void *array, size_t n)
{
	bool fine = v->depth < DEPTH_MAX;
	if (visit_number(v, t, array, n))
		return true;
	v->depth++;
	for (size_t i = 0; i < n && fine; i++)
		fine = visit_fields(v, t, (const char *)array + i * t->size);
	v->depth--;
	fine = fine && v->met(v, t, array, n);
	return fine && map_set(&v->seen[field_type_index(t)], key(array, n), ++v->next);
}

bool visit_snapshot(struct visit *v, const struct snapshot *s)
{
	return visit_array(v, field_types[0], s, 1);
}

void visit_free(struct visit *v)
{
	for (size_t i = 0; i < FIELD_TYPES; i++)
		map_free(&v->seen[i]);
}

struct each_frame { void (*fn)(void *ctx, const struct frame_place *at); void *ctx; };

static bool met_frame(struct visit *v, const struct field_type *t, const void *array, size_t n)
{
	const struct each_frame *x = v->ctx;
	bool frames = strcmp(t->name, "frame") == 0, threads = strcmp(t->name, "thread-frame") == 0;
	for (size_t i = 0; i < n && frames; i++) {
		const struct frame *f = &((const struct frame *)array)[i];
		x->fn(x->ctx, &(struct frame_place){ f->function, f->file, f->line, f->first });
	}
	for (size_t i = 0; i < n && threads; i++) {
		const struct thread_frame *f = &((const struct thread_frame *)array)[i];
		if (f->kind == FRAME_PYTHON)
			x->fn(x->ctx, &(struct frame_place){ f->function, f->file, f->line, f->first });
	}
	return true;
}

bool snapshot_each_frame(const struct snapshot *s, void (*fn)(void *ctx, const struct frame_place *at), void *ctx)
{
	struct each_frame x = { fn, ctx };
	struct visit v = { .met = met_frame, .ctx = &x };
	bool fine = visit_snapshot(&v, s);
	visit_free(&v);
	return fine;
}

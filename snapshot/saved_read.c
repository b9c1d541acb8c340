/* Reading a saved look: any file may be given, so every number is bounded before it is used.
 * Blocks point to blocks before them only, so nothing goes in circles; how deep they nest and
 * how much they are when each pointer is followed is counted as they come. */
#include "snapshot/saved.h"

#include <math.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/pages.h"
#include "base/vec.h"
#include "snapshot/saved_tables.h"

/* A look bounds how exceptions nest; structs inside of structs are two or three deep. */
#define DEPTH_MAX 300
#define INSIDE_MAX 8
/* How many times as much as the file has may be there once shared parts count for each that
 * has them: a hundred thousand tasks may well have one stack of twenty frames. */
#define SHARED_MAX 100
#define SHARED_LEAST 1000000

struct block {
	uint32_t type;           /* in the file's tables */
	uint32_t depth;
	size_t n;
	void *v;                 /* NULL: of a type that is not known here */
	uint64_t whole;          /* elements, with all that they point to */
};

struct reading {
	struct saved_bytes in;
	struct saved_tables t;
	struct arena *arena;
	uint64_t most, took;     /* memory */
	struct VEC(struct block) blocks;
	struct VEC(const char *) texts;
	uint32_t depth;          /* of the block that is being read */
	uint64_t whole, whole_max;
	unsigned inside;
	bool nomem;
};

static void *room(struct reading *r, size_t n, size_t size)
{
	uint64_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > r->most - r->took) {
		r->nomem = true;
		return NULL;
	}
	r->took += bytes;
	void *p = arena_alloc(r->arena, bytes ? bytes : 1);
	r->nomem |= !p;
	return p;
}

static void read_element(struct reading *r, const struct saved_type *t, char *element);

/* What the file does not have. */
static void absent(struct reading *r, const struct field *f, char *element)
{
	char *at = element + f->offset;
	const double unknown = NAN;
	const char *none = "";
	if (f->kind == FIELD_INT && f->size == 8)
		memcpy(at, &f->absent, 8);
	else if (f->kind == FIELD_INT || f->kind == FIELD_ENUM)
		memcpy(at, &(int32_t){ (int32_t)f->absent }, 4);
	else if (f->kind == FIELD_DOUBLE)
		memcpy(at, &unknown, sizeof unknown);
	else if (f->kind == FIELD_TEXT && f->needed)
		memcpy(at, &none, sizeof none);
	else if (f->kind == FIELD_INSIDE)
		for (size_t i = 0; i < f->of->n; i++)
			absent(r, &f->of->fields[i], at);
	else if (f->kind == FIELD_ONE && f->needed)
		r->in.bad = true;
}

static void read_int(struct reading *r, const struct field *f, char *at)
{
	int64_t v = saved_int(&r->in);
	if (!f)
		return;
	if (f->size == sizeof v)
		memcpy(at, &v, sizeof v);
	else if (v >= INT32_MIN && v <= INT32_MAX)
		memcpy(at, &(int32_t){ (int32_t)v }, sizeof(int32_t));
	else
		r->in.bad = true;
}

static void read_enum(struct reading *r, const struct saved_field *sf, char *at)
{
	uint64_t v = saved_uint(&r->in);
	const struct saved_enum *e = sf->of < r->t.enums.n ? &r->t.enums.v[sf->of] : NULL;
	if (!e || v >= e->n) {
		r->in.bad = true;
		return;
	}
	int32_t value = e->to[v];
	if (!sf->known)
		return;
	if (value < 0) {
		value = (int32_t)sf->known->absent;
		r->t.newer = true;
	}
	memcpy(at, &value, sizeof value);
}

static void read_text(struct reading *r, const struct field *f, char *at)
{
	uint64_t v = saved_uint(&r->in);
	if (v > r->texts.n || (f && f->needed && !v)) {
		r->in.bad = true;
		return;
	}
	const char *s = v ? r->texts.v[v - 1] : NULL;
	if (f)
		memcpy(at, &s, sizeof s);
}

static void read_chars(struct reading *r, const struct field *f, char *at)
{
	size_t n;
	const char *s = saved_text(&r->in, &n);
	if (!f || !s)
		return;
	if (n >= f->size)
		r->in.bad = true;
	else
		memcpy(at, s, n);
}

static void read_pointer(struct reading *r, const struct saved_field *sf, char *element)
{
	const struct field *f = sf->known;
	uint64_t v = saved_uint(&r->in);
	if (v > r->blocks.n || (f && f->needed && !v)) {
		r->in.bad = true;
		return;
	}
	if (!v)
		return;
	const struct block *b = &r->blocks.v[v - 1];
	if (b->type != sf->of || (sf->kind == FIELD_ONE && b->n != 1)) {
		r->in.bad = true;
		return;
	}
	r->depth = b->depth + 1 > r->depth ? b->depth + 1 : r->depth;
	if (__builtin_add_overflow(r->whole, b->whole, &r->whole))
		r->whole = UINT64_MAX;
	if (!f)
		return;
	memcpy(element + f->offset, &b->v, sizeof b->v);
	if (f->kind == FIELD_MANY)
		memcpy(element + f->count, &b->n, sizeof b->n);
}

static void read_field(struct reading *r, const struct saved_field *sf, char *element)
{
	const struct field *f = sf->known;
	char *at = f ? element + f->offset : NULL;
	uint64_t v;
	double d;
	switch (sf->kind) {
	case FIELD_BOOL:
		v = saved_byte(&r->in);
		r->in.bad |= v > 1;
		if (f)
			*at = v == 1;
		break;
	case FIELD_INT:
		read_int(r, f, at);
		break;
	case FIELD_UINT:
		v = saved_uint(&r->in);
		if (f)
			memcpy(at, &v, sizeof v);
		break;
	case FIELD_DOUBLE:
		d = saved_double(&r->in);
		if (f)
			memcpy(at, &d, sizeof d);
		break;
	case FIELD_ENUM:
		read_enum(r, sf, at);
		break;
	case FIELD_TEXT:
		read_text(r, f, at);
		break;
	case FIELD_CHARS:
		read_chars(r, f, at);
		break;
	case FIELD_INSIDE:
		read_element(r, &r->t.types.v[sf->of], at);
		break;
	case FIELD_ONE:
	case FIELD_MANY:
		read_pointer(r, sf, element);
		break;
	case FIELD_KINDS:
		break;
	}
}

/* Where a context stands is an index, which is used as it is. */
static void check_stack(struct reading *r, const struct stack *s)
{
	for (size_t i = 0; i < s->ncontexts; i++)
		if (s->contexts[i].frame >= s->n || (i && s->contexts[i].frame < s->contexts[i - 1].frame))
			r->in.bad = true;
}

/* element: NULL where the type, or the field that it is inside of, is not known. */
static void read_element(struct reading *r, const struct saved_type *t, char *element)
{
	static const struct saved_field unknown = { .known = NULL };
	if (++r->inside > INSIDE_MAX)
		r->in.bad = true;
	for (size_t i = 0; i < t->nfields && !r->in.bad; i++) {
		struct saved_field sf = t->fields[i];
		if (!element)
			sf.known = unknown.known;
		read_field(r, &sf, element);
	}
	for (size_t i = 0; element && i < t->nlacking && !r->in.bad; i++)
		absent(r, t->lacking[i], element);
	if (element && t->is_stack && !r->in.bad)
		check_stack(r, (const struct stack *)element);
	r->inside--;
}

static void read_text_block(struct reading *r)
{
	size_t n;
	const char *s = saved_text(&r->in, &n);
	char *copy = s && !memchr(s, '\0', n) ? room(r, n + 1, 1) : NULL;
	if (!copy) {
		r->in.bad = true;
		return;
	}
	memcpy(copy, s, n);
	r->nomem |= !vec_push(&r->texts, copy);
}

static void read_block(struct reading *r)
{
	uint64_t type = saved_uint(&r->in), n;
	if (type == r->t.types.n) {
		read_text_block(r);
		return;
	}
	n = saved_uint(&r->in);
	/* Every element has a byte at least. */
	if (type > r->t.types.n || n > (uint64_t)(r->in.end - r->in.p)) {
		r->in.bad = true;
		return;
	}
	const struct saved_type *t = &r->t.types.v[type];
	char *v = t->known ? room(r, n, t->known->size) : NULL;
	r->depth = 0;
	r->whole = n;
	for (uint64_t i = 0; i < n && !r->in.bad && !r->nomem; i++)
		read_element(r, t, v ? v + i * t->known->size : NULL);
	r->in.bad |= r->depth > DEPTH_MAX || r->whole > r->whole_max;
	r->nomem |= !vec_push(&r->blocks, (struct block){ (uint32_t)type, r->depth, n, v, r->whole });
}

/* Arrays that a snapshot owns by themselves are no part of its arena. */
static bool own(void *array, size_t n, size_t size)
{
	void *from, *copy = calloc(n ? n : 1, size);
	memcpy(&from, array, sizeof from);
	if (copy && n)
		memcpy(copy, from, n * size);
	memcpy(array, &copy, sizeof copy);
	return copy != NULL;
}

static bool own_tasks(struct snapshot *s)
{
	const struct task *from = s->tasks;
	s->tasks_room = (s->ntasks ? s->ntasks : 1) * sizeof *s->tasks;
	s->tasks = pages_alloc(s->tasks_room);
	if (s->tasks && s->ntasks)
		memcpy(s->tasks, from, s->ntasks * sizeof *from);
	return s->tasks != NULL;
}

/* The one text that is printed as it is. */
static bool is_version(const char *s)
{
	return !s[strspn(s, "0123456789abcrc.+-")];
}

static err_t finish(struct reading *r, struct snapshot **out)
{
	const struct block *last = r->blocks.n ? &r->blocks.v[r->blocks.n - 1] : NULL;
	if (!last || r->t.types.v[last->type].known != field_types[0] || last->n != 1)
		return err_new(E_BADDATA, "it ends before its last part");
	if (!is_version(((const struct snapshot *)last->v)->python))
		return err_new(E_BADDATA, "it is damaged");
	struct snapshot *s = malloc(sizeof *s);
	if (!s)
		return ERR_NOMEM;
	memcpy(s, last->v, sizeof *s);
	s->source = SNAPSHOT_SAVED;
	bool fine = own_tasks(s);
	fine = own(&s->loops, s->nloops, sizeof *s->loops) && fine;
	fine = own(&s->groups, s->ngroups, sizeof *s->groups) && fine;
	fine = own(&s->executors, s->nexecutors, sizeof *s->executors) && fine;
	s->arena = r->arena;
	r->arena = NULL;
	if (!fine) {
		snapshot_free(s);
		return ERR_NOMEM;
	}
	saved_tables_note(&r->t, s);
	*out = s;
	return NULL;
}

err_t saved_read(const char *body, size_t n, uint64_t most, struct snapshot **out)
{
	struct reading r = {
		.in = { (const uint8_t *)body, (const uint8_t *)body + n, false }, .most = most, .arena = arena_new(),
		.whole_max = (uint64_t)n * SHARED_MAX + SHARED_LEAST,
	};
	err_t e = r.arena ? saved_tables_read(&r.t, &r.in) : ERR_NOMEM;
	while (!e && r.in.p < r.in.end && !r.in.bad && !r.nomem)
		read_block(&r);
	if (!e && (r.nomem || arena_failed(r.arena)))
		e = err_new(E_NOMEM, "the look that was saved takes more memory than there is here");
	if (!e && r.in.bad)
		e = err_new(E_BADDATA, "it is damaged");
	if (!e)
		e = finish(&r, out);
	vec_free(&r.blocks);
	vec_free(&r.texts);
	saved_tables_free(&r.t);
	arena_free(r.arena);
	return e;
}

bool saved_is(const char *head, size_t n)
{
	return n >= SAVED_MAGIC_SIZE && memcmp(head, SAVED_MAGIC, SAVED_MAGIC_SIZE - 2) == 0;
}

err_t saved_unpack(const char *file, size_t n, uint64_t most, struct strbuf *body)
{
	if (!saved_is(file, n))
		return err_new(E_BADDATA, "it is no saved look");
	if (memcmp(file, SAVED_MAGIC, SAVED_MAGIC_SIZE) != 0)
		return err_new(E_VERSION, "it is a saved look of another version than this asyncmon reads");
	file += SAVED_MAGIC_SIZE;
	n -= SAVED_MAGIC_SIZE;
	unsigned long long size = ZSTD_getFrameContentSize(file, n);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || ZSTD_findFrameCompressedSize(file, n) != n)
		return err_new(E_BADDATA, "it is cut off or damaged");
	if (size > most)
		return err_new(E_NOMEM, "the look that was saved takes more memory than there is here");
	if (!strbuf_room(body, size))
		return ERR_NOMEM;
	size_t got = ZSTD_decompress(body->s, size, file, n);
	if (ZSTD_isError(got) || got != size)
		return err_new(E_BADDATA, "it is damaged");
	body->len = size;
	body->s[size] = '\0';
	return NULL;
}

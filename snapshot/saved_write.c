#include "snapshot/saved.h"

#include <stdlib.h>
#include <zstd.h>

#include "snapshot/visit.h"

#define LEVEL 3

struct writing {
	struct strbuf body;
	struct map by_hash;      /* hash of a text → number + 1 of the last that has it */
	struct VEC(struct known_text) texts;
};
struct known_text { const char *s; uint64_t before; }; /* before: number + 1 of another of that hash */

static void put_uint(struct strbuf *b, uint64_t v)
{
	char bytes[10];
	size_t n = 0;
	do {
		bytes[n++] = (char)((v & 0x7F) | (v > 0x7F ? 0x80 : 0));
		v >>= 7;
	} while (v);
	strbuf_add(b, bytes, n);
}

static void put_int(struct strbuf *b, int64_t v)
{
	put_uint(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_double(struct strbuf *b, double v)
{
	uint64_t bits;
	char bytes[8];
	memcpy(&bits, &v, sizeof bits);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(bits >> 8 * i);
	strbuf_add(b, bytes, sizeof bytes);
}

static void put_bytes(struct strbuf *b, const char *s, size_t n)
{
	put_uint(b, n);
	strbuf_add(b, s, n);
}

static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return h | 1;
}

/* Its number + 1; it is written where it is new. 0: NULL, or memory is out. */
static uint64_t text_number(struct writing *w, const char *s)
{
	uint64_t h, last = 0;
	if (!s)
		return 0;
	h = hash(s);
	map_get(&w->by_hash, h, &last);
	for (uint64_t i = last; i; i = w->texts.v[i - 1].before)
		if (w->texts.v[i - 1].s == s || strcmp(w->texts.v[i - 1].s, s) == 0)
			return i;
	if (!vec_push(&w->texts, (struct known_text){ s, last }) || !map_set(&w->by_hash, h, w->texts.n)) {
		w->body.failed = true;
		return 0;
	}
	put_uint(&w->body, FIELD_TYPES);
	put_bytes(&w->body, s, strlen(s));
	return w->texts.n;
}

static const char *text_at(const struct field *f, const void *element)
{
	const char *s;
	memcpy(&s, field_at(f, element), sizeof s);
	return s;
}

/* Texts come before the block that has them. */
static void put_texts(struct writing *w, const struct field_type *t, const void *element)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->fields[i].kind == FIELD_TEXT)
			text_number(w, text_at(&t->fields[i], element));
		else if (t->fields[i].kind == FIELD_INSIDE)
			put_texts(w, t->fields[i].of, field_at(&t->fields[i], element));
	}
}

static int64_t int_at(const struct field *f, const void *element)
{
	int64_t wide;
	int32_t narrow;
	if (f->size == sizeof wide) {
		memcpy(&wide, field_at(f, element), sizeof wide);
		return wide;
	}
	memcpy(&narrow, field_at(f, element), sizeof narrow);
	return narrow;
}

static void put_element(struct visit *v, const struct field_type *t, const void *element);

static void put_field(struct visit *v, const struct field *f, const void *element)
{
	struct writing *w = v->ctx;
	struct strbuf *b = &w->body;
	const void *at = field_at(f, element);
	double d;
	size_t n;
	switch (f->kind) {
	case FIELD_BOOL:
		strbuf_char(b, *(const bool *)at);
		break;
	case FIELD_INT:
		put_int(b, int_at(f, element));
		break;
	case FIELD_UINT:
	case FIELD_ENUM:
		put_uint(b, (uint64_t)int_at(f, element));
		break;
	case FIELD_DOUBLE:
		memcpy(&d, at, sizeof d);
		put_double(b, d);
		break;
	case FIELD_TEXT:
		put_uint(b, text_number(w, text_at(f, element)));
		break;
	case FIELD_CHARS:
		put_bytes(b, at, strnlen(at, f->size));
		break;
	case FIELD_INSIDE:
		put_element(v, f->of, at);
		break;
	case FIELD_ONE:
	case FIELD_MANY: {
		const void *p = visit_pointed(v, f, element, &n);
		put_uint(b, visit_number(v, f->of, p, n));
		break;
	}
	case FIELD_KINDS:
		break;
	}
}

static void put_element(struct visit *v, const struct field_type *t, const void *element)
{
	for (size_t i = 0; i < t->n; i++)
		put_field(v, &t->fields[i], element);
}

static bool put_block(struct visit *v, const struct field_type *t, const void *array, size_t n)
{
	struct writing *w = v->ctx;
	for (size_t i = 0; i < n; i++)
		put_texts(w, t, (const char *)array + i * t->size);
	put_uint(&w->body, field_type_index(t));
	put_uint(&w->body, n);
	for (size_t i = 0; i < n; i++)
		put_element(v, t, (const char *)array + i * t->size);
	return !w->body.failed;
}

static size_t enum_index(const struct field_names *e)
{
	size_t i = 0;
	while (field_enums[i] != e)
		i++;
	return i;
}

static void put_tables(struct strbuf *b)
{
	put_uint(b, FIELD_TYPES);
	for (size_t i = 0; i < FIELD_TYPES; i++) {
		const struct field_type *t = field_types[i];
		put_bytes(b, t->name, strlen(t->name));
		put_uint(b, t->n);
		for (size_t k = 0; k < t->n; k++) {
			const struct field *f = &t->fields[k];
			put_bytes(b, f->name, strlen(f->name));
			put_uint(b, f->kind);
			put_uint(b, f->of ? field_type_index(f->of) : f->names ? enum_index(f->names) : 0);
		}
	}
	put_uint(b, FIELD_ENUMS);
	for (size_t i = 0; i < FIELD_ENUMS; i++) {
		const struct field_names *e = field_enums[i];
		put_bytes(b, e->name, strlen(e->name));
		put_uint(b, e->n);
		for (size_t k = 0; k < e->n; k++)
			put_bytes(b, e->of((int)k), strlen(e->of((int)k)));
	}
}

static err_t compress(const struct strbuf *body, struct strbuf *file)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(body->len), n = 0;
	strbuf_str(file, SAVED_MAGIC);
	bool fine = z && strbuf_room(file, room) && !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL)) &&
		    !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1));
	if (fine)
		n = ZSTD_compress2(z, file->s + file->len, room, body->s, body->len);
	ZSTD_freeCCtx(z);
	if (!fine || ZSTD_isError(n))
		return ERR_NOMEM;
	file->len += n;
	file->s[file->len] = '\0';
	return NULL;
}

err_t saved_write(const struct snapshot *s, const char *writer, struct strbuf *file)
{
	struct writing w = { 0 };
	struct visit v = { .met = put_block, .ctx = &w, .no_locals = s->no_locals };
	put_bytes(&w.body, writer, strlen(writer));
	put_tables(&w.body);
	err_t e = visit_snapshot(&v, s) && !w.body.failed ? compress(&w.body, file) : ERR_NOMEM;
	visit_free(&v);
	map_free(&w.by_hash);
	vec_free(&w.texts);
	strbuf_free(&w.body);
	return e;
}

#include "snapshot/saved_tables.h"

#include <stdlib.h>
#include <string.h>

#define TYPES_MAX 1000
#define FIELDS_MAX 1000
#define NAMES_MAX 10000

uint8_t saved_byte(struct saved_bytes *in)
{
	if (in->p >= in->end) {
		in->bad = true;
		return 0;
	}
	return *in->p++;
}

uint64_t saved_uint(struct saved_bytes *in)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = saved_byte(in);
		/* Of the tenth byte one bit is left. */
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7F) << shift;
		if (!(b & 0x80))
			return v;
	}
	in->bad = true;
	return 0;
}

int64_t saved_int(struct saved_bytes *in)
{
	uint64_t v = saved_uint(in);
	return (int64_t)(v >> 1 ^ -(v & 1));
}

double saved_double(struct saved_bytes *in)
{
	uint64_t bits = 0;
	double v;
	for (unsigned i = 0; i < 8; i++)
		bits |= (uint64_t)saved_byte(in) << 8 * i;
	memcpy(&v, &bits, sizeof v);
	return v;
}

const char *saved_text(struct saved_bytes *in, size_t *n)
{
	uint64_t len = saved_uint(in);
	if (in->bad || len > (uint64_t)(in->end - in->p)) {
		in->bad = true;
		return NULL;
	}
	const char *s = (const char *)in->p;
	in->p += len;
	*n = len;
	return s;
}

static bool is(const char *name, const char *s, size_t n)
{
	return s && strlen(name) == n && memcmp(name, s, n) == 0;
}

static const struct field_type *known_type(const char *s, size_t n)
{
	for (size_t i = 0; i < FIELD_TYPES; i++)
		if (is(field_types[i]->name, s, n))
			return field_types[i];
	return NULL;
}

static const struct field *known_field(const struct field_type *t, const char *s, size_t n)
{
	for (size_t i = 0; t && i < t->n; i++)
		if (is(t->fields[i].name, s, n))
			return &t->fields[i];
	return NULL;
}

static err_t read_type(struct saved_tables *t, struct saved_bytes *in)
{
	size_t n = 0;
	const char *name = saved_text(in, &n);
	uint64_t fields = saved_uint(in);
	if (in->bad || !fields || fields > FIELDS_MAX)
		return err_new(E_BADDATA, "it is damaged");
	struct saved_type *x = vec_add(&t->types);
	if (!x)
		return ERR_NOMEM;
	*x = (struct saved_type){ .known = known_type(name, n), .fields = calloc(fields, sizeof *x->fields) };
	if (!x->fields)
		return ERR_NOMEM;
	x->is_stack = x->known && strcmp(x->known->name, "stack") == 0;
	for (; x->nfields < fields && !in->bad; x->nfields++) {
		struct saved_field *f = &x->fields[x->nfields];
		name = saved_text(in, &n);
		uint64_t kind = saved_uint(in), of = saved_uint(in);
		if (kind >= FIELD_KINDS || of >= TYPES_MAX)
			in->bad = true;
		*f = (struct saved_field){ (enum field_kind)kind, (uint32_t)of, known_field(x->known, name, n) };
	}
	return in->bad ? err_new(E_BADDATA, "it is damaged") : NULL;
}

static int32_t known_name(const struct field_names *e, const char *s, size_t n)
{
	for (size_t i = 0; e && i < e->n; i++)
		if (is(e->of((int)i), s, n))
			return (int32_t)i;
	return -1;
}

static err_t read_enum(struct saved_tables *t, struct saved_bytes *in)
{
	size_t n = 0;
	const struct field_names *known = NULL;
	const char *name = saved_text(in, &n);
	uint64_t names = saved_uint(in);
	if (in->bad || names > NAMES_MAX)
		return err_new(E_BADDATA, "it is damaged");
	for (size_t i = 0; i < FIELD_ENUMS; i++)
		if (is(field_enums[i]->name, name, n))
			known = field_enums[i];
	struct saved_enum *e = vec_add(&t->enums);
	if (!e)
		return ERR_NOMEM;
	*e = (struct saved_enum){ calloc(names + 1, sizeof *e->to), names };
	if (!e->to)
		return ERR_NOMEM;
	for (size_t i = 0; i < names; i++) {
		name = saved_text(in, &n);
		e->to[i] = known_name(known, name, n);
	}
	return in->bad ? err_new(E_BADDATA, "it is damaged") : NULL;
}

/* What the file calls a field must be here what it is there, else it is another one. */
static bool same_kind(const struct saved_tables *t, const struct saved_field *f)
{
	if (f->kind != f->known->kind)
		return false;
	if (f->kind == FIELD_INSIDE || f->kind == FIELD_ONE || f->kind == FIELD_MANY)
		return f->of < t->types.n && t->types.v[f->of].known == f->known->of;
	return true;
}

static bool has(const struct saved_type *x, const struct field *f)
{
	for (size_t i = 0; i < x->nfields; i++)
		if (x->fields[i].known == f)
			return true;
	return false;
}

static err_t match(struct saved_tables *t, struct saved_type *x)
{
	for (size_t i = 0; i < x->nfields; i++) {
		struct saved_field *f = &x->fields[i];
		bool typed = f->kind == FIELD_INSIDE || f->kind == FIELD_ONE || f->kind == FIELD_MANY;
		if (typed && f->of >= t->types.n)
			return err_new(E_BADDATA, "it is damaged");
		if (f->known && !same_kind(t, f))
			f->known = NULL;
		t->newer |= !f->known;
	}
	if (!x->known)
		return NULL;
	x->lacking = calloc(x->known->n, sizeof *x->lacking);
	if (!x->lacking)
		return ERR_NOMEM;
	for (size_t i = 0; i < x->known->n; i++) {
		if (has(x, &x->known->fields[i]))
			continue;
		x->lacking[x->nlacking++] = &x->known->fields[i];
		if (t->nlacks < sizeof t->lacks / sizeof *t->lacks)
			t->lacks[t->nlacks] = x->known->fields[i].name;
		t->nlacks++;
	}
	return NULL;
}

err_t saved_tables_read(struct saved_tables *t, struct saved_bytes *in)
{
	size_t n = 0;
	const char *writer = saved_text(in, &n);
	if (writer && n < sizeof t->writer)
		memcpy(t->writer, writer, n);
	uint64_t types = saved_uint(in);
	if (in->bad || types > TYPES_MAX)
		return err_new(E_BADDATA, "it is damaged");
	for (uint64_t i = 0; i < types; i++)
		TRY(read_type(t, in));
	uint64_t enums = saved_uint(in);
	if (in->bad || enums > TYPES_MAX)
		return err_new(E_BADDATA, "it is damaged");
	for (uint64_t i = 0; i < enums; i++)
		TRY(read_enum(t, in));
	for (size_t i = 0; i < t->types.n; i++)
		TRY(match(t, &t->types.v[i]));
	return NULL;
}

void saved_tables_free(struct saved_tables *t)
{
	for (size_t i = 0; i < t->types.n; i++) {
		free(t->types.v[i].fields);
		free(t->types.v[i].lacking);
	}
	for (size_t i = 0; i < t->enums.n; i++)
		free(t->enums.v[i].to);
	vec_free(&t->types);
	vec_free(&t->enums);
}

void saved_tables_note(const struct saved_tables *t, struct snapshot *s)
{
	if (t->newer)
		snapshot_note(s, "This look was saved by %s, which records more than this asyncmon knows of; that is "
			      "left out.", t->writer);
	if (t->nlacks)
		snapshot_note(s, "This look was saved by %s, which did not record all that this asyncmon asks for: %s%s%s%s "
			      "is unknown.", t->writer, t->lacks[0], t->nlacks > 1 ? ", " : "",
			      t->nlacks > 1 ? t->lacks[1] : "", t->nlacks > 2 ? " and more" : "");
}

/* Saved looks: every field comes back, damaged and odd files do no harm. */
#include "snap.h"

#include "snapshot/fields.h"
#include "snapshot/saved.h"
#include "snapshot/saved_tables.h"

#define MOST (64u << 20)
/* How deep structures nest in what fill() makes. */
#define DEEP 5

static void fill(struct arena *a, const struct field_type *t, char *element, int depth, int *next);

static void fill_field(struct arena *a, const struct field_type *t, const struct field *f, char *element, int depth, int *next)
{
	char *at = element + f->offset;
	int v = (*next)++;
	switch (f->kind) {
	case FIELD_BOOL:
		*(bool *)at = v % 2;
		break;
	case FIELD_INT:
		if (f->size == 8)
			memcpy(at, &(int64_t){ v % 2 ? -v * 1000000000ll : v }, 8);
		else
			memcpy(at, &(int32_t){ v % 2 ? -v : v }, 4);
		break;
	case FIELD_UINT:
		/* Which frame a context is of is an index. */
		memcpy(at, &(uint64_t){ strcmp(t->name, "context") == 0 && strcmp(f->name, "frame") == 0 ? 1 :
					0x7f0000000000u + (uint64_t)v }, 8);
		break;
	case FIELD_DOUBLE:
		memcpy(at, &(double){ v + 0.25 }, 8);
		break;
	case FIELD_ENUM:
		memcpy(at, &(int32_t){ v % (int)f->names->n }, 4);
		break;
	case FIELD_TEXT:
		*(const char **)at = v % 5 || f->needed ? arena_fmt(a, "text %d", v) : NULL;
		break;
	case FIELD_CHARS:
		snprintf(at, f->size, "3.14.2");
		break;
	case FIELD_INSIDE:
		fill(a, f->of, at, depth, next);
		break;
	case FIELD_ONE:
	case FIELD_MANY:
		if (depth < DEEP || f->needed) {
			size_t n = f->kind == FIELD_ONE ? 1 : 2;
			char *v2 = arena_array(a, n, f->of->size);
			for (size_t i = 0; i < n; i++)
				fill(a, f->of, v2 + i * f->of->size, depth + 1, next);
			memcpy(at, &v2, sizeof v2);
			if (f->kind == FIELD_MANY)
				memcpy(element + f->count, &n, sizeof n);
		}
		break;
	case FIELD_KINDS:
		break;
	}
}

static void fill(struct arena *a, const struct field_type *t, char *element, int depth, int *next)
{
	/* A chain of exceptions would go on for ever: one of them is NULL. */
	for (size_t i = 0; i < t->n; i++)
		fill_field(a, t, &t->fields[i], element, strncmp(t->name, "exception", 9) ? depth : depth + 1, next);
}

static struct snapshot *filled(void)
{
	struct snapshot *s = calloc(1, sizeof *s);
	int next = 1;
	s->arena = arena_new();
	fill(s->arena, field_types[0], (char *)s, 0, &next);
	s->no_locals = false;
	return s;
}

static void filled_free(struct snapshot *s)
{
	arena_free(s->arena);
	free(s);
}

static size_t compared;

static void same(const struct field_type *t, const char *a, const char *b)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->fields[i];
		const char *p, *q;
		size_t n = 1;
		compared++;
		if (strcmp(f->name, "source") == 0)
			continue;
		memcpy(&p, a + f->offset, f->size < 8 ? 1 : 8);
		memcpy(&q, b + f->offset, f->size < 8 ? 1 : 8);
		if (f->kind == FIELD_INSIDE) {
			same(f->of, a + f->offset, b + f->offset);
		} else if (f->kind == FIELD_TEXT) {
			if ((p || q) && (!p || !q || strcmp(p, q) != 0))
				fail_msg("%s.%s: %s and %s", t->name, f->name, p ? p : "NULL", q ? q : "NULL");
		} else if (f->kind == FIELD_ONE || f->kind == FIELD_MANY) {
			if (f->kind == FIELD_MANY) {
				assert_memory_equal(a + f->count, b + f->count, sizeof n);
				memcpy(&n, a + f->count, sizeof n);
			}
			if (!p && strcmp(t->name, "snapshot") != 0)
				assert_null(q);
			for (size_t k = 0; p && k < n; k++)
				same(f->of, p + k * f->of->size, q + k * f->of->size);
		} else if (memcmp(a + f->offset, b + f->offset, f->size) != 0) {
			fail_msg("%s.%s differs", t->name, f->name);
		}
	}
}

static struct strbuf body_of(const struct snapshot *s)
{
	struct strbuf file = { 0 }, body = { 0 };
	assert_null(saved_write(s, "asyncmon test", &file));
	assert_true(saved_is(file.s, file.len));
	assert_null(saved_unpack(file.s, file.len, MOST, &body));
	strbuf_free(&file);
	return body;
}

static void every_field_comes_back(void **state)
{
	struct snapshot *s = filled(), *back = NULL;
	struct strbuf body = body_of(s);
	(void)state;
	assert_null(saved_read(body.s, body.len, MOST, &back));
	assert_int_equal(back->source, SNAPSHOT_SAVED);
	assert_int_equal(back->nnotes, 2);
	same(field_types[0], (const char *)s, (const char *)back);
	assert_true(compared > 1000);
	snapshot_free(back);
	strbuf_free(&body);
	filled_free(s);
}

/* A table that forgets a member loses it: members and the gaps that alignment makes are all
 * there is to a struct. */
static void tables_have_every_member(void **state)
{
	(void)state;
	for (size_t i = 1; i < FIELD_TYPES; i++) {
		const struct field_type *t = field_types[i];
		char *used = calloc(t->size + 1, 1);
		for (size_t k = 0; k < t->n; k++) {
			memset(used + t->fields[k].offset, 1, t->fields[k].size);
			if (t->fields[k].kind == FIELD_MANY)
				memset(used + t->fields[k].count, 1, sizeof(size_t));
		}
		for (size_t at = 0, gap = 0; at <= t->size; at++) {
			gap = used[at] || at == t->size ? 0 : gap + 1;
			if (gap >= 8)
				fail_msg("struct %s has a member near byte %zu that its table lacks", t->name, at);
		}
		free(used);
	}
}

/* Reads a body of its exact size, so that a sanitizer sees what lies behind. */
static err_t read_exact(const char *body, size_t n, struct snapshot **out)
{
	char *copy = malloc(n ? n : 1);
	memcpy(copy, body, n);
	err_t e = saved_read(copy, n, MOST, out);
	free(copy);
	return e;
}

static void cut_bodies_are_errors(void **state)
{
	struct snapshot *s = filled(), *back = NULL;
	struct strbuf body = body_of(s);
	(void)state;
	for (size_t n = 0; n < body.len; n += n < 3000 || body.len - n < 3000 ? 1 : 997) {
		err_t e = read_exact(body.s, n, &back);
		assert_non_null(e);
		err_free(e);
	}
	strbuf_free(&body);
	filled_free(s);
}

static void changed_bytes_do_no_harm(void **state)
{
	struct snapshot *s = filled(), *back = NULL;
	struct strbuf body = body_of(s);
	size_t refused = 0, step = body.len / 4000 + 1;
	(void)state;
	for (size_t at = 0; at < body.len; at += step)
		for (int how = 0; how < 3; how++) {
			char old = body.s[at];
			body.s[at] = (char)(how == 0 ? 0xFF : how == 1 ? 0 : old + 1);
			err_t e = read_exact(body.s, body.len, &back);
			refused += e != NULL;
			if (!e)
				snapshot_free(back);
			err_free(e);
			body.s[at] = old;
		}
	assert_true(refused > 100);
	strbuf_free(&body);
	filled_free(s);
}

/* The same length, so that nothing else of the file changes. */
static void rename_in(struct strbuf *body, const char *from, const char *to)
{
	size_t n = 0;
	for (char *at = body->s; (at = memmem(at, body->len - (size_t)(at - body->s), from, strlen(from))); at++, n++)
		memcpy(at, to, strlen(to));
	assert_true(n > 0);
}

static void unknown_and_missing_fields_are_said(void **state)
{
	struct snapshot *s = snap_new(2), *back = NULL;
	(void)state;
	s->tasks[1].fut_waiter = 7;
	s->tasks[0].serial = s->tasks[1].serial = 12;
	s->tasks[1].wait = snap_wait(s, WAIT_SHUTDOWN);
	struct strbuf body = body_of(s);
	rename_in(&body, "\x0a""fut_waiter", "\x0a""fut_sitter");
	rename_in(&body, "\x06""serial", "\x06""zerial");
	rename_in(&body, "shutdown", "shutDown");
	assert_null(read_exact(body.s, body.len, &back));
	assert_int_equal(back->tasks[1].fut_waiter, 0);
	assert_int_equal(back->tasks[1].serial, -1);
	assert_int_equal(back->tasks[1].wait->kind, WAIT_UNKNOWN);
	assert_string_equal(back->tasks[1].name, "Task-2");
	assert_int_equal(back->nnotes, 2);
	has(back->notes[0], "more than this asyncmon knows");
	has(back->notes[1], "serial");
	snapshot_free(back);
	strbuf_free(&body);
	snapshot_free(s);
}

/* 60 exceptions, each the cause and the context of the one before: followed, 2^60. */
static void shared_parts_do_not_multiply(void **state)
{
	struct snapshot *s = snap_new(1), *back = NULL;
	const struct exception *inner = NULL;
	(void)state;
	for (int i = 0; i < 60; i++) {
		struct exception *e = arena_alloc(s->arena, sizeof *e);
		*e = (struct exception){ .type = "E", .cause = inner, .context = inner };
		inner = e;
	}
	s->tasks[0].exception = inner;
	struct strbuf body = body_of(s);
	err_t e = read_exact(body.s, body.len, &back);
	assert_int_equal(err_code(e), E_BADDATA);
	err_free(e);
	strbuf_free(&body);
	snapshot_free(s);
}

static void memory_is_bounded(void **state)
{
	struct snapshot *s = snap_new(1000), *back = NULL;
	struct strbuf file = { 0 }, body = { 0 };
	(void)state;
	assert_null(saved_write(s, "x", &file));
	err_t e = saved_unpack(file.s, file.len, 100, &body);
	assert_int_equal(err_code(e), E_NOMEM);
	err_free(e);
	assert_null(saved_unpack(file.s, file.len, MOST, &body));
	e = saved_read(body.s, body.len, 1000 * sizeof(struct task) / 2, &back);
	assert_int_equal(err_code(e), E_NOMEM);
	err_free(e);
	strbuf_free(&file);
	strbuf_free(&body);
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_comes_back), cmocka_unit_test(tables_have_every_member),
		cmocka_unit_test(cut_bodies_are_errors), cmocka_unit_test(changed_bytes_do_no_harm),
		cmocka_unit_test(unknown_and_missing_fields_are_said), cmocka_unit_test(shared_parts_do_not_multiply),
		cmocka_unit_test(memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

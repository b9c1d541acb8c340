/* Coroutines that Cython made. Their struct, __pyx_CoroutineObject, is of each module's own;
 * versions differ in what lies between its fields (Cython/Utility/Coroutine.c, 0.29 to 3.3):
 * body, closure, an exception's state, a list of weak references, classobj, yieldfrom, from
 * 3.1 on a function, then gi_name, gi_qualname, gi_modulename, gi_code, gi_frame. The two
 * names are the first pair of str, and all else is found from there. */
#include "tasks/walk.h"

#include <string.h>

#define WORDS_MAX 32

static uint64_t word(struct walk *w, uint64_t obj, int64_t i)
{
	uint64_t p = field_at(&w->r, obj, (int32_t)(8 * i));
	return p && p % 8 == 0 && image_range_at(w->r.img, p) ? p : 0;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

/* Cython's types are "coroutine", "iterable_coroutine", "generator" and "coroutine_wrapper",
 * from version 3 on with "_cython_3_1_6." in front. A wrapper has the coroutine alone. */
static uint64_t unwrapped(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	if (t && t->kind == KIND_OTHER && ends_with(t->name, "coroutine_wrapper"))
		t = object_type(&w->r, obj = word(w, obj, w->r.l->object_size / 8));
	if (!t || t->kind != KIND_OTHER || (!ends_with(t->name, "coroutine") && !ends_with(t->name, "generator")))
		return 0;
	return obj;
}

/* The word that has gi_name; 0 none. */
static int64_t names_at(struct walk *w, uint64_t coro)
{
	const struct type_info *t = object_type(&w->r, coro);
	int64_t n = t->basicsize / 8;
	n = n < WORDS_MAX ? n : WORDS_MAX;
	for (int64_t i = w->r.l->object_size / 8 + 2; i + 1 < n; i++) {
		uint64_t name = word(w, coro, i), qualname = word(w, coro, i + 1);
		if (name && qualname && object_kind(&w->r, name) == KIND_STR && object_kind(&w->r, qualname) == KIND_STR)
			return i;
	}
	return 0;
}

bool cython_read(struct walk *w, uint64_t obj, struct cython_coroutine *out)
{
	*out = (struct cython_coroutine){ .id = unwrapped(w, obj) };
	int64_t at = out->id ? names_at(w, out->id) : 0;
	if (!at)
		return false;
	out->name = str_at(&w->r, word(w, out->id, at));
	out->qualname = str_at(&w->r, word(w, out->id, at + 1));
	for (int64_t i = w->r.l->object_size / 8; i < at && !out->closure; i++) {
		const struct type_info *t = object_type(&w->r, word(w, out->id, i));
		if (t && strstr(t->name, "__pyx_scope_struct"))
			out->closure = word(w, out->id, i);
	}
	/* The last word before that is an object: a function is none. */
	for (int64_t i = at - 1; i >= at - 2 && !out->awaited; i--) {
		uint64_t p = word(w, out->id, i);
		if (p && p != out->closure && object_type(&w->r, p))
			out->awaited = p;
	}
	uint64_t code = word(w, out->id, at + 3);
	out->code = code && object_kind(&w->r, code) == KIND_CODE ? code_at(&w->r, code) : NULL;
	return out->qualname != NULL;
}

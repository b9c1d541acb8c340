#include "symbols/check.h"

#include <string.h>

#define MAX_INTERPS 4096
#define MAX_TSTATES 65536
#define MAX_KEYS 65536

struct look {
	struct python *py;
	struct image *img;
	const struct py_layout *l;
};

static bool pointer(const struct look *k, uint64_t addr, int32_t offset, uint64_t *v)
{
	return offset >= 0 && image_u64(k->img, addr + (uint64_t)offset, v);
}

static bool is_of(const struct look *k, uint64_t obj, uint64_t type)
{
	uint64_t t;
	return obj && type && obj % 8 == 0 && pointer(k, obj, k->l->object_type, &t) && t == type;
}

static bool thread_known(const struct look *k, uint64_t tstate, bool *comparable)
{
	const struct target *t = k->py->target;
	uint64_t v;
	*comparable = false;
	if (k->l->tstate_native_thread_id >= 0) {
		*comparable = t->nthreads > 0;
		if (!pointer(k, tstate, k->l->tstate_native_thread_id, &v))
			return false;
		for (size_t i = 0; i < t->nthreads; i++)
			if ((uint64_t)t->threads[i].ns_tid == v || (uint64_t)t->threads[i].tid == v)
				return true;
		return false;
	}
	/* pthread_self() is the thread's fs base in glibc and musl. */
	if (!pointer(k, tstate, k->l->tstate_thread_id, &v))
		return false;
	for (size_t i = 0; i < t->nthreads; i++) {
		*comparable |= t->threads[i].fs_base != 0;
		if (t->threads[i].fs_base && t->threads[i].fs_base == v)
			return true;
	}
	return false;
}

static err_t check_threads(const struct look *k, uint64_t interp, bool *known, bool *comparable)
{
	uint64_t ts, back;
	if (!pointer(k, interp, k->l->interp_threads_head, &ts))
		return err_at(E_BADDATA, interp, "an interpreter state cannot be read");
	for (unsigned n = 0; ts; n++) {
		bool c;
		if (n == MAX_TSTATES)
			return err_at(E_BADDATA, ts, "the list of thread states has no end");
		if (!pointer(k, ts, k->l->tstate_interp, &back) || back != interp)
			return err_at(E_BADDATA, ts, "a thread state does not name its interpreter");
		*known |= thread_known(k, ts, &c);
		*comparable |= c;
		if (!pointer(k, ts, k->l->tstate_next, &ts))
			return err_at(E_BADDATA, ts, "a thread state cannot be read");
	}
	return NULL;
}

static err_t check_interpreters(const struct look *k, uint64_t *main_interp)
{
	uint64_t head, in;
	bool known = false, comparable = false;
	if (!pointer(k, k->py->runtime, k->l->runtime_interpreters_head, &head))
		return err_at(E_BADDATA, k->py->runtime, "the runtime cannot be read");
	if (!head)
		return err_at(E_TORN, k->py->runtime, "the runtime has no interpreter");
	in = head;
	for (unsigned n = 0; in; n++) {
		if (n == MAX_INTERPS)
			return err_at(E_BADDATA, in, "the list of interpreters has no end");
		TRY(check_threads(k, in, &known, &comparable));
		*main_interp = in; /* the head is the newest, the end the main one */
		if (!pointer(k, in, k->l->interp_next, &in))
			return err_at(E_BADDATA, in, "an interpreter state cannot be read");
	}
	if (comparable && !known)
		return err_at(E_BADDATA, head, "no thread state is of a thread of the target");
	return NULL;
}

static err_t check_types(const struct look *k)
{
	const struct python *py = k->py;
	const struct { uint64_t addr; const char *name; } types[] = {
		{ py->type_type, "type" }, { py->long_type, "int" }, { py->unicode_type, "str" },
		{ py->code_type, "code" }, { py->dict_type, "dict" },
	};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		uint64_t name;
		const char *s;
		if (!types[i].addr)
			continue;
		if (!is_of(k, types[i].addr, py->type_type))
			return err_at(E_BADDATA, types[i].addr, "the type of %s is not type", types[i].name);
		/* In a core, text of the executable may not be there: then it says nothing. */
		if (!pointer(k, types[i].addr, k->l->type_name, &name))
			return err_at(E_BADDATA, types[i].addr, "the type %s cannot be read", types[i].name);
		s = image_str(k->img, name, 16);
		if (s ? strcmp(s, types[i].name) != 0 : !target_mapping(py->target, name))
			return err_at(E_BADDATA, types[i].addr, "the type %s has another name", types[i].name);
	}
	return NULL;
}

/* Do the types' own sizes agree with the structs? A field that moved within a struct
 * of the same size is not noticed, but a field more or less is. */
static err_t check_sizes(const struct look *k)
{
	const struct python *py = k->py;
	const struct py_layout *l = k->l;
	/* From 3.11 a generator ends in its frame, a code object in its code. */
	int32_t gen = l->gen_iframe >= 0 ? l->gen_iframe + l->iframe_localsplus : -1;
	const struct { uint64_t type; int32_t size; const char *name; } sizes[] = {
		{ py->function_type, l->function_size, "function" },
		{ py->module_type, l->module_size, "module" },
		{ py->type_type, l->heaptype_size, "type" },
		{ py->dict_type, l->dict_size, "dict" },
		{ py->set_type, l->set_size, "set" },
		{ py->unicode_type, l->unicode_size, "str" },
		{ py->coro_type, gen, "coroutine" },
		{ py->code_type, l->code_adaptive, "code" },
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t v;
		if (!sizes[i].type || sizes[i].size < 0)
			continue;
		if (!pointer(k, sizes[i].type, l->type_basicsize, &v) || v != (uint64_t)sizes[i].size)
			return err_at(E_BADDATA, sizes[i].type, "objects of type %s have another size",
				      sizes[i].name);
	}
	return NULL;
}

/* A dict's entries, its keys without instance values ("split" ones are no modules). */
struct entries {
	uint64_t at, n;
	unsigned stride;
};

static bool dict_entries(const struct look *k, uint64_t dict, struct entries *e)
{
	const struct py_layout *l = k->l;
	uint64_t keys;
	if (!pointer(k, dict, l->dict_keys, &keys) || !keys ||
	    !pointer(k, keys, l->dictkeys_nentries, &e->n) || e->n > MAX_KEYS)
		return false;
	uint64_t start = keys + (uint64_t)l->dictkeys_indices;
	e->stride = 24;
	if (l->dictkeys_size >= 0) {
		uint64_t size;
		if (!pointer(k, keys, l->dictkeys_size, &size) || size > MAX_KEYS * 2 || (size & (size - 1)))
			return false;
		e->at = start + size * (size <= 0x80 ? 1 : size <= 0x8000 ? 2 : 4);
	} else {
		uint8_t log2, kind;
		if (!image_u8(k->img, keys + (uint64_t)l->dictkeys_log2_index_bytes, &log2) || log2 > 24 ||
		    !image_u8(k->img, keys + (uint64_t)l->dictkeys_kind, &kind) || kind > 2)
			return false;
		e->at = start + (1ull << log2);
		if (kind)
			e->stride = 16;
	}
	return true;
}

/* Is obj an ASCII str of that text? */
static bool str_equals(const struct look *k, uint64_t obj, const char *text)
{
	uint64_t len, n = strlen(text);
	const char *s;
	return is_of(k, obj, k->py->unicode_type) && pointer(k, obj, k->l->unicode_length, &len) &&
	       len == n && (s = image_at(k->img, obj + (uint64_t)k->l->unicode_ascii_data, n)) &&
	       memcmp(s, text, n) == 0;
}

static uint64_t lookup(const struct look *k, uint64_t dict, const char *name)
{
	struct entries e;
	uint64_t key, value;
	if (!is_of(k, dict, k->py->dict_type) || !dict_entries(k, dict, &e))
		return 0;
	for (uint64_t i = 0; i < e.n; i++) {
		uint64_t at = e.at + i * e.stride + e.stride - 16;
		if (image_u64(k->img, at, &key) && image_u64(k->img, at + 8, &value) && value &&
		    str_equals(k, key, name))
			return value;
	}
	return 0;
}

static bool int_value(const struct look *k, uint64_t obj, uint32_t *v)
{
	uint64_t n;
	uint32_t d[2] = { 0, 0 };
	if (!is_of(k, obj, k->py->long_type))
		return false;
	if (k->l->long_tag >= 0) {
		if (!pointer(k, obj, k->l->long_tag, &n))
			return false;
		n >>= 3;
	} else if (!pointer(k, obj, k->l->var_size, &n)) {
		return false;
	}
	if (n < 1 || n > 2 || !image_read(k->img, obj + (uint64_t)k->l->long_digits, d, n * 4))
		return false;
	*v = d[0] | d[1] << 30; /* digits of 30 bits */
	return true;
}

/* The size of _asyncio's Task, once that is imported. */
static err_t check_task(const struct look *k, uint64_t modules)
{
	uint64_t dict, task, size, module = lookup(k, modules, "_asyncio");
	if (!is_of(k, module, k->py->module_type) || !pointer(k, module, k->l->module_dict, &dict) ||
	    !(task = lookup(k, dict, "Task")) || !pointer(k, task, k->l->type_basicsize, &size))
		return NULL;
	if (size != (uint64_t)k->l->task_size)
		return err_at(E_BADDATA, task, "a task has %llu bytes, not %d",
			      (unsigned long long)size, k->l->task_size);
	return NULL;
}

static void note_facts(const struct look *k, uint64_t sys, struct check_facts *facts)
{
	uint64_t dict;
	if (!pointer(k, sys, k->l->module_dict, &dict))
		return;
	facts->have_hexversion = int_value(k, lookup(k, dict, "hexversion"), &facts->hexversion);
	facts->debug_build = lookup(k, dict, "gettotalrefcount") != 0;
}

err_t layout_check(struct python *py, const struct py_layout *l, struct check_facts *facts)
{
	struct look k = { py, py->target->image, l };
	uint64_t interp = 0, modules;
	TRY(check_types(&k));
	TRY(check_sizes(&k));
	TRY(check_interpreters(&k, &interp));
	if (!pointer(&k, interp, l->interp_modules, &modules))
		return err_at(E_BADDATA, interp, "an interpreter state cannot be read");
	if (!modules)
		return err_at(E_TORN, interp, "there is no sys.modules");
	uint64_t sys = lookup(&k, modules, "sys");
	if (!is_of(&k, sys, py->module_type))
		return err_at(E_BADDATA, modules, "sys.modules holds no sys");
	if (facts)
		note_facts(&k, sys, facts);
	/* 3.14 and later say the size in .AsyncioDebug. */
	return l->version.minor < 14 ? check_task(&k, modules) : NULL;
}

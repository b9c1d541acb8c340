#include "symbols/check.h"

#include <string.h>

#include "symbols/peek.h"

#define MAX_TSTATES 65536

/* By the kernel's id (3.11+), or by pthread_self(), which is the thread's fs base in
 * glibc and musl. A core written from another pid namespace has other ids. */
static bool thread_known(const struct peek *k, uint64_t tstate, bool *comparable)
{
	const struct target *t = k->py->target;
	uint64_t tid = 0, self = 0;
	bool by_tid = peek_pointer(k, tstate, k->l->tstate_native_thread_id, &tid);
	if (!peek_pointer(k, tstate, k->l->tstate_thread_id, &self))
		return false;
	for (size_t i = 0; i < t->nthreads; i++) {
		const struct thread *th = &t->threads[i];
		*comparable |= th->fs_base != 0 || (by_tid && t->kind == TARGET_PROCESS);
		if ((by_tid && ((uint64_t)th->ns_tid == tid || (uint64_t)th->tid == tid)) ||
		    (th->fs_base && th->fs_base == self))
			return true;
	}
	return false;
}

static err_t check_threads(const struct peek *k, uint64_t interp, bool *known, bool *comparable)
{
	uint64_t ts, back;
	if (!peek_pointer(k, interp, k->l->interp_threads_head, &ts))
		return err_at(E_BADDATA, interp, "an interpreter state cannot be read");
	for (unsigned n = 0; ts; n++) {
		if (n == MAX_TSTATES)
			return err_at(E_BADDATA, ts, "the list of thread states has no end");
		if (!peek_pointer(k, ts, k->l->tstate_interp, &back) || back != interp)
			return err_at(E_BADDATA, ts, "a thread state does not name its interpreter");
		*known = *known || thread_known(k, ts, comparable);
		if (!peek_pointer(k, ts, k->l->tstate_next, &ts))
			return err_at(E_BADDATA, ts, "a thread state cannot be read");
	}
	return NULL;
}

static err_t check_interpreters(const struct peek *k, uint64_t *main_interp)
{
	uint64_t head, in;
	bool known = false, comparable = false;
	if (!peek_pointer(k, k->py->runtime, k->l->runtime_interpreters_head, &head))
		return err_at(E_BADDATA, k->py->runtime, "the runtime cannot be read");
	if (!head)
		return err_at(E_TORN, k->py->runtime, "the runtime has no interpreter");
	in = head;
	for (unsigned n = 0; in; n++) {
		if (n == MAX_INTERPRETERS)
			return err_at(E_BADDATA, in, "the list of interpreters has no end");
		TRY(check_threads(k, in, &known, &comparable));
		*main_interp = in; /* the head is the newest, the end the main one */
		if (!peek_pointer(k, in, k->l->interp_next, &in))
			return err_at(E_BADDATA, in, "an interpreter state cannot be read");
	}
	if (comparable && !known)
		return err_at(E_BADDATA, head, "no thread state is of a thread of the target");
	return NULL;
}

static err_t check_types(const struct peek *k)
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
		/* Not relocated, or not begun to be used. */
		if (!peek_pointer(k, types[i].addr, k->l->object_type, &name) || !name)
			return err_at(E_TORN, types[i].addr, "its types are not made yet");
		if (!peek_is(k, types[i].addr, py->type_type))
			return err_at(E_BADDATA, types[i].addr, "the type of %s is not type", types[i].name);
		/* In a core, text of the executable may not be there: then it says nothing. */
		if (!peek_pointer(k, types[i].addr, k->l->type_name, &name))
			return err_at(E_BADDATA, types[i].addr, "the type %s cannot be read", types[i].name);
		s = image_str(k->img, name, 16);
		if (s ? strcmp(s, types[i].name) != 0 : !target_mapping(py->target, name))
			return err_at(E_BADDATA, types[i].addr, "the type %s has another name", types[i].name);
	}
	return NULL;
}

/* Do the types' own sizes agree with the structs? A field that moved within a struct
 * of the same size is not noticed, but a field more or less is. */
static err_t check_sizes(const struct peek *k)
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
		if (!peek_pointer(k, sizes[i].type, l->type_basicsize, &v) || v != (uint64_t)sizes[i].size)
			return err_at(E_BADDATA, sizes[i].type, "objects of type %s have another size",
				      sizes[i].name);
	}
	return NULL;
}

/* The size of _asyncio's Task, once that is imported. */
static err_t check_task(const struct peek *k, uint64_t modules)
{
	uint64_t task, size, dict = peek_module_dict(k, modules, "_asyncio");
	if (!dict || !(task = peek_dict_get(k, dict, "Task")) ||
	    !peek_pointer(k, task, k->l->type_basicsize, &size))
		return NULL;
	if (size != (uint64_t)k->l->task_size)
		return err_at(E_BADDATA, task, "a task has %llu bytes, not %d",
			      (unsigned long long)size, k->l->task_size);
	return NULL;
}

static void note_facts(const struct peek *k, uint64_t sys, struct check_facts *facts)
{
	uint64_t dict;
	if (!peek_pointer(k, sys, k->l->module_dict, &dict))
		return;
	facts->have_hexversion = peek_int(k, peek_dict_get(k, dict, "hexversion"), &facts->hexversion);
	facts->debug_build = peek_dict_get(k, dict, "gettotalrefcount") != 0;
}

err_t layout_check(struct python *py, const struct py_layout *l, struct check_facts *facts)
{
	struct peek k = { py, py->target->image, l };
	uint64_t interp = 0, modules;
	TRY(check_types(&k));
	TRY(check_sizes(&k));
	TRY(check_interpreters(&k, &interp));
	if (!peek_pointer(&k, interp, l->interp_modules, &modules))
		return err_at(E_BADDATA, interp, "an interpreter state cannot be read");
	if (!modules)
		return err_at(E_TORN, interp, "there is no sys.modules");
	uint64_t sys = peek_dict_get(&k, modules, "sys");
	if (!peek_is(&k, sys, py->module_type)) {
		/* A process that begins fills it, in memory mapped since it was opened. */
		uint64_t type = peek_type(&k, modules);
		bool young = py->target->kind == TARGET_PROCESS && (!type || type == py->dict_type);
		return err_at(young ? E_TORN : E_BADDATA, modules, "sys.modules holds no sys");
	}
	if (facts)
		note_facts(&k, sys, facts);
	/* 3.14 and later say the size in .AsyncioDebug. */
	return l->version.minor < 14 ? check_task(&k, modules) : NULL;
}

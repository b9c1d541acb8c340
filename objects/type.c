/* Types: which kind of object one makes, by address where the target exports the
 * type, else by name along the chain of bases. */
#include "objects/code.h"

#include <stdlib.h>
#include <string.h>

#define FLAG_HEAPTYPE (1ull << 9)
#define BASES_MAX 64
#define NAME_MAX_BYTES 512

err_t reader_init(struct reader *r, struct python *py, struct arena *arena)
{
	*r = (struct reader){ .py = py, .l = &py->layout, .img = py->target->image, .arena = arena };
	return NULL;
}

void reader_free(struct reader *r)
{
	for (size_t i = 0; r->codes.slots && i <= r->codes.mask; i++) {
		struct code *c = (struct code *)(uintptr_t)r->codes.slots[2 * i + 1];
		if (r->codes.slots[2 * i] && c) {
			map_free(&c->frames);
			map_free(&c->blocks);
		}
	}
	map_free(&r->types);
	map_free(&r->strings);
	map_free(&r->codes);
}

static enum type_kind kind_by_address(const struct python *py, uint64_t t)
{
	const struct { uint64_t addr; enum type_kind kind; } known[] = {
		{ py->coro_type, KIND_CORO }, { py->gen_type, KIND_GEN },
		{ py->asyncgen_type, KIND_ASYNCGEN }, { py->unicode_type, KIND_STR },
		{ py->long_type, KIND_INT }, { py->bool_type, KIND_BOOL },
		{ py->float_type, KIND_FLOAT }, { py->bytes_type, KIND_BYTES },
		{ py->tuple_type, KIND_TUPLE }, { py->list_type, KIND_LIST },
		{ py->dict_type, KIND_DICT }, { py->set_type, KIND_SET },
		{ py->frozenset_type, KIND_SET }, { py->code_type, KIND_CODE },
		{ py->function_type, KIND_FUNCTION }, { py->method_type, KIND_METHOD },
		{ py->cfunction_type, KIND_CFUNCTION }, { py->cell_type, KIND_CELL },
		{ py->module_type, KIND_MODULE }, { py->frame_type, KIND_FRAME },
		{ py->coro_wrapper_type, KIND_CORO_WRAPPER }, { py->asend_type, KIND_ASEND },
		{ py->weakref_type, KIND_WEAKREF }, { py->type_type, KIND_TYPE },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].addr && known[i].addr == t)
			return known[i].kind;
	return KIND_OTHER;
}

/* Static types carry "module.name" in tp_name, heap types the bare name. */
static enum type_kind kind_by_name(const char *name, bool heap)
{
	static const struct { const char *name; enum type_kind kind; } known[] = {
		{ "_asyncio.Task", KIND_TASK }, { "_asyncio.Future", KIND_FUTURE },
		{ "_asyncio.FutureIter", KIND_FUTUREITER },
		{ "coroutine_wrapper", KIND_CORO_WRAPPER },
		{ "async_generator_asend", KIND_ASEND },
		{ "async_generator_athrow", KIND_ATHROW }, { "anext_awaitable", KIND_ANEXT },
		{ "functools.partial", KIND_PARTIAL }, { "collections.deque", KIND_DEQUE },
		{ "NoneType", KIND_NONE }, { "coroutine", KIND_CORO }, { "generator", KIND_GEN },
		{ "async_generator", KIND_ASYNCGEN }, { "weakref", KIND_WEAKREF },
		{ "weakref.ReferenceType", KIND_WEAKREF }, { "code", KIND_CODE },
		{ "str", KIND_STR }, { "int", KIND_INT }, { "bool", KIND_BOOL },
		{ "float", KIND_FLOAT }, { "bytes", KIND_BYTES }, { "tuple", KIND_TUPLE },
		{ "list", KIND_LIST }, { "dict", KIND_DICT }, { "set", KIND_SET },
		{ "frozenset", KIND_SET }, { "function", KIND_FUNCTION }, { "method", KIND_METHOD },
		{ "builtin_function_or_method", KIND_CFUNCTION }, { "cell", KIND_CELL },
		{ "module", KIND_MODULE }, { "frame", KIND_FRAME }, { "type", KIND_TYPE },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		/* A class of a program may be called "str": builtin names count for
		 * static types only; with a module in front a name is that of a C type. */
		bool may_be_heap = strchr(known[i].name, '.');
		if (strcmp(name, known[i].name) == 0 && (!heap || may_be_heap))
			return known[i].kind;
	}
	return KIND_OTHER;
}

static const char *heap_module(struct reader *r, uint64_t type)
{
	uint64_t module = dict_get(r, field_at(r, type, r->l->type_dict), "__module__");
	return module ? str_at(r, module) : NULL;
}

/* Classes of Python code that matter: asyncio's own Future and Task. */
static enum type_kind kind_of_class(struct reader *r, uint64_t type, const char *name)
{
	bool task = strcmp(name, "Task") == 0, future = strcmp(name, "Future") == 0;
	if (!task && !future)
		return KIND_OTHER;
	const char *module = heap_module(r, type);
	if (!module)
		return KIND_OTHER;
	if (strcmp(module, "_asyncio") == 0)
		return task ? KIND_TASK : KIND_FUTURE;
	if (strcmp(module, "asyncio.tasks") == 0 && task)
		return KIND_PYTASK;
	if (strcmp(module, "asyncio.futures") == 0 && future)
		return KIND_PYFUTURE;
	return KIND_OTHER;
}

static bool type_read(struct reader *r, uint64_t addr, struct type_info *t)
{
	const struct py_layout *l = r->l;
	uint64_t name;
	if (addr % 8 || !image_u64(r->img, addr + (uint64_t)l->type_name, &name))
		return false;
	*t = (struct type_info){ .addr = addr };
	t->flags = field_at(r, addr, l->type_flags);
	t->base = field_at(r, addr, l->type_base);
	t->basicsize = (int64_t)field_at(r, addr, l->type_basicsize);
	t->itemsize = (int64_t)field_at(r, addr, l->type_itemsize);
	t->dictoffset = (int64_t)field_at(r, addr, l->type_dictoffset);
	if (t->basicsize < 0 || t->basicsize > 1 << 20 || t->itemsize < 0 || t->itemsize > 1 << 20)
		return false;
	t->kind = kind_by_address(r->py, addr);
	const char *s = image_str(r->img, name, NAME_MAX_BYTES);
	/* The pointer into the image stays valid, but a later look must not change it. */
	t->name = s ? arena_str(r->arena, s) : NULL;
	if (!t->name && t->kind == KIND_OTHER)
		return false;
	if (!t->name)
		t->name = "?";
	bool heap = t->flags & FLAG_HEAPTYPE;
	if (heap)
		t->cached_keys = field_at(r, addr, l->heaptype_cached_keys);
	if (t->kind == KIND_OTHER)
		t->kind = kind_by_name(t->name, heap);
	if (t->kind == KIND_OTHER && heap)
		t->kind = kind_of_class(r, addr, t->name);
	return true;
}

/* The kind of the nearest base that has one: walked upwards, bounded. */
static void type_inherit(struct reader *r, struct type_info *t)
{
	uint64_t base = t->base;
	for (int depth = 0; t->kind == KIND_OTHER && base && depth < BASES_MAX; depth++) {
		struct type_info b;
		uint64_t known;
		if (map_get(&r->types, base, &known) && known)
			b = *(struct type_info *)(uintptr_t)known;
		else if (!type_read(r, base, &b))
			return;
		t->kind = b.kind;
		base = b.base;
	}
}

const struct type_info *type_at(struct reader *r, uint64_t addr)
{
	uint64_t known;
	if (map_get(&r->types, addr, &known)) {
		const struct type_info *t = (const struct type_info *)(uintptr_t)known;
		return r->lately[addr / 32 % TYPE_CACHE] = t;
	}
	struct type_info t, *kept = NULL;
	if (addr && type_read(r, addr, &t)) {
		type_inherit(r, &t);
		kept = arena_dup(r->arena, &t, sizeof t);
	}
	if (addr)
		map_set(&r->types, addr, (uint64_t)(uintptr_t)kept);
	return kept;
}

const char *type_short_name(struct reader *r, const struct type_info *t)
{
	if (t->flags & FLAG_HEAPTYPE) {
		const char *q = str_at(r, field_at(r, t->addr, r->l->heaptype_qualname));
		return q ? q : t->name;
	}
	const char *dot = strrchr(t->name, '.');
	return dot ? dot + 1 : t->name;
}

const char *type_full_name(struct reader *r, const struct type_info *t)
{
	if (!(t->flags & FLAG_HEAPTYPE) || strchr(t->name, '.'))
		return t->name;
	const char *module = heap_module(r, t->addr);
	const char *name = type_short_name(r, t);
	if (!module || strcmp(module, "builtins") == 0)
		return name;
	const char *full = arena_fmt(r->arena, "%s.%s", module, name);
	return full ? full : name;
}

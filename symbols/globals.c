#include "symbols/globals.h"

#include "symbols/peek.h"

static const struct global {
	size_t field; /* in struct python */
	const char *module, *name;
} globals[] = {
#define G(f, m, n) { offsetof(struct python, f), m, n }
	G(none, "builtins", "None"), G(true_, "builtins", "True"), G(false_, "builtins", "False"),
	G(bytes_type, "builtins", "bytes"), G(long_type, "builtins", "int"),
	G(bool_type, "builtins", "bool"), G(float_type, "builtins", "float"),
	G(tuple_type, "builtins", "tuple"), G(list_type, "builtins", "list"),
	G(set_type, "builtins", "set"), G(frozenset_type, "builtins", "frozenset"),
	G(function_type, "types", "FunctionType"), G(method_type, "types", "MethodType"),
	G(cfunction_type, "types", "BuiltinFunctionType"), G(cell_type, "types", "CellType"),
	G(code_type, "types", "CodeType"), G(frame_type, "types", "FrameType"),
	G(gen_type, "types", "GeneratorType"), G(coro_type, "types", "CoroutineType"),
	G(asyncgen_type, "types", "AsyncGeneratorType"),
	G(weakref_type, "_weakref", "ReferenceType"),
};

static void set(uint64_t *field, uint64_t v)
{
	if (!*field)
		*field = v;
}

void globals_from_modules(struct python *py, const struct py_layout *l)
{
	struct peek k = { py, py->target->image, l };
	uint64_t modules, in = peek_main_interpreter(&k);
	if (!in || !peek_pointer(&k, in, l->interp_modules, &modules))
		return;
	set(&py->dict_type, peek_type(&k, modules));
	set(&py->type_type, peek_type(&k, py->dict_type));
	set(&py->unicode_type, peek_type(&k, peek_first_key(&k, modules)));
	set(&py->module_type, peek_type(&k, peek_dict_get(&k, modules, "sys")));
	for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
		uint64_t *field = (uint64_t *)((char *)py + globals[i].field);
		uint64_t dict = *field ? 0 : peek_module_dict(&k, modules, globals[i].module);
		if (dict)
			*field = peek_dict_get(&k, dict, globals[i].name);
	}
}

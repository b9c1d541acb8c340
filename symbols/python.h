/* Which CPython is in a target, and where: the runtime, the layout, the addresses
 * of the types that objects are recognised by.
 *
 * A struct python belongs to the target it was found in and is freed by its
 * finder, before the target. */
#ifndef ASYNCMON_SYMBOLS_PYTHON_H
#define ASYNCMON_SYMBOLS_PYTHON_H

#include "attach/target.h"
#include "symbols/layout.h"

/* Objects that live in the executable or libpython; X(field, symbol). */
#define PYTHON_GLOBALS(X) \
	X(type_type, "PyType_Type") X(none, "_Py_NoneStruct") X(true_, "_Py_TrueStruct") \
	X(false_, "_Py_FalseStruct") \
	X(unicode_type, "PyUnicode_Type") X(bytes_type, "PyBytes_Type") X(long_type, "PyLong_Type") \
	X(bool_type, "PyBool_Type") X(float_type, "PyFloat_Type") \
	X(tuple_type, "PyTuple_Type") X(list_type, "PyList_Type") X(dict_type, "PyDict_Type") \
	X(set_type, "PySet_Type") X(frozenset_type, "PyFrozenSet_Type") \
	X(module_type, "PyModule_Type") X(function_type, "PyFunction_Type") \
	X(method_type, "PyMethod_Type") X(cfunction_type, "PyCFunction_Type") X(cell_type, "PyCell_Type") \
	X(code_type, "PyCode_Type") X(frame_type, "PyFrame_Type") \
	X(gen_type, "PyGen_Type") X(coro_type, "PyCoro_Type") X(asyncgen_type, "PyAsyncGen_Type") \
	X(coro_wrapper_type, "_PyCoroWrapper_Type") X(asend_type, "_PyAsyncGenASend_Type") \
	X(weakref_type, "_PyWeakref_RefType")

struct modules;

struct python {
	struct target *target;
	struct py_layout layout;
	const char *module;      /* path of the file that holds the runtime */
	uint64_t runtime;        /* _PyRuntime */
	uint64_t debug_offsets;  /* _Py_DebugOffsets (= runtime), 0 before 3.13 */
#define X(f, s) uint64_t f;      /* 0 where the build does not export it: from 3.13 on
				  * that is coro_wrapper_type */
	PYTHON_GLOBALS(X)
#undef X
	struct modules *modules; /* every ELF file mapped in the target */
};

/* E_NOTPYTHON (says what the target is), E_VERSION (says which version and why it
 * cannot be read), E_BUSY (Python is only starting, or ending). The layout has been
 * checked against the target (symbols/check.h), and runtime_pending and interp_pending
 * of it are proved places or -1. To be called before a freeze: where a running target
 * changes under the look, its image is forgotten and read again. */
err_t python_find(struct target *t, struct python **out);
void python_free(struct python *py);

#endif

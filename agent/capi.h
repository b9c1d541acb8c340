/* The few functions of CPython's C API the agent calls, declared here because it is
 * built without Python's headers, for every version at once. All are weak: what a
 * version lacks is NULL. Objects are looked into through the layout only. */
#ifndef ASYNCMON_AGENT_CAPI_H
#define ASYNCMON_AGENT_CAPI_H

#include <stddef.h>
#include <stdint.h>

typedef struct PyObject_ PyObject;
typedef struct PyThreadState_ PyThreadState;
typedef struct PyInterpreterState_ PyInterpreterState;
typedef intptr_t Py_ssize_t;
typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);

struct PyMethodDef {
	const char *name;
	void *meth;
	int flags;
	const char *doc;
};
#define METH_VARARGS 0x1
#define METH_KEYWORDS 0x2
#define METH_NOARGS 0x4
#define METH_O 0x8
#define METH_FASTCALL 0x80
#define METH_METHOD 0x200

#define PY(type, name, ...) extern __attribute__((weak)) type name __VA_ARGS__

PY(void, Py_IncRef, (PyObject *));
PY(void, Py_DecRef, (PyObject *));
PY(int, PyArg_ParseTuple, (PyObject *, const char *, ...));
PY(PyObject *, PyTuple_GetItem, (PyObject *, Py_ssize_t));
PY(Py_ssize_t, PyTuple_Size, (PyObject *));
PY(PyObject *, PyDict_GetItem, (PyObject *, PyObject *));
PY(PyObject *, PyDict_GetItemString, (PyObject *, const char *));
PY(PyObject *, PyImport_GetModuleDict, (void));
PY(PyObject *, PyObject_GetAttrString, (PyObject *, const char *));
PY(Py_ssize_t, PyList_Size, (PyObject *));
PY(PyObject *, PyList_GetItem, (PyObject *, Py_ssize_t));
PY(int, PyObject_IsTrue, (PyObject *));
PY(PyObject *, Py_BuildValue, (const char *, ...));
PY(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **));
PY(void, PyErr_Restore, (PyObject *, PyObject *, PyObject *));
PY(void, PyErr_Clear, (void));
PY(PyObject *, PyErr_Occurred, (void));
PY(void, PyErr_SetString, (PyObject *, const char *));
PY(PyObject *, PyErr_Format, (PyObject *, const char *, ...));
PY(PyThreadState *, PyThreadState_Get, (void));
PY(PyThreadState *, _PyThreadState_UncheckedGet, (void));
PY(PyThreadState *, PyThreadState_GetUnchecked, (void));
PY(PyInterpreterState *, PyInterpreterState_Get, (void));
PY(PyInterpreterState *, _PyInterpreterState_Get, (void));
PY(int64_t, PyInterpreterState_GetID, (PyInterpreterState *));
PY(PyObject *, PyObject_Call, (PyObject *, PyObject *, PyObject *));
PY(PyObject *, PyObject_CallFunctionObjArgs, (PyObject *, ...));
PY(PyObject *, PyCFunction_NewEx, (struct PyMethodDef *, PyObject *, PyObject *));
PY(PyObject *, PyInstanceMethod_New, (PyObject *));
PY(int, PyContextVar_Get, (PyObject *, PyObject *, PyObject **));
PY(PyObject *, PyContextVar_Set, (PyObject *, PyObject *));
PY(int, PyContextVar_Reset, (PyObject *, PyObject *));
PY(int, PyDict_Next, (PyObject *, Py_ssize_t *, PyObject **, PyObject **));
PY(PyObject *, PyObject_Repr, (PyObject *));
PY(PyObject *, PyObject_Str, (PyObject *));
PY(PyObject *, PyUnicode_Substring, (PyObject *, Py_ssize_t, Py_ssize_t));
PY(Py_ssize_t, PyUnicode_GetLength, (PyObject *));
PY(Py_ssize_t, PyUnicode_FindChar, (PyObject *, uint32_t, Py_ssize_t, Py_ssize_t, int));
PY(PyObject *, PyUnicode_FromFormat, (const char *, ...));
PY(PyObject *, PyBytes_FromStringAndSize, (const char *, Py_ssize_t));
PY(Py_ssize_t, PyBytes_Size, (PyObject *));
PY(char *, PyBytes_AsString, (PyObject *));
PY(PyObject *, PyList_GetSlice, (PyObject *, Py_ssize_t, Py_ssize_t));
PY(Py_ssize_t, PyDict_Size, (PyObject *));
PY(PyObject *, PyDict_Copy, (PyObject *));
PY(PyObject *, PySequence_Tuple, (PyObject *));
PY(PyObject *, PyModuleDef_Init, (void *));
PY(const char *, Py_GetVersion, (void));
PY(int, PyType_IsSubtype, (PyObject *, PyObject *));
PY(const unsigned long, Py_Version, );
PY(char, PyCode_Type, []);
PY(char, PyUnicode_Type, []);
PY(char, PyLong_Type, []);
PY(char, PyTuple_Type, []);
PY(char, PyList_Type, []);
PY(char, PyFloat_Type, []);
PY(char, PyBool_Type, []);
PY(char, PyBytes_Type, []);
PY(char, PyDict_Type, []);
PY(char, PySet_Type, []);
PY(char, PyFrozenSet_Type, []);
PY(char, PyType_Type, []);
PY(char, PyBaseObject_Type, []);
PY(char, PyCoro_Type, []);
PY(char, PyCFunction_Type, []);
PY(char, PyFunction_Type, []);
PY(char, PyMethod_Type, []);
PY(char, PyFrame_Type, []);
PY(char, _Py_NoneStruct, );
PY(PyObject *, PyExc_RuntimeError, );
PY(PyObject *, PyExc_StopIteration, );
PY(PyObject *, PyExc_KeyError, );
PY(PyObject *, PyExc_OSError, );
PY(PyObject *, PyExc_BaseException, );
PY(PyObject *, PyExc_ImportError, );
PY(PyObject *, PyExc_SyntaxError, );
PY(PyObject *, PyExc_UnicodeDecodeError, );
PY(PyObject *, PyExc_UnicodeEncodeError, );
PY(PyObject *, PyExc_UnicodeTranslateError, );
PY(PyObject *, PyExc_BaseExceptionGroup, );
#undef PY

#define Py_None ((PyObject *)&_Py_NoneStruct)

#endif

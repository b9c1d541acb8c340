/* What repr() gives of values of built-in types, and of instances of subclasses that leave it
 * as it is. Of values that cannot change the interpreter's own functions are asked: they run no
 * other code, and allocate nothing that the collector follows. Containers are walked here. */
#include "agent/agent.h"

#include <string.h>

#define MORE "\xe2\x80\xa6" /* an ellipsis */
/* Larger ones are named where a copy would have to be made of all of it. */
#define COPY_MAX 4096
#define INT_DIGITS_MAX 64    /* of 30 bits, as objects/repr.c has it */

/* Text of a new reference that may be NULL, with an error set. */
static bool put_new(struct text *t, PyObject *s)
{
	if (!s) {
		PyErr_Clear();
		return false;
	}
	bool known = text_put_object(t, s);
	Py_DecRef(s);
	return known;
}

static bool put_leaf(struct repr *p, PyObject *v) { return put_new(p->t, PyObject_Repr(v)); }

static bool put_int(struct repr *p, PyObject *v)
{
	const struct py_layout *l = &agent_layout;
	int64_t n = (int64_t)(uintptr_t)field(v, l->long_tag >= 0 ? l->long_tag : l->var_size);
	n = l->long_tag >= 0 ? n >> 3 : n < 0 ? -n : n;
	return n <= INT_DIGITS_MAX && put_leaf(p, v);
}

/* The repr() of the beginning of a longer text. Quotes depend on the whole: what tells them
 * goes to the end, where it is cut. */
static bool put_repr_of(struct text *t, PyObject *beginning)
{
	bool known = beginning && put_new(t, PyObject_Repr(beginning));
	if (beginning)
		Py_DecRef(beginning);
	else
		PyErr_Clear();
	return known;
}

static bool put_str(struct repr *p, PyObject *v)
{
	Py_ssize_t n = PyUnicode_GetLength(v);
	if (n <= TEXT_BYTES)
		return put_leaf(p, v);
	bool single = PyUnicode_FindChar(v, '\'', TEXT_BYTES, n, 1) >= 0;
	bool twice = PyUnicode_FindChar(v, '"', TEXT_BYTES, n, 1) >= 0;
	PyObject *s = PyUnicode_Substring(v, 0, TEXT_BYTES);
	PyObject *marked = s ? PyUnicode_FromFormat("%U%s%s", s, single ? "'" : "", twice ? "\"" : "") : NULL;
	if (s)
		Py_DecRef(s);
	return put_repr_of(p->t, marked);
}

static bool put_bytes(struct repr *p, PyObject *v)
{
	char b[TEXT_BYTES + 2];
	Py_ssize_t n = PyBytes_Size(v);
	const char *s = PyBytes_AsString(v);
	if (n <= TEXT_BYTES)
		return put_leaf(p, v);
	size_t rest = (size_t)n - TEXT_BYTES, len = TEXT_BYTES;
	memcpy(b, s, TEXT_BYTES);
	if (memchr(s + TEXT_BYTES, '\'', rest))
		b[len++] = '\'';
	if (memchr(s + TEXT_BYTES, '"', rest))
		b[len++] = '"';
	return put_repr_of(p->t, PyBytes_FromStringAndSize(b, (Py_ssize_t)len));
}

bool repr_enter(struct repr *p, PyObject *v, const char *again)
{
	for (int i = 0; i < p->depth; i++) {
		if (p->open[i] == v) {
			text_put_str(p->t, again);
			return false;
		}
	}
	if (p->depth == REPR_DEPTH) {
		text_put_str(p->t, MORE);
		return false;
	}
	p->open[p->depth++] = v;
	return true;
}

static void put_item(struct repr *p, Py_ssize_t i, PyObject *v)
{
	if (i)
		text_put_str(p->t, ", ");
	repr_value(p, v);
}

static bool put_tuple(struct repr *p, PyObject *v)
{
	Py_ssize_t n = PyTuple_Size(v);
	if (!repr_enter(p, v, "(...)"))
		return true;
	text_put_str(p->t, "(");
	for (Py_ssize_t i = 0; i < n && !p->t->cut; i++)
		put_item(p, i, PyTuple_GetItem(v, i));
	text_put_str(p->t, n == 1 ? ",)" : ")");
	p->depth--;
	return true;
}

/* Without a GIL another thread may change a container at any time: a copy is read. */
static PyObject *steady(PyObject *v, PyObject *copy)
{
	if (!agent_layout.free_threaded)
		Py_IncRef(v);
	else if (!copy)
		PyErr_Clear();
	return agent_layout.free_threaded ? copy : v;
}

static bool put_list(struct repr *p, PyObject *v)
{
	bool ft = agent_layout.free_threaded;
	PyObject *list = steady(v, ft ? PyList_GetSlice(v, 0, COPY_MAX) : NULL);
	if (!list)
		return false;
	if (repr_enter(p, v, "[...]")) {
		text_put_str(p->t, "[");
		for (Py_ssize_t i = 0; i < PyList_Size(list) && !p->t->cut; i++)
			put_item(p, i, PyList_GetItem(list, i));
		text_put_str(p->t, "]");
		p->depth--;
	}
	Py_DecRef(list);
	return true;
}

static bool put_dict(struct repr *p, PyObject *v)
{
	bool ft = agent_layout.free_threaded;
	PyObject *dict = steady(v, ft && PyDict_Size(v) <= COPY_MAX ? PyDict_Copy(v) : NULL);
	PyObject *key, *value;
	Py_ssize_t at = 0;
	if (!dict)
		return false;
	if (repr_enter(p, v, "{...}")) {
		text_put_str(p->t, "{");
		for (Py_ssize_t i = 0; !p->t->cut && PyDict_Next(dict, &at, &key, &value); i++) {
			put_item(p, i, key);
			text_put_str(p->t, ": ");
			repr_value(p, value);
		}
		text_put_str(p->t, "}");
		p->depth--;
	}
	Py_DecRef(dict);
	return true;
}

/* An entry of a set's table (Include/cpython/setobject.h); the hash of a deleted one is -1. */
struct set_entry { PyObject *key; intptr_t hash; };

static void put_keys(struct repr *p, PyObject *set)
{
	const struct set_entry *table = field(set, agent_layout.set_table);
	size_t mask = (size_t)field(set, agent_layout.set_mask), n = 0;
	for (size_t i = 0; i <= mask && !p->t->cut; i++)
		if (table[i].key && table[i].hash != -1)
			put_item(p, (Py_ssize_t)n++, table[i].key);
}

static void put_keys_of_copy(struct repr *p, PyObject *keys)
{
	for (Py_ssize_t i = 0; i < PyTuple_Size(keys) && !p->t->cut; i++)
		put_item(p, i, PyTuple_GetItem(keys, i));
}

static bool put_set(struct repr *p, PyObject *v)
{
	bool frozen = type_of(v) == (PyObject *)&PyFrozenSet_Type;
	size_t used = (size_t)field(v, agent_layout.set_used);
	/* The repr() of a subclass names that. */
	if (!frozen && type_of(v) != (PyObject *)&PySet_Type)
		return false;
	if (!used) {
		text_put_str(p->t, frozen ? "frozenset()" : "set()");
		return true;
	}
	PyObject *keys = steady(v, agent_layout.free_threaded && used <= COPY_MAX ? PySequence_Tuple(v) : NULL);
	if (!keys)
		return false;
	if (repr_enter(p, v, frozen ? "frozenset(...)" : "set(...)")) {
		text_put_str(p->t, frozen ? "frozenset({" : "{");
		if (keys == v)
			put_keys(p, v);
		else
			put_keys_of_copy(p, keys);
		text_put_str(p->t, frozen ? "})" : "}");
		p->depth--;
	}
	Py_DecRef(keys);
	return true;
}

static bool put_type(struct repr *p, PyObject *v)
{
	text_put_str(p->t, "<class '");
	text_put_type(p->t, v);
	text_put_str(p->t, "'>");
	return true;
}

static bool put_exception(struct repr *p, PyObject *v)
{
	if (!value_is(PyExc_BaseException, v))
		return false;
	if (!repr_enter(p, v, MORE))
		return true;
	bool known = repr_exception(p, v);
	p->depth--;
	return known;
}

static bool put_known(struct repr *p, PyObject *v)
{
	static const struct {
		const void *type;
		bool (*put)(struct repr *, PyObject *);
	} known[] = {
		{ &PyUnicode_Type, put_str }, { &PyLong_Type, put_int }, { &PyBool_Type, put_leaf },
		{ &PyFloat_Type, put_leaf }, { &PyBytes_Type, put_bytes }, { &PyTuple_Type, put_tuple },
		{ &PyList_Type, put_list }, { &PyDict_Type, put_dict }, { &PySet_Type, put_set },
		{ &PyFrozenSet_Type, put_set }, { &PyType_Type, put_type },
	};
	void *by = slot_at(type_of(v), SLOT_REPR);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (by == slot_at(known[i].type, SLOT_REPR) && value_is(known[i].type, v))
			return known[i].put(p, v);
	return put_exception(p, v);
}

void repr_value(struct repr *p, PyObject *v)
{
	if (p->t->cut)
		return;
	if (!v || v == Py_None) {
		text_put_str(p->t, v ? "None" : "<unknown object>");
	} else if (!put_known(p, v)) {
		text_put_str(p->t, "<");
		text_put_class(p->t, type_of(v));
		text_put_str(p->t, " object>");
	}
}

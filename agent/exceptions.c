/* What a task failed with: repr() and str() of it and of what belongs to it, as far as no code
 * of a program has to run for that. The same rules as in objects/exception.c, which tells of
 * those that live: Objects/exceptions.c has them. */
#include "agent/agent.h"

#include <string.h>

/* The bytes of all texts of one task. */
#define ALL_TEXT_MAX (4 * TEXT_BYTES)

/* PyBaseExceptionObject (Include/cpython/pyerrors.h): dict, args, from 3.11 on notes, traceback,
 * context, cause, a char; behind it the fields of some built-in classes. */
static int32_t after_args(int32_t at)
{
	return agent_layout.object_size + at + (agent_layout.version.minor >= 11 ? 8 : 0);
}
static PyObject *args_of(PyObject *exc) { return field(exc, agent_layout.object_size + 8); }
static PyObject *context_of(PyObject *exc) { return field(exc, after_args(24)); }
static PyObject *cause_of(PyObject *exc) { return field(exc, after_args(32)); }
static bool suppresses(PyObject *exc) { return *((const char *)exc + after_args(40)) != 0; }
static PyObject *own(PyObject *exc, int n) { return field(exc, after_args(48 + 8 * n)); }

static bool written_by(PyObject *exc, PyObject *class, enum type_slot s)
{
	return class && slot_at(type_of(exc), s) == slot_at(class, s) && value_is(class, exc);
}

static bool is_group(PyObject *exc)
{
	return &PyExc_BaseExceptionGroup && value_is(PyExc_BaseExceptionGroup, exc) &&
	       value_is(&PyTuple_Type, own(exc, 1));
}

/* 3.15: PyImportErrorObject: msg, name, path. */
static void repr_of_import(struct repr *p, PyObject *exc, bool comma)
{
	static const char *const names[] = { "name=", "path=" };
	for (int i = 0; i < 2; i++) {
		PyObject *v = own(exc, i + 1);
		if (!v || v == Py_None)
			continue;
		text_put_str(p->t, comma ? ", " : "");
		text_put_str(p->t, names[i]);
		repr_value(p, v);
		comma = true;
	}
}

bool repr_exception(struct repr *p, PyObject *exc)
{
	PyObject *args = args_of(exc);
	bool base = written_by(exc, PyExc_BaseException, SLOT_REPR);
	bool import = !base && written_by(exc, PyExc_ImportError, SLOT_REPR);
	bool group = is_group(exc) && written_by(exc, PyExc_BaseExceptionGroup, SLOT_REPR);
	if (!args || !value_is(&PyTuple_Type, args) || (!base && !import && !group))
		return false;
	const char *name = field(type_of(exc), agent_layout.type_name), *dot = strrchr(name, '.');
	Py_ssize_t n = PyTuple_Size(args);
	text_put_str(p->t, dot ? dot + 1 : name);
	text_put_str(p->t, "(");
	for (Py_ssize_t i = 0; i < n && !p->t->cut; i++) {
		text_put_str(p->t, i ? ", " : "");
		repr_value(p, PyTuple_GetItem(args, i));
	}
	if (import)
		repr_of_import(p, exc, n > 0);
	text_put_str(p->t, ")");
	return true;
}

static bool str_exception(struct repr *p, PyObject *exc);

/* str() of a value. */
static bool put_plain(struct repr *p, PyObject *v)
{
	void *by = slot_at(type_of(v), SLOT_STR);
	if (by == slot_at(&PyUnicode_Type, SLOT_STR) && value_is(&PyUnicode_Type, v))
		return text_put_object(p->t, v);
	if (value_is(PyExc_BaseException, v)) {
		if (!repr_enter(p, v, "\xe2\x80\xa6"))
			return true;
		bool known = str_exception(p, v);
		p->depth--;
		return known;
	}
	/* object.__str__ calls repr(). */
	if (by == slot_at(&PyBaseObject_Type, SLOT_STR)) {
		repr_value(p, v);
		return true;
	}
	text_put_str(p->t, "<");
	text_put_class(p->t, type_of(v));
	text_put_str(p->t, " object>");
	return true;
}

static bool str_of_args(struct repr *p, PyObject *exc)
{
	PyObject *args = args_of(exc);
	if (!args || !value_is(&PyTuple_Type, args))
		return false;
	Py_ssize_t n = PyTuple_Size(args);
	if (n == 1)
		return put_plain(p, PyTuple_GetItem(args, 0));
	if (n > 1)
		repr_value(p, args);
	return true;
}

/* PyOSErrorObject: errno, strerror, filename, filename2. */
static bool str_of_os_error(struct repr *p, PyObject *exc)
{
	PyObject *number = own(exc, 0), *text = own(exc, 1), *file = own(exc, 2), *other = own(exc, 3);
	if (!file && (!number || !text))
		return str_of_args(p, exc);
	text_put_str(p->t, "[Errno ");
	if (!put_plain(p, number ? number : Py_None))
		return false;
	text_put_str(p->t, "] ");
	if (!put_plain(p, text ? text : Py_None))
		return false;
	if (file) {
		text_put_str(p->t, ": ");
		repr_value(p, file);
	}
	if (file && other) {
		text_put_str(p->t, " -> ");
		repr_value(p, other);
	}
	return true;
}

static bool str_of_key_error(struct repr *p, PyObject *exc)
{
	PyObject *args = args_of(exc);
	if (!args || !value_is(&PyTuple_Type, args) || PyTuple_Size(args) != 1)
		return str_of_args(p, exc);
	repr_value(p, PyTuple_GetItem(args, 0));
	return true;
}

static bool str_of_group(struct repr *p, PyObject *exc)
{
	PyObject *said = own(exc, 0);
	Py_ssize_t n = PyTuple_Size(own(exc, 1));
	if (!said || !put_plain(p, said))
		return false;
	text_put_str(p->t, " (");
	text_put_int(p->t, n);
	text_put_str(p->t, n == 1 ? " sub-exception)" : " sub-exceptions)");
	return true;
}

static bool is_simple(PyObject *v)
{
	return !v || v == Py_None || type_of(v) == (PyObject *)&PyUnicode_Type ||
	       type_of(v) == (PyObject *)&PyLong_Type || type_of(v) == (PyObject *)&PyBytes_Type;
}

/* What the interpreter itself says, where all that it reads is of types without code. */
static bool str_of_simple(struct repr *p, PyObject *exc)
{
	/* PySyntaxErrorObject: msg, filename, lineno, …; PyUnicodeErrorObject: encoding, object,
	 * start and end, which are numbers, reason. */
	static const int syntax[] = { 0, 1, 2 }, unicode[] = { 0, 1, 4 };
	const int *fields = value_is(PyExc_SyntaxError, exc) ? syntax : unicode;
	for (int i = 0; i < 3; i++)
		if (!is_simple(own(exc, fields[i])))
			return false;
	PyObject *s = PyObject_Str(exc);
	if (!s) {
		PyErr_Clear();
		return false;
	}
	bool known = text_put_object(p->t, s);
	Py_DecRef(s);
	return known;
}

static bool str_exception(struct repr *p, PyObject *exc)
{
	if (written_by(exc, PyExc_BaseException, SLOT_STR))
		return str_of_args(p, exc);
	if (written_by(exc, PyExc_OSError, SLOT_STR))
		return str_of_os_error(p, exc);
	if (written_by(exc, PyExc_KeyError, SLOT_STR))
		return str_of_key_error(p, exc);
	if (written_by(exc, PyExc_ImportError, SLOT_STR))
		return type_of(own(exc, 0) ? own(exc, 0) : Py_None) == (PyObject *)&PyUnicode_Type
			       ? put_plain(p, own(exc, 0)) : str_of_args(p, exc);
	if (is_group(exc) && written_by(exc, PyExc_BaseExceptionGroup, SLOT_STR))
		return str_of_group(p, exc);
	return (written_by(exc, PyExc_SyntaxError, SLOT_STR) ||
		written_by(exc, PyExc_UnicodeDecodeError, SLOT_STR) ||
		written_by(exc, PyExc_UnicodeEncodeError, SLOT_STR) ||
		written_by(exc, PyExc_UnicodeTranslateError, SLOT_STR)) && str_of_simple(p, exc);
}

/* ---- the list ---- */

struct met { PyObject *exc; uint8_t role; uint16_t of; bool more; };
struct list_made {
	struct met met[AGENT_EXCEPTIONS_MAX];
	unsigned n;
	size_t bytes;
	unsigned epoch;
	struct text text;
	struct raw_stack stack;
};

static void meet(struct list_made *l, PyObject *exc, unsigned of, enum agent_exception_role role)
{
	if (!exc || exc == Py_None)
		return;
	if (role != AGENT_NOTE) {
		if (!value_is(PyExc_BaseException, exc))
			return;
		for (unsigned i = 0; i < l->n; i++)
			if (l->met[i].exc == exc)
				return;
	}
	if (l->n == AGENT_EXCEPTIONS_MAX) {
		l->met[of].more = true;
		return;
	}
	Py_IncRef(exc);
	l->met[l->n++] = (struct met){ .exc = exc, .role = (uint8_t)role, .of = (uint16_t)of };
}

/* add_note() makes __notes__, a list, in the instance's dict: a name that is looked up there
 * runs no code. */
static void meet_notes(struct list_made *l, unsigned of)
{
	PyObject *dict = field(l->met[of].exc, agent_layout.object_size);
	PyObject *notes = dict && dict != Py_None ? PyDict_GetItemString(dict, "__notes__") : NULL;
	if (!notes || type_of(notes) != (PyObject *)&PyList_Type)
		return;
	PyObject *copy = PyList_GetSlice(notes, 0, AGENT_EXCEPTIONS_MAX + 1);
	for (Py_ssize_t i = 0; copy && i < PyList_Size(copy); i++)
		meet(l, PyList_GetItem(copy, i), of, AGENT_NOTE);
	if (copy)
		Py_DecRef(copy);
	else
		PyErr_Clear();
}

/* In the order of objects: notes, members, cause, context. */
static void meet_what_belongs(struct list_made *l, unsigned of)
{
	PyObject *exc = l->met[of].exc;
	meet_notes(l, of);
	if (is_group(exc)) {
		PyObject *all = own(exc, 1);
		for (Py_ssize_t i = 0; i < PyTuple_Size(all) && !l->met[of].more; i++)
			meet(l, PyTuple_GetItem(all, i), of, AGENT_MEMBER);
	}
	meet(l, cause_of(exc), of, AGENT_CAUSE);
	meet(l, context_of(exc), of, AGENT_CONTEXT);
}

/* The text under way, kept; 0: nothing is known. */
static uint32_t keep_text(struct list_made *l, bool known)
{
	uint32_t s = 0;
	if (!known || l->bytes > ALL_TEXT_MAX)
		return 0;
	l->bytes += l->text.len;
	agent_lock();
	if (l->epoch == memory_epoch)
		s = string_keep(&l->text);
	agent_unlock();
	return s;
}

static void keep_texts(struct list_made *l, const struct met *m, struct agent_exception *e)
{
	struct text *t = &l->text;
	text_clear(t);
	if (m->role == AGENT_NOTE) {
		e->message = keep_text(l, text_put_object(t, m->exc));
		return;
	}
	text_put_class(t, type_of(m->exc));
	e->type = keep_text(l, true);
	text_clear(t);
	e->repr = keep_text(l, repr_exception(&(struct repr){ .t = t, .open = { m->exc }, .depth = 1 }, m->exc));
	text_clear(t);
	bool said = str_exception(&(struct repr){ .t = t, .open = { m->exc }, .depth = 1 }, m->exc);
	e->message = keep_text(l, said);
}

static uint32_t keep_one(struct list_made *l, unsigned i)
{
	const struct met *m = &l->met[i];
	struct agent_exception e = { .role = m->role, .of = m->of };
	keep_texts(l, m, &e);
	if (m->role != AGENT_NOTE) {
		meet_what_belongs(l, i);
		e.flags = suppresses(m->exc) ? AGENT_EXCEPTION_SUPPRESSES : 0;
		e.flags |= m->more ? AGENT_EXCEPTION_MORE : 0;
	}
	stack_of_traceback(i && m->role != AGENT_NOTE ? exception_traceback(m->exc) : NULL, 0, &l->stack);
	agent_lock();
	uint32_t at = l->epoch == memory_epoch ? exception_take() : 0;
	if (at) {
		e.stack = stack_keep(&l->stack);
		*exception_at(at) = e;
	}
	agent_unlock();
	return at;
}

uint32_t exceptions_keep(PyObject *exc)
{
	struct list_made l;
	PyObject *type, *value, *tb;
	uint32_t first = 0, last = 0;
	PyErr_Fetch(&type, &value, &tb);
	l.n = 0;
	l.bytes = 0;
	l.epoch = memory_epoch;
	meet(&l, exc, 0, AGENT_RAISED);
	for (unsigned i = 0; i < l.n; i++) {
		uint32_t at = keep_one(&l, i);
		if (!at) {
			if (first)
				exception_at(first)->flags |= AGENT_EXCEPTION_MORE;
			break;
		}
		if (last)
			exception_at(last)->next = at;
		else
			first = at;
		last = at;
	}
	for (unsigned i = 0; i < l.n; i++)
		Py_DecRef(l.met[i].exc);
	PyErr_Restore(type, value, tb);
	return first;
}

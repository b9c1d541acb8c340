/* Looking into Python objects as memory: nothing here calls Python code, raises, or
 * keeps a reference. */
#include "agent/agent.h"

#include <string.h>

/* Where text ends that is cut: with a mark in its last bytes. */
static void end_cut(struct text *t)
{
	static const char mark[] = "\xe2\x80\xa6"; /* an ellipsis */
	size_t n = sizeof mark - 1;
	if (t->len > sizeof t->s - n) {
		t->len = sizeof t->s - n;
		/* Never in the middle of a character. */
		while (t->len && ((unsigned char)t->s[t->len] & 0xC0) == 0x80)
			t->len--;
	}
	memcpy(t->s + t->len, mark, n);
	t->len += n;
	t->cut = true;
}

static void put(struct text *t, const char *s, size_t n)
{
	size_t room = sizeof t->s - t->len;
	if (t->cut)
		return;
	memcpy(t->s + t->len, s, n < room ? n : room);
	t->len += n < room ? n : room;
	if (n > room)
		end_cut(t);
}

static void put_str(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_int(struct text *t, int64_t n)
{
	char b[24], *p = b + sizeof b;
	uint64_t v = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	if (n < 0)
		*--p = '-';
	put(t, p, (size_t)(b + sizeof b - p));
}

static void put_char(struct text *t, uint32_t c)
{
	char b[4];
	size_t n = 0;
	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xC0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (char)(0xE0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
	} else {
		b[n++] = (char)(0xF0 | (c >> 18 & 7));
		b[n++] = (char)(0x80 | (c >> 12 & 0x3F));
		b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
	}
	if (c >= 0x80)
		b[n++] = (char)(0x80 | (c & 0x3F));
	if (sizeof t->s - t->len >= n)
		put(t, b, n);
	else if (!t->cut)
		end_cut(t);
}

static bool is_a(const void *obj, const void *type)
{
	return obj && type && (type_of(obj) == type || PyType_IsSubtype(type_of(obj), (PyObject *)type));
}

static bool add_str(PyObject *obj, struct text *t)
{
	const struct py_layout *l = &agent_layout;
	if (!obj || !is_a(obj, &PyUnicode_Type))
		return false;
	const char *o = (const char *)obj;
	int64_t len;
	uint32_t state;
	memcpy(&len, o + l->unicode_length, sizeof len);
	memcpy(&state, o + l->unicode_state, sizeof state);
	unsigned kind = state >> l->unicode_kind_shift & 7;
	bool compact = state >> (l->unicode_kind_shift + 3) & 1;
	bool ascii = state >> (l->unicode_kind_shift + 4) & 1;
	if ((kind != 1 && kind != 2 && kind != 4) || len < 0)
		return false;
	const uint8_t *data = compact ? (const uint8_t *)o + (ascii ? l->unicode_ascii_data
								    : l->unicode_compact_data)
				      : field(obj, l->unicode_data);
	if (ascii) {
		put(t, (const char *)data, (size_t)(len <= TEXT_BYTES ? len : TEXT_BYTES + 1));
		return true;
	}
	for (int64_t i = 0; i < len && !t->cut; i++) {
		uint32_t c = 0;
		memcpy(&c, data + (size_t)i * kind, kind);
		put_char(t, c);
	}
	return true;
}

void text_clear(struct text *t)
{
	t->len = 0;
	t->cut = false;
}

bool text_of_str(PyObject *obj, struct text *t)
{
	text_clear(t);
	return add_str(obj, t);
}

bool int_value(PyObject *obj, int64_t *v)
{
	const struct py_layout *l = &agent_layout;
	if (type_of(obj) != (PyObject *)&PyLong_Type)
		return false;
	uint32_t digit[2];
	memcpy(digit, (const char *)obj + l->long_digits, sizeof digit);
	int64_t n, sign = 1;
	if (l->long_tag >= 0) {
		uint64_t tag = (uint64_t)(uintptr_t)field(obj, l->long_tag);
		n = (int64_t)(tag >> 3);
		if ((tag & 3) == 1)
			n = 0;
		sign = (tag & 3) == 2 ? -1 : 1;
	} else {
		n = (int64_t)(uintptr_t)field(obj, l->var_size);
		if (n < 0) {
			n = -n;
			sign = -1;
		}
	}
	if (n > 2)
		return false;
	*v = sign * (n == 0 ? 0 : n == 1 ? (int64_t)digit[0] : (int64_t)digit[0] | (int64_t)digit[1] << 30);
	return true;
}

#define TYPE_HEAP (1ul << 9)

void text_of_type(PyObject *type, struct text *t)
{
	const struct py_layout *l = &agent_layout;
	text_clear(t);
	const char *name = field(type, l->type_name);
	unsigned long flags = (unsigned long)(uintptr_t)field(type, l->type_flags);
	if (!name)
		return;
	if ((flags & TYPE_HEAP) && !strchr(name, '.')) {
		PyObject *dict = field(type, l->type_dict);
		PyObject *module = dict ? PyDict_GetItemString(dict, "__module__") : NULL;
		if (module && add_str(module, t) && !(t->len == 8 && memcmp(t->s, "builtins", 8) == 0))
			put_str(t, ".");
		else
			text_clear(t);
		if (!add_str(field(type, l->heaptype_qualname), t))
			put_str(t, name);
		return;
	}
	put_str(t, name);
}

/* PyBaseExceptionObject: dict, args, then notes (3.11+), traceback (Include/cpython/pyerrors.h). */
#define EXC_ARGS (agent_layout.object_size + 8)
#define EXC_TRACEBACK (agent_layout.object_size + (agent_layout.version.minor >= 11 ? 24 : 16))

PyObject *exception_traceback(PyObject *exc)
{
	return exc && exc != Py_None ? field(exc, EXC_TRACEBACK) : NULL;
}

/* PyTypeObject.tp_str, by its distance from tp_name. */
static void *str_of(PyObject *type)
{
	return field(type, agent_layout.type_name + 112);
}

/* Has it the str() of BaseExceptionGroup (3.11+)? */
static bool is_group(PyObject *type)
{
	PyObject *t = type;
	for (int depth = 0; t && depth < 32; depth++, t = field(t, agent_layout.type_base)) {
		const char *name = field(t, agent_layout.type_name);
		if (name && strcmp(name, "BaseExceptionGroup") == 0)
			return str_of(t) == str_of(type);
	}
	return false;
}

/* One value as repr() gives it, for plain values; false for others. */
static bool add_repr(PyObject *v, struct text *t)
{
	int64_t n;
	if (v == Py_None) {
		put_str(t, "None");
		return true;
	}
	if (int_value(v, &n)) {
		put_int(t, n);
		return true;
	}
	if (!is_a(v, &PyUnicode_Type))
		return false;
	size_t at = t->len;
	put_str(t, "'");
	add_str(v, t);
	put_str(t, "'");
	/* Text that repr() would write otherwise is not claimed. */
	for (size_t i = at + 1; i + 1 < t->len; i++)
		if (t->s[i] == '\'' || t->s[i] == '\\' || (unsigned char)t->s[i] < 32)
			return false;
	return true;
}

/* Of a tuple, as its repr() but for the comma of a single one. */
static bool add_args(PyObject *args, Py_ssize_t n, struct text *t)
{
	put_str(t, "(");
	for (Py_ssize_t i = 0; i < n; i++) {
		if (i)
			put_str(t, ", ");
		if (!add_repr(PyTuple_GetItem(args, i), t))
			return false;
	}
	put_str(t, ")");
	return true;
}

static bool os_error(PyObject *exc, PyObject *args, int64_t code, struct text *t)
{
	put_str(t, "[Errno ");
	put_int(t, code);
	put_str(t, "] ");
	if (!add_str(PyTuple_GetItem(args, 1), t))
		return false;
	/* PyOSErrorObject goes on with errno, strerror, filename (3.8 to 3.15). */
	int32_t after = EXC_TRACEBACK + 8 * 3;
	after = (after + 8) & ~7;
	PyObject *file = field(exc, after + 16);
	if (file && is_a(file, &PyUnicode_Type)) {
		put_str(t, ": ");
		add_repr(file, t);
	}
	return true;
}

static bool group(PyObject *first, PyObject *sub, struct text *t)
{
	if (!is_a(first, &PyUnicode_Type) || !(is_a(sub, &PyTuple_Type) || is_a(sub, &PyList_Type)))
		return false;
	int64_t many = (int64_t)(uintptr_t)field(sub, agent_layout.var_size);
	add_str(first, t);
	put_str(t, " (");
	put_int(t, many);
	put_str(t, many == 1 ? " sub-exception)" : " sub-exceptions)");
	return true;
}

/* What its __str__ would say only that knows: what it was made of instead, as repr(). */
static bool own_str(PyObject *type, PyObject *args, Py_ssize_t n, struct text *t)
{
	const char *name = field(type, agent_layout.type_name), *dot = name ? strrchr(name, '.') : NULL;
	put_str(t, dot ? dot + 1 : name ? name : "?");
	return add_args(args, n, t);
}

bool text_of_exception(PyObject *exc, struct text *t)
{
	text_clear(t);
	PyObject *args = exc ? field(exc, EXC_ARGS) : NULL;
	Py_ssize_t n = args ? PyTuple_Size(args) : -1;
	if (n < 0)
		return false;
	PyObject *type = type_of(exc), *first = n ? PyTuple_GetItem(args, 0) : NULL;
	void *str = str_of(type);
	int64_t code;
	if (n == 2 && is_group(type))
		return group(first, PyTuple_GetItem(args, 1), t);
	if (n == 2 && str == str_of(PyExc_OSError) && int_value(first, &code))
		return os_error(exc, args, code, t);
	if (str == str_of(PyExc_KeyError) && n == 1)
		return add_repr(first, t);
	if (str != str_of(PyExc_BaseException) && str != str_of(PyExc_OSError) && str != str_of(PyExc_KeyError) &&
	    str != str_of(PyExc_ImportError))
		return own_str(type, args, n, t);
	if (n == 1)
		return is_a(first, &PyUnicode_Type) ? add_str(first, t) : add_repr(first, t);
	return n == 0 || add_args(args, n, t);
}

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

void text_put(struct text *t, const char *s, size_t n)
{
	size_t room = sizeof t->s - t->len;
	if (t->cut)
		return;
	memcpy(t->s + t->len, s, n < room ? n : room);
	t->len += n < room ? n : room;
	if (n > room)
		end_cut(t);
}

void text_put_str(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_put_int(struct text *t, int64_t n)
{
	char b[24], *p = b + sizeof b;
	uint64_t v = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	if (n < 0)
		*--p = '-';
	text_put(t, p, (size_t)(b + sizeof b - p));
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
		text_put(t, b, n);
	else if (!t->cut)
		end_cut(t);
}

bool value_is(const void *type, const void *obj)
{
	return obj && type && (type_of(obj) == type || PyType_IsSubtype(type_of(obj), (PyObject *)type));
}

bool text_put_object(struct text *t, PyObject *obj)
{
	const struct py_layout *l = &agent_layout;
	if (!obj || !value_is(&PyUnicode_Type, obj))
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
		text_put(t, (const char *)data, (size_t)(len <= TEXT_BYTES ? len : TEXT_BYTES + 1));
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
	return text_put_object(t, obj);
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

void text_put_class(struct text *t, PyObject *type)
{
	const char *name = field(type, agent_layout.type_name), *dot = name ? strrchr(name, '.') : NULL;
	unsigned long flags = (unsigned long)(uintptr_t)field(type, agent_layout.type_flags);
	if (!(flags & TYPE_HEAP) || !text_put_object(t, field(type, agent_layout.heaptype_qualname)))
		text_put_str(t, dot ? dot + 1 : name ? name : "?");
}

void text_put_type(struct text *t, PyObject *type)
{
	const struct py_layout *l = &agent_layout;
	const char *name = field(type, l->type_name);
	unsigned long flags = (unsigned long)(uintptr_t)field(type, l->type_flags);
	if (!name)
		return;
	if (!(flags & TYPE_HEAP) || strchr(name, '.')) {
		text_put_str(t, name);
		return;
	}
	PyObject *dict = field(type, l->type_dict);
	PyObject *module = dict ? PyDict_GetItemString(dict, "__module__") : NULL;
	size_t at = t->len;
	if (module && text_put_object(t, module) &&
	    !(t->len == at + 8 && memcmp(t->s + at, "builtins", 8) == 0))
		text_put_str(t, ".");
	else if (!t->cut)
		t->len = at;
	text_put_class(t, type);
}

/* PyBaseExceptionObject: dict, args, then notes (3.11+), traceback (Include/cpython/pyerrors.h). */
#define EXC_TRACEBACK (agent_layout.object_size + (agent_layout.version.minor >= 11 ? 24 : 16))

PyObject *exception_traceback(PyObject *exc)
{
	return exc && exc != Py_None ? field(exc, EXC_TRACEBACK) : NULL;
}

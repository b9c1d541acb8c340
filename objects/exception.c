/* Exceptions: PyBaseExceptionObject (Include/cpython/pyerrors.h) is dict, args, from 3.11 on
 * notes, traceback, context, cause and a flag; the structs of some built-in classes go on from
 * there. Texts: Objects/exceptions.c. */
#include "objects/repr.h"

#define FLAG_HEAPTYPE (1ull << 9)
#define FLAG_BASE_EXC (1ull << 30)
enum { BASES_MAX = 32 };

enum field { ARGS, TRACEBACK, CONTEXT, CAUSE, FIRST };

static uint64_t offset_of(const struct reader *r, enum field f)
{
	uint64_t head = (uint64_t)r->l->object_size, notes = (uint64_t)r->l->exception_notes;
	switch (f) {
	case ARGS:
		return head + 8;
	case TRACEBACK:
		return head + 16 + notes;
	case CONTEXT:
		return head + 24 + notes;
	case CAUSE:
		return head + 32 + notes;
	default: /* behind suppress_context, a char */
		return head + 48 + notes;
	}
}

static uint64_t get(struct reader *r, uint64_t exc, enum field f)
{
	uint64_t v = is_exception(r, exc) ? field_at(r, exc, (int32_t)offset_of(r, f)) : 0;
	return is_none(r, v) ? 0 : v;
}

/* The n-th word of what a built-in class has beyond BaseException. */
static uint64_t own(struct reader *r, uint64_t exc, unsigned n)
{
	return field_at(r, exc, (int32_t)(offset_of(r, FIRST) + 8 * n));
}

bool is_exception(struct reader *r, uint64_t obj)
{
	const struct type_info *t = object_type(r, obj);
	return t && t->flags & FLAG_BASE_EXC;
}

uint64_t exception_args(struct reader *r, uint64_t exc) { return get(r, exc, ARGS); }
uint64_t exception_traceback(struct reader *r, uint64_t exc) { return get(r, exc, TRACEBACK); }

uint64_t exception_cause(struct reader *r, uint64_t exc)
{
	uint64_t e = get(r, exc, CAUSE);
	return is_exception(r, e) ? e : 0;
}

uint64_t exception_context(struct reader *r, uint64_t exc)
{
	uint64_t e = get(r, exc, CONTEXT);
	return is_exception(r, e) ? e : 0;
}

bool exception_suppresses(struct reader *r, uint64_t exc)
{
	uint8_t v;
	return is_exception(r, exc) && image_u8(r->img, exc + offset_of(r, CAUSE) + 8, &v) && v;
}

uint64_t exception_notes(struct reader *r, uint64_t exc)
{
	uint64_t notes = is_exception(r, exc) ? attr_get(r, exc, "__notes__") : 0;
	return object_kind(r, notes) == KIND_LIST ? notes : 0;
}

static bool built_in(struct reader *r, uint64_t exc, const char *class)
{
	const struct type_info *t = object_type(r, exc);
	for (int depth = 0; t && depth < BASES_MAX; t = type_at(r, t->base), depth++)
		if (!(t->flags & FLAG_HEAPTYPE) && strcmp(t->name, class) == 0)
			return true;
	return false;
}

uint64_t exception_group(struct reader *r, uint64_t exc)
{
	uint64_t all = is_exception(r, exc) && built_in(r, exc, "BaseExceptionGroup") ? own(r, exc, 1) : 0;
	return object_kind(r, all) == KIND_TUPLE ? all : 0;
}

static const char *short_class(struct reader *r, uint64_t exc)
{
	const char *name = object_type(r, exc)->name, *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

/* 3.15: PyImportErrorObject: msg, name, path. */
static void repr_of_import(struct repr *p, uint64_t exc, bool comma)
{
	static const char *const names[] = { "name", "path" };
	for (unsigned i = 0; i < 2; i++) {
		uint64_t v = own(p->r, exc, i + 1);
		if (!v)
			continue;
		strbuf_fmt(&p->b, "%s%s=", comma ? ", " : "", names[i]);
		repr_value(p, v);
		comma = true;
	}
}

bool repr_exception(struct repr *p, uint64_t exc)
{
	const char *by = written_by(p->r, exc, TP_REPR);
	bool import = strcmp(by, "ImportError") == 0;
	uint64_t args = exception_args(p->r, exc);
	int64_t n = seq_len(p->r, args);
	if (n < 0 || (!import && strcmp(by, "BaseException") != 0 && strcmp(by, "BaseExceptionGroup") != 0))
		return false;
	strbuf_fmt(&p->b, "%s(", short_class(p->r, exc));
	for (int64_t i = 0; i < n && p->b.len < REPR_MAX; i++) {
		if (i)
			strbuf_str(&p->b, ", ");
		repr_value(p, seq_item(p->r, args, i));
	}
	if (import)
		repr_of_import(p, exc, n > 0);
	strbuf_char(&p->b, ')');
	return true;
}

/* str() of any value. */
static void put_plain(struct repr *p, uint64_t obj)
{
	const char *by = written_by(p->r, obj, TP_STR);
	const char *s = strcmp(by, "str") == 0 ? str_once(p->r, obj) : NULL;
	if (s) {
		strbuf_str(&p->b, s);
		return;
	}
	if (is_exception(p->r, obj) && p->depth < REPR_DEPTH) {
		p->open[p->depth++] = obj;
		bool known = str_exception(p, obj);
		p->depth--;
		if (known)
			return;
	}
	/* The __str__ of object calls repr(). */
	if (strcmp(by, "object") == 0)
		repr_value(p, obj);
	else
		repr_name(p, obj);
}

static bool str_of_args(struct repr *p, uint64_t exc)
{
	uint64_t args = exception_args(p->r, exc);
	int64_t n = seq_len(p->r, args);
	if (n == 1)
		put_plain(p, seq_item(p->r, args, 0));
	else if (n > 1)
		repr_value(p, args);
	return n >= 0;
}

/* PyOSErrorObject: errno, strerror, filename, filename2. */
static bool str_of_os_error(struct repr *p, uint64_t exc)
{
	uint64_t number = own(p->r, exc, 0), text = own(p->r, exc, 1), file = own(p->r, exc, 2), other = own(p->r, exc, 3);
	if (!file && (!number || !text))
		return str_of_args(p, exc);
	strbuf_str(&p->b, "[Errno ");
	put_plain(p, number ? number : p->r->py->none);
	strbuf_str(&p->b, "] ");
	put_plain(p, text ? text : p->r->py->none);
	if (file) {
		strbuf_str(&p->b, ": ");
		repr_value(p, file);
	}
	if (file && other) {
		strbuf_str(&p->b, " -> ");
		repr_value(p, other);
	}
	return true;
}

static bool str_of_key_error(struct repr *p, uint64_t exc)
{
	uint64_t args = exception_args(p->r, exc);
	if (seq_len(p->r, args) != 1)
		return str_of_args(p, exc);
	repr_value(p, seq_item(p->r, args, 0));
	return true;
}

static bool str_of_import_error(struct repr *p, uint64_t exc)
{
	uint64_t msg = own(p->r, exc, 0);
	if (object_kind(p->r, msg) != KIND_STR)
		return str_of_args(p, exc);
	put_plain(p, msg);
	return true;
}

/* PySyntaxErrorObject: msg, filename, lineno. */
static bool str_of_syntax_error(struct repr *p, uint64_t exc)
{
	uint64_t msg = own(p->r, exc, 0), line = own(p->r, exc, 2);
	const char *file = str_at(p->r, own(p->r, exc, 1)), *slash = file ? strrchr(file, '/') : NULL;
	int64_t number;
	bool has_line = object_kind(p->r, line) == KIND_INT && int_at(p->r, line, &number);
	put_plain(p, msg ? msg : p->r->py->none);
	if (file && has_line)
		strbuf_fmt(&p->b, " (%s, line %lld)", slash ? slash + 1 : file, (long long)number);
	else if (file)
		strbuf_fmt(&p->b, " (%s)", slash ? slash + 1 : file);
	else if (has_line)
		strbuf_fmt(&p->b, " (line %lld)", (long long)number);
	return true;
}

/* PyUnicodeErrorObject: encoding, object, start, end (numbers), reason. */
static bool str_of_unicode_error(struct repr *p, uint64_t exc, bool decode)
{
	uint64_t encoding = own(p->r, exc, 0), object = own(p->r, exc, 1), reason = own(p->r, exc, 4);
	int64_t start = (int64_t)own(p->r, exc, 2), end = (int64_t)own(p->r, exc, 3);
	size_t n;
	const uint8_t *bytes = decode ? bytes_at(p->r, object, &n) : NULL;
	/* The character that could not be encoded would have to be looked up. */
	if (object_kind(p->r, encoding) != KIND_STR || start < 0 || end <= start ||
	    (end == start + 1 && (!bytes || (size_t)start >= n)))
		return false;
	strbuf_char(&p->b, '\'');
	put_plain(p, encoding);
	strbuf_fmt(&p->b, "' codec can't %s", decode ? "decode" : "encode");
	if (end == start + 1)
		strbuf_fmt(&p->b, " byte 0x%02x in position %lld: ", bytes[start], (long long)start);
	else
		strbuf_fmt(&p->b, " %s in position %lld-%lld: ", decode ? "bytes" : "characters", (long long)start,
			   (long long)end - 1);
	put_plain(p, reason);
	return true;
}

static bool str_of_group(struct repr *p, uint64_t exc)
{
	int64_t n = seq_len(p->r, exception_group(p->r, exc));
	if (n < 0)
		return false;
	put_plain(p, own(p->r, exc, 0));
	strbuf_fmt(&p->b, " (%lld sub-exception%s)", (long long)n, n == 1 ? "" : "s");
	return true;
}

bool str_exception(struct repr *p, uint64_t exc)
{
	const char *by = written_by(p->r, exc, TP_STR);
	if (strcmp(by, "BaseException") == 0)
		return str_of_args(p, exc);
	if (strcmp(by, "OSError") == 0)
		return str_of_os_error(p, exc);
	if (strcmp(by, "KeyError") == 0)
		return str_of_key_error(p, exc);
	if (strcmp(by, "ImportError") == 0)
		return str_of_import_error(p, exc);
	if (strcmp(by, "SyntaxError") == 0)
		return str_of_syntax_error(p, exc);
	if (strcmp(by, "UnicodeDecodeError") == 0 || strcmp(by, "UnicodeEncodeError") == 0)
		return str_of_unicode_error(p, exc, by[7] == 'D');
	return strcmp(by, "BaseExceptionGroup") == 0 && str_of_group(p, exc);
}

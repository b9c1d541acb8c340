/* What repr() and str() would say of an object, from its bytes alone: for the types whose
 * text is known. No code runs in the target, so the text of a class with a __repr__ of its
 * own cannot be had: such an object is named, "<Decimal object>". */
#ifndef ASYNCMON_OBJECTS_REPR_H
#define ASYNCMON_OBJECTS_REPR_H

#include "base/strbuf.h"
#include "objects/reader.h"

/* A text under way. What is longer than REPR_MAX bytes or nested deeper than REPR_DEPTH ends
 * in U+2026. */
#define REPR_MAX (64u << 10)
#define REPR_DEPTH 8
struct repr {
	struct reader *r;
	struct strbuf b;
	uint64_t open[REPR_DEPTH]; /* the containers around what is being written */
	int depth;
};

/* The built-in class whose function a type has in that slot, by name: who writes its repr() or
 * str(). "" if that is written in Python. */
enum { TP_REPR = 64, TP_STR = 112 }; /* distances from tp_name in PyTypeObject */
const char *written_by(struct reader *r, uint64_t obj, int slot);

/* None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, classes and
 * exceptions, and instances of subclasses that leave __repr__ as it is. Others are named. */
void repr_value(struct repr *p, uint64_t obj);
/* "<Decimal object>" */
void repr_name(struct repr *p, uint64_t obj);

/* exceptions (objects/exception.c) */
bool is_exception(struct reader *r, uint64_t obj);
/* repr(): false, and nothing is written, when its class has a __repr__ of its own. */
bool repr_exception(struct repr *p, uint64_t exc);
/* str(): false when its class has a __str__ of its own. */
bool str_exception(struct repr *p, uint64_t exc);
uint64_t exception_args(struct reader *r, uint64_t exc);
/* A list of str, or 0. */
uint64_t exception_notes(struct reader *r, uint64_t exc);
uint64_t exception_cause(struct reader *r, uint64_t exc);
uint64_t exception_context(struct reader *r, uint64_t exc);
/* __suppress_context__ */
bool exception_suppresses(struct reader *r, uint64_t exc);
uint64_t exception_traceback(struct reader *r, uint64_t exc);
/* Of a group: the tuple of its exceptions, or 0. */
uint64_t exception_group(struct reader *r, uint64_t exc);

#endif

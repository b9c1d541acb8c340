/* Python objects read through a layout: types, str, int, tuple, list, set, dict,
 * attributes of instances. Nothing here runs code in the target or believes it:
 * sizes, counts and kinds are checked before use, every walk is bounded.
 *
 * A reader belongs to one look at a target. It caches what it has read; strings it
 * gives live in its arena. A read that fails gives false, 0 or NULL: the bytes are
 * unknown or cannot be what they should be. Callers lose one field, never more. */
#ifndef ASYNCMON_OBJECTS_READER_H
#define ASYNCMON_OBJECTS_READER_H

#include "attach/image.h"
#include "base/arena.h"
#include "base/map.h"
#include "symbols/python.h"

/* What a type is to this program; found once a type. */
enum type_kind {
	KIND_OTHER, KIND_NONE, KIND_BOOL, KIND_INT, KIND_FLOAT, KIND_STR, KIND_BYTES, KIND_TUPLE,
	KIND_LIST, KIND_DICT, KIND_SET, KIND_CODE, KIND_FUNCTION, KIND_METHOD, KIND_CFUNCTION,
	KIND_CELL, KIND_MODULE, KIND_FRAME, KIND_WEAKREF, KIND_TYPE, KIND_PARTIAL, KIND_DEQUE,
	KIND_CORO, KIND_GEN, KIND_ASYNCGEN, KIND_CORO_WRAPPER, KIND_ASEND, KIND_ATHROW,
	KIND_ANEXT,    /* of anext() with a default */
	KIND_FUTUREITER,
	KIND_FUTURE,   /* _asyncio.Future and its subclasses that are no tasks */
	KIND_TASK,     /* _asyncio.Task and its subclasses */
	KIND_PYFUTURE, /* the pure-Python Future and its subclasses */
	KIND_PYTASK,   /* the pure-Python Task and its subclasses */
};

struct type_info {
	uint64_t addr;
	enum type_kind kind;
	const char *name;        /* tp_name: "Task", "_asyncio.Task" for static types */
	uint64_t flags, base;
	int64_t basicsize, itemsize, dictoffset;
	uint64_t cached_keys;    /* heap types' shared keys, or 0 */
};

/* Types met lately, by address: most objects of a walk are of a dozen types. */
#define TYPE_CACHE 64

/* Where classes keep their slots, found lately: a search goes through the dicts of a class
 * and its bases. */
#define SLOT_CACHE 64
#define SLOT_NAME_MAX 32
struct slot_known { uint64_t type; char name[SLOT_NAME_MAX]; int32_t offset; };

struct reader {
	struct python *py;
	const struct py_layout *l;
	struct image *img;
	struct arena *arena;
	struct map types;        /* address → struct type_info * */
	const struct type_info *lately[TYPE_CACHE];
	struct slot_known slots[SLOT_CACHE];
	struct map strings;      /* address → char *, for strings read by reader_str() */
	struct map codes;        /* address → struct code * (objects/code.c) */
	uint64_t spent;          /* of what reader_spend() allows */
	size_t cut;              /* times that it did not */
};

err_t reader_init(struct reader *r, struct python *py, struct arena *arena);
void reader_free(struct reader *r);

/* What is taken from a target in all is bounded by what was read of it: so many bytes, and
 * as many times what the image holds. False: there is no room for more; it is counted. */
#define SPEND_BASE (64ull << 20)
#define SPEND_TIMES 2
static inline bool reader_spend(struct reader *r, uint64_t bytes)
{
	if (bytes > SPEND_BASE + SPEND_TIMES * r->img->filled - r->spent) {
		r->cut++;
		return false;
	}
	r->spent += bytes;
	return true;
}

/* The longest text taken from a target, in characters; longer ones are cut, end in U+2026,
 * and are counted. */
#define TEXT_MAX (16 << 20)
/* How many entries of one container are looked at. */
#define ITEMS_MAX (1ull << 26)

/* What a type is; NULL when addr cannot be a type. */
const struct type_info *type_at(struct reader *r, uint64_t addr);
/* The type of the object at obj, or NULL. */
static inline const struct type_info *object_type(struct reader *r, uint64_t obj)
{
	uint64_t addr;
	if (!obj || obj % 8 || !image_u64(r->img, obj + (uint64_t)r->l->object_type, &addr))
		return NULL;
	const struct type_info *t = r->lately[addr / 32 % TYPE_CACHE];
	return t && t->addr == addr ? t : type_at(r, addr);
}
static inline enum type_kind object_kind(struct reader *r, uint64_t obj)
{
	const struct type_info *t = object_type(r, obj);
	return t ? t->kind : KIND_OTHER;
}
/* "module.qualname" of a type as Python would print it; tp_name when unknown. */
const char *type_full_name(struct reader *r, const struct type_info *t);
/* The name without module. */
const char *type_short_name(struct reader *r, const struct type_info *t);

/* A str object as UTF-8 (lone surrogates as three bytes), cached; NULL if none. */
const char *str_at(struct reader *r, uint64_t obj);
/* The same, cached only if it is long: for texts that are met once. */
const char *str_once(struct reader *r, uint64_t obj);
/* True when obj is a str of exactly that ASCII text. */
bool str_is(struct reader *r, uint64_t obj, const char *text);
/* An int object that fits; bools too. */
bool int_at(struct reader *r, uint64_t obj, int64_t *v);
bool float_at(struct reader *r, uint64_t obj, double *v);
/* The bytes of a bytes object and how many; NULL if none. */
const uint8_t *bytes_at(struct reader *r, uint64_t obj, size_t *len);

static inline bool is_none(const struct reader *r, uint64_t obj)
{
	return obj == 0 || obj == r->py->none;
}

/* tuple or list: how many, and the i-th (0 when unknown). -1: not one. */
int64_t seq_len(struct reader *r, uint64_t obj);
uint64_t seq_item(struct reader *r, uint64_t obj, int64_t i);

/* Iteration of a set or frozenset. `used` is what the set says of itself; an end
 * with seen != used is a set in the middle of a change. */
struct set_iter { uint64_t table, mask, i; int64_t used, seen; bool broken; };
bool set_begin(struct reader *r, uint64_t set, struct set_iter *it);
bool set_next(struct reader *r, struct set_iter *it, uint64_t *key);

/* Iteration of a dict (split ones too), in order of insertion. */
struct dict_iter {
	uint64_t entries, values;
	int64_t i, n, used, seen;
	int stride;              /* bytes an entry; key at stride - 16 */
	bool broken;
};
bool dict_begin(struct reader *r, uint64_t dict, struct dict_iter *it);
bool dict_next(struct reader *r, struct dict_iter *it, uint64_t *key, uint64_t *value);
/* The value of an ASCII key, or 0. */
uint64_t dict_get(struct reader *r, uint64_t dict, const char *key);
/* How many entries; -1 when it is no dict. */
int64_t dict_len(struct reader *r, uint64_t dict);

/* Iteration of a deque, from the left. */
struct deque_iter { uint64_t block; int64_t index, left; };
bool deque_begin(struct reader *r, uint64_t deque, struct deque_iter *it);
bool deque_next(struct reader *r, struct deque_iter *it, uint64_t *item);

/* An instance's own attribute (its __dict__, inline values or slots), or 0. */
uint64_t attr_get(struct reader *r, uint64_t obj, const char *name);
/* Calls `each` with every attribute that an instance of a class of Python has of its own: its
 * name (a str object) and its value. Ends, and gives false, when that gives false. */
bool attr_each(struct reader *r, uint64_t obj, bool (*each)(void *ctx, uint64_t name, uint64_t value), void *ctx);
/* Where instances of a class with __slots__ keep one of them; -1: no such slot. */
int32_t slot_offset(struct reader *r, const struct type_info *t, const char *name);
/* The pointer at obj + offset, or 0; offset -1 gives 0. */
static inline uint64_t field_at(struct reader *r, uint64_t obj, int32_t offset)
{
	uint64_t v;
	return obj && offset >= 0 && image_u64(r->img, obj + (uint64_t)offset, &v) ? v : 0;
}
/* The object a weak reference points to, 0 when dead. */
uint64_t weakref_get(struct reader *r, uint64_t obj);
/* What a WeakSet or set holds: the set inside; 0 if neither. */
uint64_t weakset_data(struct reader *r, uint64_t obj);

#endif

/* The types of a snapshot as tables of their fields, for what goes through all of them:
 * saving a look and reading it back. A new field is a line in fields.c.
 *
 * An array of numbers, texts or pointers is one of a type with a single field. */
#ifndef ASYNCMON_SNAPSHOT_FIELDS_H
#define ASYNCMON_SNAPSHOT_FIELDS_H

#include "snapshot/snapshot.h"

enum field_kind {
	FIELD_BOOL,
	FIELD_INT,       /* signed, 4 or 8 bytes */
	FIELD_UINT,      /* 8 bytes */
	FIELD_DOUBLE,
	FIELD_ENUM,      /* 4 bytes; in a file by name */
	FIELD_TEXT,      /* const char * */
	FIELD_CHARS,     /* char[size], ended by NUL */
	FIELD_INSIDE,    /* a struct of type `of` */
	FIELD_ONE,       /* a pointer to one */
	FIELD_MANY,      /* a pointer to an array of them; its length is at `count` */
	FIELD_KINDS
};

struct field_names { const char *name; size_t n; const char *(*of)(int value); };

struct field {
	const char *name;
	enum field_kind kind;
	uint32_t offset, size, count;
	const struct field_type *of;
	const struct field_names *names;
	int64_t absent;          /* where a file does not have it: its value */
	bool needed;             /* readers do without a check for NULL */
};

struct field_type {
	const char *name;
	size_t size;
	const struct field *fields;
	size_t n;
};

/* All of them; the first is struct snapshot itself. */
extern const struct field_type *const field_types[];
#define FIELD_TYPES 30
size_t field_type_index(const struct field_type *t);

extern const struct field_names *const field_enums[];
#define FIELD_ENUMS 7

static inline const void *field_at(const struct field *f, const void *element)
{
	return (const char *)element + f->offset;
}

#endif

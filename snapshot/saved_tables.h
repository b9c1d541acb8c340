/* The head of a saved look: which types and fields it has, matched with those that are known
 * here; and the numbers that all of it is made of. */
#ifndef ASYNCMON_SNAPSHOT_SAVED_TABLES_H
#define ASYNCMON_SNAPSHOT_SAVED_TABLES_H

#include "base/vec.h"
#include "snapshot/fields.h"

/* Reading beyond the end gives zeroes and sets `bad`. */
struct saved_bytes { const uint8_t *p, *end; bool bad; };
uint8_t saved_byte(struct saved_bytes *in);
uint64_t saved_uint(struct saved_bytes *in);
int64_t saved_int(struct saved_bytes *in);
double saved_double(struct saved_bytes *in);
/* n bytes, not ended by NUL; NULL: bad. */
const char *saved_text(struct saved_bytes *in, size_t *n);

struct saved_field {
	enum field_kind kind;
	uint32_t of;             /* of the file's types or enumerations */
	const struct field *known; /* NULL: not here, or something else */
};

struct saved_type {
	const struct field_type *known;
	struct saved_field *fields;
	size_t nfields;
	const struct field **lacking; /* that the file does not have */
	size_t nlacking;
	bool is_stack;
};

struct saved_enum { int32_t *to; size_t n; }; /* the file's number → ours, -1: not known */

struct saved_tables {
	struct VEC(struct saved_type) types;
	struct VEC(struct saved_enum) enums;
	char writer[64];
	bool newer;              /* it has what is not known here */
	const char *lacks[2];    /* fields that it lacks, the first of them */
	size_t nlacks;
};

err_t saved_tables_read(struct saved_tables *t, struct saved_bytes *in);
void saved_tables_free(struct saved_tables *t);
/* Says in the snapshot what the file lacks, and what of it could not be read. */
void saved_tables_note(const struct saved_tables *t, struct snapshot *s);

#endif

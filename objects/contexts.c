/* Where CPython keeps the exit method of a `with` block.
 *
 * From 3.11 on the compiler's exception table says how deep the value stack is where a
 * block's handler takes over; up to 3.10 the frame's own stack of blocks does. The value
 * below that depth is the bound exit method (up to 3.13) or the exit function with its
 * `self` above it (from 3.14 on). No other value at such a place can be an exit method:
 * between statements a value stack holds exit methods, iterators of for loops and the
 * state of exception handlers only. So a manager is named for certain, or not at all.
 *
 * Sources: Python/compile.c (compiler_with, compiler_async_with), Python/ceval.c
 * (SETUP_WITH, WITH_EXCEPT_START), Objects/exception_handling_notes.txt,
 * Include/cpython/frameobject.h (PyTryBlock) of each version. */
#include "objects/contexts.h"

#include <string.h>

#define SETUP_FINALLY 122        /* b_type of a block up to 3.10, which `with` has too */
#define EXTENDED_ARG 144         /* up to 3.10 */
#define CHAIN_MAX 256            /* handlers that one instruction unwinds through */
#define TABLE_MAX (1 << 20)      /* bytes of an exception table */

/* ---- which blocks ---- */

struct entry { uint32_t start, end, target, depth; bool lasti; };

/* A number of the table: six bits a byte, the highest first, bit 6 set where more come. */
static bool varint(const uint8_t **p, const uint8_t *end, uint32_t *v)
{
	for (*v = 0; *p < end;) {
		uint8_t b = *(*p)++;
		*v = *v << 6 | (b & 63);
		if (!(b & 64))
			return true;
	}
	return false;
}

static bool entry_next(const uint8_t **p, const uint8_t *end, struct entry *e)
{
	uint32_t size, depth;
	if (!varint(p, end, &e->start) || !varint(p, end, &size) || !varint(p, end, &e->target) ||
	    !varint(p, end, &depth))
		return false;
	e->end = e->start + size;
	e->depth = depth >> 1;
	e->lasti = depth & 1;
	return true;
}

/* The entry for an instruction; they lie in order and do not overlap. */
static bool entry_at(const uint8_t *table, size_t n, uint32_t unit, struct entry *e)
{
	const uint8_t *p = table;
	while (entry_next(&p, table + n, e) && e->start <= unit)
		if (unit < e->end)
			return true;
	return false;
}

size_t with_blocks(const uint8_t *table, size_t n, int64_t lasti, struct with_block *out, size_t max)
{
	struct entry e;
	uint32_t unit = (uint32_t)(lasti / 2), least = UINT32_MAX;
	size_t found = 0;
	if (lasti < 0)
		return 0;
	/* Handlers are covered by those of the blocks around theirs; clean-up inside a handler
	 * needs more of the stack than the block itself. */
	for (int i = 0; i < CHAIN_MAX && found < max && entry_at(table, n, unit, &e); i++) {
		if (e.lasti && e.depth && e.depth < least) {
			out[found++] = (struct with_block){ e.depth, e.target * 2 };
			least = e.depth;
		}
		unit = e.target;
	}
	for (size_t i = 0; i < found / 2; i++) {
		struct with_block b = out[i];
		out[i] = out[found - 1 - i];
		out[found - 1 - i] = b;
	}
	return found;
}

/* Up to 3.10: where the `with` statement lies whose handler that is. */
static int64_t statement_of(struct reader *r, const struct pyframe *f, uint64_t handler)
{
	const struct py_layout *l = r->l;
	size_t n;
	const uint8_t *code = bytes_at(r, field_at(r, f->code_addr, l->code_code), &n);
	uint32_t arg = 0;
	for (size_t at = 0; code && at + 1 < n; at += 2) {
		arg = arg << 8 | code[at + 1];
		bool with = code[at] == l->op_setup_with || code[at] == l->op_setup_async_with;
		if (with && at + 2 + (uint64_t)arg * (uint64_t)l->jump_unit == handler)
			return (int64_t)at;
		if (code[at] != EXTENDED_ARG)
			arg = 0;
	}
	return -1;
}

struct block { uint32_t depth; int line; };
struct blocks { size_t n; struct block v[FRAME_CONTEXTS_MAX]; };

/* 3.11+: known once for each instruction. */
static const struct blocks *blocks_by_table(struct reader *r, const struct pyframe *f)
{
	static const struct blocks none;
	struct map *cache = (struct map *)(uintptr_t)&f->code->blocks;
	struct with_block found[FRAME_CONTEXTS_MAX];
	uint64_t known, key = (uint64_t)(f->lasti + 2);
	size_t len;
	if (map_get(cache, key, &known))
		return (const struct blocks *)(uintptr_t)known;
	const uint8_t *table = bytes_at(r, field_at(r, f->code_addr, r->l->code_exceptiontable), &len);
	size_t n = table && len < TABLE_MAX ? with_blocks(table, len, f->lasti, found, FRAME_CONTEXTS_MAX) : 0;
	const struct blocks *b = &none;
	if (n) {
		struct blocks *more = arena_alloc(r->arena, sizeof *more);
		for (size_t i = 0; more && i < n; i++)
			more->v[more->n++] = (struct block){
				found[i].depth, code_line(f->code, r->l, found[i].handler) };
		b = more ? more : &none;
	}
	map_set(cache, key, (uint64_t)(uintptr_t)b);
	return b;
}

/* Up to 3.10: PyTryBlock { int b_type, b_handler, b_level }. */
static void blocks_of_frame(struct reader *r, const struct pyframe *f, struct blocks *out)
{
	const struct py_layout *l = r->l;
	int32_t n = 0, b[3];
	out->n = 0;
	image_i32(r->img, f->addr + (uint64_t)l->frame_iblock, &n);
	for (int32_t i = 0; i < n && out->n < FRAME_CONTEXTS_MAX - 1; i++) {
		uint64_t at = f->addr + (uint64_t)l->frame_blockstack + sizeof b * (uint64_t)i;
		if (!image_read(r->img, at, b, sizeof b))
			return;
		if (b[0] != SETUP_FINALLY || b[1] < 0 || b[2] <= 0)
			continue;
		/* A `try` in the block has the same depth. */
		if (out->n && out->v[out->n - 1].depth == (uint32_t)b[2])
			continue;
		int64_t statement = statement_of(r, f, (uint64_t)b[1] * (uint64_t)l->jump_unit);
		if (statement >= 0)
			out->v[out->n++] = (struct block){
				(uint32_t)b[2], code_line(f->code, l, statement) };
	}
}

/* ---- whose exit method ---- */

/* Says whether a name is that of an exit method, and of which statement. */
static bool exit_name(struct reader *r, uint64_t name, bool *sync)
{
	*sync = str_is(r, name, "__exit__");
	return *sync || str_is(r, name, "__aexit__");
}

static bool exit_c_name(struct reader *r, uint64_t name, bool *sync)
{
	const char *s = name ? image_str(r->img, name, 16) : NULL;
	*sync = s && strcmp(s, "__exit__") == 0;
	return *sync || (s && strcmp(s, "__aexit__") == 0);
}

static bool is_exit_function(struct reader *r, uint64_t fn, bool *sync)
{
	const struct py_layout *l = r->l;
	const struct type_info *t = object_type(r, fn);
	if (t && t->kind == KIND_FUNCTION)
		return exit_name(r, field_at(r, fn, l->function_name), sync);
	/* PyDescrObject: d_type, d_name after the header (Include/descrobject.h). */
	if (t && strcmp(t->name, "method_descriptor") == 0)
		return exit_name(r, field_at(r, fn, l->object_size + 8), sync);
	return false;
}

/* The object that a value, an exit method, is bound to; 0 when it is none. */
static uint64_t bound_to(struct reader *r, uint64_t value, bool *sync)
{
	const struct py_layout *l = r->l;
	switch (object_kind(r, value)) {
	case KIND_METHOD:
		if (!is_exit_function(r, field_at(r, value, l->method_function), sync))
			return 0;
		return field_at(r, value, l->method_self);
	case KIND_CFUNCTION: /* PyMethodDef.ml_name comes first */
		if (!exit_c_name(r, field_at(r, field_at(r, value, l->cfunction_def), 0), sync))
			return 0;
		return field_at(r, value, l->cfunction_self);
	default:
		return 0;
	}
}

/* The manager kept by the two values on top of a depth; 0: none is. */
static uint64_t kept_by(struct reader *r, uint64_t below, uint64_t top, bool *sync)
{
	uint64_t manager = top ? bound_to(r, top, sync) : 0;
	if (manager || !below)
		return manager;
	if (!top)
		return bound_to(r, below, sync);
	return is_exit_function(r, below, sync) ? top : 0;
}

static uint64_t manager_at(struct reader *r, const struct pyframe *f, uint32_t depth, bool *sync)
{
	uint64_t below = depth >= 2 ? frame_stack_slot(r, f, depth - 2) : 0;
	return kept_by(r, below, frame_stack_slot(r, f, depth - 1), sync);
}

/* Whether a frame that is suspended in an await waits for an __aenter__. */
static bool in_aenter(struct reader *r, const struct pyframe *f)
{
	const struct py_layout *l = r->l;
	uint8_t op[2];
	if (f->lasti < 0)
		return false;
	if (l->frame_valuestack >= 0) { /* YIELD_FROM's next says */
		size_t n;
		const uint8_t *code = bytes_at(r, field_at(r, f->code_addr, l->code_code), &n);
		return code && (size_t)f->lasti + 4 < n && code[f->lasti + 4] == l->op_setup_async_with;
	}
	int64_t at = f->lasti - 2ll * l->get_awaitable_back;
	return at >= 0 && image_read(r->img, frame_instructions(r, f) + (uint64_t)at, op, sizeof op) &&
	       op[0] == l->op_get_awaitable && op[1] == 1;
}

static bool entered(struct reader *r, const struct pyframe *f, struct frame_context *out)
{
	int depth = r->l->yf_depth > 0 ? r->l->yf_depth : 1;
	if (!in_aenter(r, f))
		return false;
	uint64_t top = frame_stack_peek(r, f->addr, depth + 1), below = frame_stack_peek(r, f->addr, depth + 2);
	*out = (struct frame_context){ .entering = true, .line = code_line(f->code, r->l, f->lasti) };
	out->manager = kept_by(r, below, top, &out->sync);
	return out->manager != 0;
}

size_t frame_contexts(struct reader *r, const struct pyframe *f, bool suspended,
		      struct frame_context out[FRAME_CONTEXTS_MAX])
{
	size_t n = 0;
	struct blocks own;
	const struct blocks *b = &own;
	if (!f->code || f->lasti < 0)
		return 0;
	if (r->l->frame_blockstack >= 0)
		blocks_of_frame(r, f, &own);
	else
		b = blocks_by_table(r, f);
	for (size_t i = 0; i < b->n && n < FRAME_CONTEXTS_MAX - 1; i++) {
		struct frame_context c = { .line = b->v[i].line };
		c.manager = manager_at(r, f, b->v[i].depth, &c.sync);
		if (c.manager)
			out[n++] = c;
	}
	if (suspended && entered(r, f, &out[n]))
		n++;
	return n;
}

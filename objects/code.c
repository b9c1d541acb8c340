/* Code objects and frames. Sources: Include/cpython/code.h, Include/frameobject.h and
 * Include/internal/pycore_frame.h, pycore_interpframe.h of each version. */
#include "objects/code.h"

#include <string.h>

#define STACK_MAX (1 << 20)

const struct code *code_at(struct reader *r, uint64_t addr)
{
	uint64_t known;
	if (map_get(&r->codes, addr, &known))
		return (const struct code *)(uintptr_t)known;
	const struct py_layout *l = r->l;
	struct code *c = NULL;
	if (object_kind(r, addr) == KIND_CODE && (c = arena_alloc(r->arena, sizeof *c))) {
		c->addr = addr;
		c->name = str_at(r, field_at(r, addr, l->code_name));
		c->file = str_at(r, field_at(r, addr, l->code_filename));
		c->qualname = str_at(r, field_at(r, addr, l->code_qualname));
		if (!c->qualname)
			c->qualname = c->name;
		image_i32(r->img, addr + (uint64_t)l->code_firstlineno, &c->firstlineno);
		image_i32(r->img, addr + (uint64_t)l->code_flags, &c->flags);
		if (l->code_nlocalsplus >= 0)
			image_i32(r->img, addr + (uint64_t)l->code_nlocalsplus, &c->nlocalsplus);
		c->table = bytes_at(r, field_at(r, addr, l->code_linetable), &c->table_len);
	}
	if (addr)
		map_set(&r->codes, addr, (uint64_t)(uintptr_t)c);
	return c;
}

uint64_t frame_instructions(struct reader *r, const struct pyframe *f)
{
	const struct py_layout *l = r->l;
	int32_t index;
	if (l->code_tlbc >= 0 && l->iframe_tlbc_index >= 0 &&
	    image_i32(r->img, f->addr + (uint64_t)l->iframe_tlbc_index, &index) && index > 0) {
		uint64_t array = field_at(r, f->code_addr, l->code_tlbc);
		int64_t size = (int64_t)field_at(r, array, 0);
		uint64_t copy = index < size ? field_at(r, array + 8 + 8 * (uint64_t)index, 0) : 0;
		if (copy)
			return copy;
	}
	return f->code_addr + (uint64_t)l->code_adaptive;
}

static bool frame_read_object(struct reader *r, uint64_t addr, struct pyframe *f)
{
	const struct py_layout *l = r->l;
	int32_t lasti;
	f->previous = field_at(r, addr, l->frame_back);
	f->code_addr = field_at(r, addr, l->frame_code);
	f->code = code_at(r, f->code_addr);
	if (!f->code || !image_i32(r->img, addr + (uint64_t)l->frame_lasti, &lasti))
		return false;
	f->lasti = lasti < 0 ? -1 : (int64_t)lasti * l->jump_unit;
	return true;
}

bool frame_read(struct reader *r, uint64_t addr, struct pyframe *f)
{
	const struct py_layout *l = r->l;
	*f = (struct pyframe){ .addr = addr, .lasti = -1, .owner = -1 };
	if (!addr || addr % 8)
		return false;
	if (l->frame_objects)
		return frame_read_object(r, addr, f);
	uint64_t exec, instr;
	if (!image_u64(r->img, addr + (uint64_t)l->iframe_executable, &exec) ||
	    !image_u64(r->img, addr + (uint64_t)l->iframe_instr, &instr))
		return false;
	uint8_t owner;
	if (l->iframe_owner >= 0 && image_u8(r->img, addr + (uint64_t)l->iframe_owner, &owner))
		f->owner = owner;
	f->previous = field_at(r, addr, l->iframe_previous);
	f->code_addr = stackref_ptr(r, exec);
	if (!f->code_addr)
		return false; /* a live frame always runs something: these are zeros in place of it */
	if ((l->owner_cstack >= 0 && f->owner == l->owner_cstack) ||
	    (l->owner_interpreter >= 0 && f->owner == l->owner_interpreter))
		return true;
	f->code = code_at(r, f->code_addr);
	if (f->code) {
		int64_t at = (int64_t)(instr - frame_instructions(r, f));
		f->lasti = at >= 0 && at < 1ll << 31 ? at : -1;
	}
	return true;
}

uint64_t frame_stack_peek(struct reader *r, uint64_t addr, int depth)
{
	const struct py_layout *l = r->l;
	if (l->iframe_stackpointer >= 0) {
		uint64_t sp = field_at(r, addr, l->iframe_stackpointer);
		if (sp <= addr + (uint64_t)l->iframe_localsplus || sp - addr > STACK_MAX)
			return 0;
		return stackref_ptr(r, field_at(r, sp - 8 * (uint64_t)depth, 0));
	}
	if (l->iframe_stacktop >= 0) {
		int32_t top;
		if (!image_i32(r->img, addr + (uint64_t)l->iframe_stacktop, &top) || top < depth ||
		    top > STACK_MAX)
			return 0;
		uint64_t slot = addr + (uint64_t)l->iframe_localsplus + 8 * (uint64_t)(top - depth);
		return field_at(r, slot, 0);
	}
	if (l->frame_stacktop >= 0) {
		uint64_t top = field_at(r, addr, l->frame_stacktop);
		return top ? field_at(r, top - 8 * (uint64_t)depth, 0) : 0;
	}
	int32_t n;
	if (!image_i32(r->img, addr + (uint64_t)l->frame_stackdepth, &n) || n < depth || n > STACK_MAX)
		return 0;
	uint64_t stack = field_at(r, addr, l->frame_valuestack);
	return stack ? field_at(r, stack + 8 * (uint64_t)(n - depth), 0) : 0;
}

/* Where a frame's value stack begins, 0 unknown. */
static uint64_t stack_base(struct reader *r, const struct pyframe *f)
{
	const struct py_layout *l = r->l;
	if (l->frame_valuestack >= 0)
		return field_at(r, f->addr, l->frame_valuestack);
	if (!f->code || f->code->nlocalsplus < 0 || f->code->nlocalsplus > STACK_MAX)
		return 0;
	return f->addr + (uint64_t)l->iframe_localsplus + 8 * (uint64_t)f->code->nlocalsplus;
}

size_t frame_stack_depth(struct reader *r, const struct pyframe *f)
{
	const struct py_layout *l = r->l;
	uint64_t base = stack_base(r, f), top = 0;
	int32_t n = 0;
	if (l->iframe_stackpointer >= 0)
		top = field_at(r, f->addr, l->iframe_stackpointer);
	else if (l->iframe_stacktop >= 0 && image_i32(r->img, f->addr + (uint64_t)l->iframe_stacktop, &n))
		top = n > 0 ? f->addr + (uint64_t)l->iframe_localsplus + 8 * (uint64_t)n : 0;
	else if (l->frame_stacktop >= 0)
		top = field_at(r, f->addr, l->frame_stacktop);
	else if (l->frame_stackdepth >= 0 && image_i32(r->img, f->addr + (uint64_t)l->frame_stackdepth, &n))
		top = n > 0 ? base + 8 * (uint64_t)n : 0;
	return base && top > base && top - base < 8ull * STACK_MAX ? (top - base) / 8 : 0;
}

uint64_t frame_stack_slot(struct reader *r, const struct pyframe *f, size_t index)
{
	uint64_t base = index > STACK_MAX ? 0 : stack_base(r, f);
	return base ? stackref_ptr(r, field_at(r, base + 8 * index, 0)) : 0;
}

bool frame_in_await(struct reader *r, const struct pyframe *f)
{
	const struct py_layout *l = r->l;
	uint8_t next[2];
	if (!f->code || f->lasti < 0)
		return false;
	if (l->frame_objects) {
		size_t n;
		const uint8_t *code = bytes_at(r, field_at(r, f->code_addr, l->code_code), &n);
		return code && (size_t)f->lasti + 2 < n && code[f->lasti + 2] == l->op_yield_from;
	}
	if (!image_read(r->img, frame_instructions(r, f) + (uint64_t)f->lasti + 2, next, sizeof next))
		return false;
	bool resume = next[0] == l->op_resume || next[0] == l->op_resume_alt;
	return resume && next[1] >= 2;
}

/* co_names lies before co_exceptiontable from 3.11 on, and before co_varnames until then
 * (Include/cpython/code.h of each version). */
uint64_t code_names(struct reader *r, uint64_t code)
{
	const struct py_layout *l = r->l;
	int32_t next = l->code_exceptiontable >= 0 ? l->code_exceptiontable : l->code_varnames;
	return next >= 8 ? field_at(r, code, next - 8) : 0;
}

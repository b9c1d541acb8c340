/* Slots: PyFrameObject.f_localsplus up to 3.10 (co_varnames, co_cellvars, co_freevars),
 * _PyInterpreterFrame.localsplus from 3.11 on (co_localsplusnames, co_localspluskinds:
 * Include/internal/pycore_code.h). */
#include "objects/locals.h"

#include <string.h>

#define LOCALS_MAX 4096

bool locals_begin(struct reader *r, const struct pyframe *f, struct locals_iter *it)
{
	const struct py_layout *l = r->l;
	*it = (struct locals_iter){ 0 };
	if (!f->addr || !f->code_addr || !f->code)
		return false;
	if (l->code_localsplusnames >= 0) {
		it->names[0] = field_at(r, f->code_addr, l->code_localsplusnames);
		it->kinds = field_at(r, f->code_addr, l->code_localspluskinds);
		it->slots = f->addr + (uint64_t)l->iframe_localsplus;
	} else {
		it->names[0] = field_at(r, f->code_addr, l->code_varnames);
		it->names[1] = field_at(r, f->code_addr, l->code_cellvars);
		it->names[2] = field_at(r, f->code_addr, l->code_freevars);
		it->slots = f->addr + (uint64_t)l->frame_localsplus;
	}
	for (int k = 0; k < 3; k++) {
		int64_t n = it->names[k] ? seq_len(r, it->names[k]) : 0;
		it->n[k] = n < 0 ? 0 : n > LOCALS_MAX ? LOCALS_MAX : n;
	}
	return true;
}

bool locals_next(struct reader *r, struct locals_iter *it, const char **name, uint64_t *value)
{
	while (it->i < it->n[0] + it->n[1] + it->n[2]) {
		int64_t i = it->i++, k = i;
		int which = 0;
		while (which < 2 && k >= it->n[which])
			k -= it->n[which++];
		uint64_t v = stackref_ptr(r, field_at(r, it->slots + 8 * (uint64_t)i, 0));
		if (v && object_kind(r, v) == KIND_CELL)
			v = field_at(r, v, r->l->cell_ref);
		const char *s = v ? str_at(r, seq_item(r, it->names[which], k)) : NULL;
		if (!s)
			continue;
		*name = s;
		*value = v;
		return true;
	}
	return false;
}

uint64_t local_get(struct reader *r, const struct pyframe *f, const char *name)
{
	struct locals_iter it;
	const char *s;
	uint64_t v;
	if (!locals_begin(r, f, &it))
		return 0;
	while (locals_next(r, &it, &s, &v))
		if (strcmp(s, name) == 0)
			return v;
	return 0;
}

int64_t local_offset(struct reader *r, const struct pyframe *f, const char *name)
{
	struct locals_iter it;
	if (!locals_begin(r, f, &it))
		return -1;
	for (int64_t i = 0; i < it.n[0]; i++)
		if (str_is(r, seq_item(r, it.names[0], i), name))
			return (int64_t)(it.slots - f->addr) + 8 * i;
	return -1;
}

#include "unwind/entries.h"

#include <stdlib.h>

#include "base/oom.h"

static bool is_shim(const struct py_layout *l, const struct pyframe *f)
{
	return f->owner >= 0 && (f->owner == l->owner_cstack || f->owner == l->owner_interpreter);
}

/* 3.12 on: an entry ends with its shim. */
static void by_shims(struct reader *r, const struct pystack *ps, struct pyentries *out)
{
	size_t first = 0;
	for (size_t i = 0; i < ps->n; i++) {
		if (!is_shim(r->l, &ps->frames[i]))
			continue;
		out->v[out->n++] = (struct pyentry){ ps->frames[i].addr, first, i - first };
		first = i + 1;
	}
	out->anchored = first == ps->n;
	if (!out->anchored)
		out->v[out->n++] = (struct pyentry){ 0, first, ps->n - first };
}

/* 3.11: an entry ends with the frame that says so; before, every frame is one. */
static void by_frames(struct reader *r, const struct pystack *ps, struct pyentries *out)
{
	size_t first = 0;
	for (size_t i = 0; i < ps->n; i++) {
		uint8_t entry = 1;
		if (r->l->iframe_is_entry >= 0)
			image_u8(r->img, ps->frames[i].addr + (uint64_t)r->l->iframe_is_entry, &entry);
		if (!entry && i + 1 < ps->n)
			continue;
		out->v[out->n++] = (struct pyentry){ 0, first, i + 1 - first };
		first = i + 1;
	}
}

/* How far into a thread state its own CFrame, the end of the chain, may be. What that
 * one calls the previous is no more than what oom_check(malloc()) gave (3.10). */
#define TSTATE_SIZE 4096

/* The CFrames of a thread, innermost first, as many as fit in v. */
static size_t cframes(struct reader *r, uint64_t tstate, uint64_t *v, size_t max)
{
	const struct py_layout *l = r->l;
	/* struct _cframe: `previous` is after current_frame; 3.10 has an int there instead. */
	int32_t previous = l->cframe_current_frame >= 0 ? l->cframe_current_frame + 8 : 8;
	size_t n = 0;
	for (uint64_t at = field_at(r, tstate, l->tstate_cframe); at && n < max;) {
		if (at - tstate < TSTATE_SIZE)
			break;
		v[n++] = at;
		at = field_at(r, at, previous);
	}
	return n;
}

/* 3.11: each CFrame says which frame was its innermost. Others among them are of calls
 * that have no frame yet, and those that greenlets put at the end of their chains. */
static bool match_cframes(struct reader *r, const struct pystack *ps, struct pyentries *out, const uint64_t *v,
			  size_t n)
{
	size_t k = 0;
	for (size_t i = 0; i < out->n; i++, k++) {
		uint64_t frame = ps->frames[out->v[i].first].addr;
		while (k < n && field_at(r, v[k], r->l->cframe_current_frame) != frame)
			k++;
		if (k == n)
			return false;
		out->v[i].anchor = v[k];
	}
	return true;
}

static bool anchor_by_cframes(struct reader *r, uint64_t tstate, const struct pystack *ps, struct pyentries *out)
{
	size_t max = out->n + 8;
	uint64_t *v = oom_check(calloc(max, sizeof *v));
	if (!v)
		return false;
	size_t n = cframes(r, tstate, v, max);
	if (r->l->cframe_current_frame >= 0) {
		out->anchored = match_cframes(r, ps, out, v, n);
	} else if (n == out->n) { /* 3.10: if there are more, it does not say of what */
		for (size_t i = 0; i < n; i++)
			out->v[i].anchor = v[i];
		out->anchored = true;
	}
	free(v);
	return true;
}

bool pyentries_read(struct reader *r, uint64_t tstate, const struct pystack *ps,
		    struct pyentries *out)
{
	*out = (struct pyentries){ 0 };
	out->v = arena_array(r->arena, ps->n + 1, sizeof *out->v);
	if (!out->v)
		return false;
	if (r->l->entry_shims) {
		by_shims(r, ps, out);
		return true;
	}
	by_frames(r, ps, out);
	return r->l->tstate_cframe < 0 || ps->broken || anchor_by_cframes(r, tstate, ps, out);
}

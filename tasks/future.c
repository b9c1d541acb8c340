/* Futures and tasks of any make: _asyncio's by offset, pure-Python and foreign ones by
 * the attribute names of Lib/asyncio/futures.py and tasks.py. */
#include "tasks/walk.h"

#define CALLBACKS_MAX (1 << 22)

bool is_task(enum type_kind k)
{
	return k == KIND_TASK || k == KIND_PYTASK;
}

bool is_future(enum type_kind k)
{
	return is_task(k) || k == KIND_FUTURE || k == KIND_PYFUTURE;
}

static bool in_c(enum type_kind k)
{
	return k == KIND_TASK || k == KIND_FUTURE;
}

uint64_t future_field(struct walk *w, uint64_t f, int32_t offset, const char *name)
{
	uint64_t v = in_c(object_kind(&w->r, f)) ? field_at(&w->r, f, offset)
						 : attr_get(&w->r, f, name);
	return is_none(&w->r, v) ? 0 : v;
}

enum future_state future_state(struct walk *w, uint64_t f)
{
	enum type_kind k = object_kind(&w->r, f);
	if (in_c(k)) {
		uint32_t state = 0;
		if (w->r.l->future_state < 0)
			return FUTURE_UNKNOWN;
		bool ok = image_read(w->r.img, f + (uint64_t)w->r.l->future_state, &state,
				     (size_t)w->r.l->future_state_width);
		return ok && state <= FUTURE_FINISHED ? (enum future_state)state : FUTURE_UNKNOWN;
	}
	uint64_t s = attr_get(&w->r, f, "_state");
	if (str_is(&w->r, s, "PENDING"))
		return FUTURE_PENDING;
	if (str_is(&w->r, s, "CANCELLED"))
		return FUTURE_CANCELLED;
	return str_is(&w->r, s, "FINISHED") ? FUTURE_FINISHED : FUTURE_UNKNOWN;
}

void callbacks_begin(struct walk *w, uint64_t f, struct callback_iter *it)
{
	*it = (struct callback_iter){ 0 };
	if (in_c(object_kind(&w->r, f)))
		it->first = field_at(&w->r, f, w->r.l->future_callback0);
	it->list = future_field(w, f, w->r.l->future_callbacks, "_callbacks");
	it->n = seq_len(&w->r, it->list);
	if (it->n > CALLBACKS_MAX)
		w->cut_lists++;
	if (it->n > CALLBACKS_MAX)
		it->n = CALLBACKS_MAX;
}

bool callbacks_next(struct walk *w, struct callback_iter *it, uint64_t *callback)
{
	if (it->first) {
		*callback = it->first;
		it->first = 0;
		return true;
	}
	if (it->i >= it->n)
		return false;
	/* (callback, context); where there is none the list is damaged, and its length too. */
	*callback = seq_item(&w->r, seq_item(&w->r, it->list, it->i++), 0);
	return *callback != 0;
}

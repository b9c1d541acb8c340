/* Tasks that no table lists: from 3.14 on a task leaves asyncio's lists when it is
 * done. The garbage collector still knows it: its generations are circular lists of
 * PyGC_Head { next, prev }, each in front of an object (Include/internal/
 * pycore_interp_structs.h; the pointers' two low bits are flags).
 *
 * Free-threaded, there are no such lists: the collector goes through the allocator's
 * pages. Here all memory is searched instead for what says of itself that it is a task
 * and tracked, a mark that an object loses before its memory is given back. */
#include "tasks/walk.h"

#define GENERATIONS 4            /* three, and the permanent one behind them */
#define OBJECTS_MAX (1ull << 28)
#define FLAGS 3ull
#define TRACKED 1u               /* _PyGC_BITS_TRACKED of Include/internal/pycore_gc.h */
#define ALIGNMENT 16             /* of objects, free-threaded */
#define SLICE (64u << 10)        /* MI_SEGMENT_SLICE_SIZE of Include/internal/mimalloc/mimalloc/types.h */

static void walk_generation(struct walk *w, uint64_t head, void (*found)(struct walk *, void *, uint64_t),
			    void *arg)
{
	uint64_t links[2], prev = head, node;
	if (!image_u64(w->r.img, head, &node) || !node)
		return;
	node &= ~FLAGS;
	for (uint64_t n = 0; node != head; n++) {
		if (!image_read(w->r.img, node, links, sizeof links) || (links[1] & ~FLAGS) != prev ||
		    n > OBJECTS_MAX) {
			walk_torn(w, "the garbage collector's lists are being changed");
			return;
		}
		if (walk_stop(w))
			return;
		if (is_task(object_kind(&w->r, node + sizeof links)))
			found(w, arg, node + sizeof links);
		prev = node;
		node = links[0] & ~FLAGS;
	}
}

/* The class of what may be an object; no class lies where nothing can be written. */
static bool class_of(struct walk *w, uint64_t addr, uint64_t *type)
{
	const struct mapping *m = addr && addr % 8 == 0 ? target_mapping(w->r.py->target, addr) : NULL;
	return m && m->write && image_u64(w->r.img, addr + (uint64_t)w->r.l->object_type, type);
}

static bool may_be_type(struct walk *w, uint64_t addr)
{
	uint64_t meta, of_meta;
	return class_of(w, addr, &meta) && (meta == w->r.py->type_type ||
					    (class_of(w, meta, &of_meta) && of_meta == w->r.py->type_type));
}

/* Those that are not are in asyncio's lists. */
static bool is_done(struct walk *w, uint64_t task)
{
	enum future_state s = future_state(w, task);
	return (s == FUTURE_CANCELLED || s == FUTURE_FINISHED) &&
	       object_type(&w->r, future_field(w, task, w->r.l->future_loop, "_loop"));
}

static void search_page(struct walk *w, uint64_t page, void (*found)(struct walk *, void *, uint64_t), void *arg)
{
	const struct py_layout *l = w->r.l;
	const uint8_t *bytes = image_at(w->r.img, page, IMAGE_PAGE);
	uint64_t type, last = 0;
	bool last_may = false;
	for (uint64_t at = 0; bytes && at < IMAGE_PAGE; at += ALIGNMENT) {
		if (!(bytes[at + (uint64_t)l->object_gc_bits] & TRACKED))
			continue;
		if (at + (uint64_t)l->object_type + sizeof type <= IMAGE_PAGE)
			memcpy(&type, bytes + at + l->object_type, sizeof type);
		else if (!image_u64(w->r.img, page + at + (uint64_t)l->object_type, &type))
			continue;
		if (type != last) {
			last = type;
			last_may = may_be_type(w, type);
		}
		if (last_may && is_task(object_kind(&w->r, page + at)) && is_done(w, page + at))
			found(w, arg, page + at);
	}
}

/* A page that was not copied was never written, or is not there. Of a reservation of
 * terabytes hardly any are: *page moves to the last of those that lie together. */
static bool have_page(struct walk *w, uint64_t *page)
{
	const struct image_range *r = image_range_at(w->r.img, *page);
	size_t i = r ? (*page - r->start) / IMAGE_PAGE : 0;
	if (!r || w->r.py->target->kind == TARGET_CORE)
		return r;
	if (!r->have[i / 64])
		*page += (63 - i % 64) * IMAGE_PAGE;
	return r->have[i / 64] >> (i % 64) & 1;
}

/* A core has gigabytes that the allocator keeps and never gave out. It fills its slices
 * from their beginning: where that is zero, there was nothing yet. */
static bool is_zero(struct walk *w, uint64_t page)
{
	static const uint8_t zeros[IMAGE_PAGE];
	const uint8_t *bytes = image_at(w->r.img, page, IMAGE_PAGE);
	return !bytes || memcmp(bytes, zeros, IMAGE_PAGE) == 0;
}

static void search_memory(struct walk *w, void (*found)(struct walk *, void *, uint64_t), void *arg)
{
	const struct target *t = w->r.py->target;
	uint64_t misses = w->r.img->misses, first = w->r.img->first_miss;
	for (size_t i = 0; i < t->nmappings; i++) {
		const struct mapping *m = &t->mappings[i];
		if (m->inode || !m->write || m->shared)
			continue;
		for (uint64_t page = m->start; page < m->end && !walk_stop(w); page += IMAGE_PAGE) {
			if (!have_page(w, &page))
				continue;
			if ((page % SLICE && page != m->start) || !is_zero(w, page))
				search_page(w, page, found, arg);
			else
				page |= SLICE - IMAGE_PAGE;
		}
	}
	/* What only looked like a pointer is no loss. */
	w->r.img->misses = misses;
	w->r.img->first_miss = first;
}

void walk_heap(struct walk *w, void (*found)(struct walk *, void *, uint64_t), void *arg)
{
	const struct py_layout *l = w->r.l;
	if (l->free_threaded && w->what & WALK_REHEARSAL)
		return;
	if (l->free_threaded && l->object_gc_bits >= 0 && w->what & WALK_WHOLE) {
		search_memory(w, found, arg);
		return;
	}
	if (l->free_threaded || l->interp_gc < 0 || l->gc_generations < 0 || l->gc_generation_size <= 0) {
		w->no_heap = true;
		return;
	}
	for (size_t i = 0; i < w->interps.n; i++)
		for (int g = 0; g < GENERATIONS; g++)
			walk_generation(w, w->interps.v[i].addr + (uint64_t)l->interp_gc +
					(uint64_t)l->gc_generations +
					(uint64_t)g * (uint64_t)l->gc_generation_size, found, arg);
}

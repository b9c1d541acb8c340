/* Tasks that no table lists: from 3.14 on a task leaves asyncio's lists when it is
 * done. The garbage collector still knows it: its generations are circular lists of
 * PyGC_Head { next, prev }, each in front of an object (Include/internal/
 * pycore_interp_structs.h; the pointers' two low bits are flags). */
#include "tasks/walk.h"

#define GENERATIONS 4            /* three, and the permanent one behind them */
#define OBJECTS_MAX (1ull << 28)
#define FLAGS 3ull

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

void walk_heap(struct walk *w, void (*found)(struct walk *, void *, uint64_t), void *arg)
{
	const struct py_layout *l = w->r.l;
	if (l->free_threaded || l->interp_gc < 0 || l->gc_generations < 0 || l->gc_generation_size <= 0) {
		w->no_heap = true;
		return;
	}
	for (size_t i = 0; i < w->ninterps; i++)
		for (int g = 0; g < GENERATIONS; g++)
			walk_generation(w, w->interps[i].addr + (uint64_t)l->interp_gc +
					(uint64_t)l->gc_generations +
					(uint64_t)g * (uint64_t)l->gc_generation_size, found, arg);
}

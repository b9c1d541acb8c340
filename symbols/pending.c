#include "symbols/pending.h"

#include "symbols/peek.h"
#include "symbols/tables.h"

/* MAXPENDINGCALLS_MAIN and MAXPENDINGCALLSLOOP_MAIN of Include/internal/
 * pycore_ceval_state.h, 3.13+: they follow npending as max and maxloop. */
#define MAX_MAIN 32
#define MAXLOOP_MAIN 0
#define MAX_INTERPRETER 300
#define MAXLOOP_INTERPRETER 100

static bool fits(const struct python *py, uint64_t queue, bool of_interpreter)
{
	const struct py_layout *l = &py->layout;
	struct image *img = py->target->image;
	int32_t count, first, last, max = l->pending_ncalls, maxloop = 0;
	uint64_t lock;
	if (!image_i32(img, queue + (uint64_t)l->pending_count, &count) ||
	    !image_i32(img, queue + (uint64_t)l->pending_first, &first) ||
	    !image_i32(img, queue + (uint64_t)l->pending_last, &last))
		return false;
	if (l->version.minor >= 13) {
		int32_t want = of_interpreter ? MAX_INTERPRETER : MAX_MAIN;
		int32_t loop = of_interpreter ? MAXLOOP_INTERPRETER : MAXLOOP_MAIN;
		if (!image_i32(img, queue + (uint64_t)l->pending_count + 4, &max) || max != want ||
		    !image_i32(img, queue + (uint64_t)l->pending_count + 8, &maxloop) || maxloop != loop)
			return false;
	} else if (!image_u64(img, queue + (uint64_t)l->pending_lock, &lock) || lock % 8 ||
		   !target_mapping(py->target, lock)) {
		return false; /* a PyThread_type_lock, allocated when Python begins */
	}
	return count >= 0 && count <= max && first >= 0 && first < l->pending_ncalls && last >= 0 &&
	       last < l->pending_ncalls;
}

void pending_settle(struct python *py)
{
	struct py_layout *l = &py->layout;
	if (l->interp_pending >= 0) {
		struct peek k = { py, py->target->image, l };
		uint64_t in = peek_main_interpreter(&k);
		if (!in || !fits(py, in + (uint64_t)l->interp_pending, true))
			l->interp_pending = -1;
	}
	if (l->runtime_pending < 0 || fits(py, py->runtime + (uint64_t)l->runtime_pending, false))
		return;
	l->runtime_pending = -1;
	for (const struct layout_table *const *p = layout_tables; *p; p++) {
		struct py_layout other;
		if ((*p)->minor != l->version.minor || (*p)->free_threaded != l->free_threaded)
			continue;
		layout_from_table(&other, *p);
		if (other.runtime_pending >= 0 &&
		    fits(py, py->runtime + (uint64_t)other.runtime_pending, false)) {
			l->runtime_pending = other.runtime_pending;
			return;
		}
	}
}

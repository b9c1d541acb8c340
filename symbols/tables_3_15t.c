/* CPython 3.15, free-threaded. From the headers of 3.15.2 as table_3_14t. */
#include "symbols/tables.h"

static const struct layout_item items_3_15t[] = {
	{ LF_runtime_audit_hooks, 10760 },
	{ LF_interp_audit_hooks, -1 },
	{ LF_tstate_recursion_remaining, 52 },
	{ LF_runtime_interpreters_head, 936 },
	{ LF_runtime_pending, 2976 },
	{ LF_interp_next, 7264 },
	{ LF_interp_id, 7272 },
	{ LF_interp_threads_head, 7336 },
	{ LF_interp_threads_main, 7352 },
	{ LF_interp_modules, 7592 },
	{ LF_interp_sysdict, 7576 },
	{ LF_interp_builtins, 7584 },
	{ LF_interp_asyncio_tasks_head, 17256 },
	{ LF_interp_gc, 7400 },
	{ LF_gc_generations, 8 },
	{ LF_gc_collecting, 112 },
	{ LF_tstate_dict, 152 },
	{ LF_tstate_thread_id, 176 },
	{ LF_tstate_native_thread_id, 184 },
	{ LF_tstate_running_loop, 1024 },
	{ LF_tstate_running_task, 1032 },
	{ LF_tstate_asyncio_tasks_head, 1048 },
	{ LF_tstate_coroutine_origin_tracking_depth, 208 },
	{ LF_heaptype_qualname, 896 },
	{ LF_heaptype_cached_keys, 904 },
	{ LF_module_state, 40 },
	{ LF_module_size, 120 },
	{ LF_heaptype_size, 968 },
	{ LF_genstate_created, 0 },
	{ LF_genstate_suspended, 1 },
	{ LF_genstate_suspended_yf, 2 },
	{ LF_genstate_yf_locked, 3 },
	{ LF_genstate_executing, 4 },
	{ LF_genstate_completed, -1 },
	{ LF_genstate_cleared, 5 },
	{ LF_owner_cstack, -1 },
	/* by hand: as 3.15 */
	{ LF_yf_depth, 2 },
	{ LF_op_get_awaitable, 69 },
	{ LF_get_awaitable_back, 6 },
};

const struct layout_table table_3_15t = {
	.minor = 15,
	.micro_min = 1,
	.micro_max = LAYOUT_MICRO_ANY,
	.free_threaded = true,
	.base = &table_3_14t,
	LAYOUT_ITEMS(items_3_15t),
};

/* As 3.14.8t: the allocator's part was larger. */
static const struct layout_item items_3_15_0t[] = {
	{ LF_interp_asyncio_tasks_head, 17568 },
};

const struct layout_table table_3_15_0t = {
	.minor = 15,
	.micro_max = 0,
	.free_threaded = true,
	.base = &table_3_15t,
	LAYOUT_ITEMS(items_3_15_0t),
};

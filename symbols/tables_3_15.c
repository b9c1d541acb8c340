/* CPython 3.15: states of generators begin at 0. From 3.15.2, and its debug build;
 * the same as 3.15.0. */
#include "symbols/tables.h"

static const struct layout_item items_3_15[] = {
	{ LF_runtime_audit_hooks, 10760 },
	{ LF_interp_audit_hooks, 10888 },
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
	{ LF_interp_asyncio_tasks_head, 10856 },
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
	{ LF_heaptype_qualname, 880 },
	{ LF_heaptype_cached_keys, 888 },
	{ LF_module_state, 24 },
	{ LF_module_size, 104 },
	{ LF_heaptype_size, 944 },
	{ LF_genstate_created, 0 },
	{ LF_genstate_suspended, 1 },
	{ LF_genstate_suspended_yf, 2 },
	{ LF_genstate_yf_locked, 3 },
	{ LF_genstate_executing, 4 },
	{ LF_genstate_completed, -1 },
	{ LF_genstate_cleared, 5 },
	{ LF_owner_cstack, -1 },
	/* by hand: a null reference lies above what is awaited */
	{ LF_yf_depth, 2 },
	{ LF_op_get_awaitable, 69 },
	{ LF_get_awaitable_back, 6 },
};

const struct layout_table table_3_15 = {
	.minor = 15,
	.micro_max = LAYOUT_MICRO_ANY,
	.base = &table_3_14,
	LAYOUT_ITEMS(items_3_15),
};

static const struct layout_item items_3_15_debug[] = {
	{ LF_runtime_audit_hooks, 26760 },
	{ LF_interp_audit_hooks, 10896 },
	{ LF_runtime_pending, 18976 },
	{ LF_interp_asyncio_tasks_head, 10864 },
};

const struct layout_table table_3_15_debug = {
	.minor = 15,
	.micro_max = LAYOUT_MICRO_ANY,
	.debug_build = true,
	.base = &table_3_15,
	LAYOUT_ITEMS(items_3_15_debug),
};

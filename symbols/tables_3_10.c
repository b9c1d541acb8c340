/* CPython 3.10: frames know their state and depth; the genstate constants are those of
 * frame_state here. From 3.10.13. */
#include "symbols/tables.h"

static const struct layout_item items_3_10[] = {
	{ LF_interp_eval_breaker, 68 },
	{ LF_tstate_cframe, 48 },
	{ LF_heaptype_qualname, 864 },
	{ LF_heaptype_cached_keys, 872 },
	{ LF_function_code, 48 },
	{ LF_function_name, 32 },
	{ LF_function_qualname, 40 },
	{ LF_function_closure, 72 },
	{ LF_function_module, 104 },
	{ LF_frame_lasti, 96 },
	{ LF_frame_stacktop, -1 },
	{ LF_frame_stackdepth, 80 },
	{ LF_frame_state, 108 },
	{ LF_frame_localsplus, 352 },
	{ LF_gen_code, 24 },
	{ LF_gen_running, -1 },
	{ LF_gen_name, 40 },
	{ LF_gen_qualname, 48 },
	{ LF_coro_origin, 88 },
	{ LF_future_exception_tb, 56 },
	{ LF_future_result, 64 },
	{ LF_future_source_tb, 72 },
	{ LF_future_cancel_msg, 80 },
	{ LF_future_state, 88 },
	{ LF_future_log_tb, 92 },
	{ LF_task_must_cancel, 184 },
	{ LF_task_fut_waiter, 152 },
	{ LF_task_coro, 160 },
	{ LF_task_name, 168 },
	{ LF_task_context, 176 },
	{ LF_task_log_destroy_pending, 188 },
	{ LF_genstate_created, -2 },
	{ LF_genstate_executing, 0 },
	{ LF_genstate_cleared, 4 },
};

const struct layout_table table_3_10 = {
	.minor = 10,
	.micro_max = LAYOUT_MICRO_ANY,
	.base = &table_3_9,
	LAYOUT_ITEMS(items_3_10),
};

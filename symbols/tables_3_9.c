/* CPython 3.9: pending calls and gc are in the interpreter. From 3.9.18; the same as 3.9.2. */
#include "symbols/tables.h"

static const struct layout_item items_3_9[] = {
	{ LF_runtime_tstate_current, 568 },
	{ LF_runtime_gc, -1 },
	{ LF_runtime_eval_breaker, -1 },
	{ LF_runtime_pending, -1 },
	{ LF_interp_id, 24 },
	{ LF_interp_modules, 856 },
	{ LF_interp_sysdict, 872 },
	{ LF_interp_builtins, 880 },
	{ LF_interp_eval_breaker, 72 },
	{ LF_interp_pending, 80 },
	{ LF_interp_gc, 616 },
	{ LF_pending_lock, 0 },
	{ LF_pending_count, 8 },
	{ LF_pending_calls, 16 },
	{ LF_pending_first, 528 },
	{ LF_pending_last, 532 },
	{ LF_heaptype_qualname, 856 },
	{ LF_heaptype_cached_keys, 864 },
	{ LF_future_cancel_msg, 72 },
	{ LF_future_state, 80 },
	{ LF_future_log_tb, 84 },
	{ LF_task_must_cancel, 176 },
	{ LF_task_fut_waiter, 144 },
	{ LF_task_coro, 152 },
	{ LF_task_name, 160 },
	{ LF_task_context, 168 },
	{ LF_task_log_destroy_pending, 180 },
	{ LF_future_size, 144 },
	{ LF_task_size, 184 },
};

const struct layout_table table_3_9 = {
	.minor = 9,
	.micro_max = LAYOUT_MICRO_ANY,
	.base = &table_3_8,
	LAYOUT_ITEMS(items_3_9),
};

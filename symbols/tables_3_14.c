/* CPython 3.14: tasks in linked lists, awaited_by, tagged references. From 3.14.10, and its
 * debug build; the sources of 3.14.5 to 3.14.8 say the same. Before those, three times
 * fields came into the middle of the runtime's states. */
#include "symbols/tables.h"

static const struct layout_item items_3_14[] = {
	{ LF_runtime_audit_hooks, 10640 },
	{ LF_interp_audit_hooks, 10912 },
	{ LF_tstate_recursion_remaining, 48 },
	{ LF_tstate_c_recursion_remaining, -1 },
	{ LF_runtime_interpreters_head, 808 },
	{ LF_runtime_pending, 2848 },
	{ LF_interp_next, 7272 },
	{ LF_interp_id, 7280 },
	{ LF_interp_threads_main, 7360 },
	{ LF_interp_modules, 7688 },
	{ LF_interp_sysdict, 7672 },
	{ LF_interp_builtins, 7680 },
	{ LF_interp_asyncio_tasks_head, 10880 },
	{ LF_interp_gc, 7408 },
	{ LF_gc_generations, 24 },
	{ LF_gc_collecting, 192 },
	{ LF_tstate_running_loop, 864 },
	{ LF_tstate_running_task, 872 },
	{ LF_tstate_asyncio_tasks_head, 880 },
	{ LF_tuple_items, 32 },
	{ LF_code_adaptive, 208 },
	{ LF_iframe_stacktop, -1 },
	{ LF_iframe_stackpointer, 64 },
	{ LF_iframe_owner, 74 },
	{ LF_iframe_localsplus, 80 },
	{ LF_future_state, 104 },
	{ LF_future_log_tb, 110 },
	{ LF_future_awaited_by, 96 },
	{ LF_future_awaited_by_is_set, 109 },
	{ LF_future_is_task, 108 },
	{ LF_task_must_cancel, 110 },
	{ LF_task_num_cancels, 112 },
	{ LF_task_fut_waiter, 120 },
	{ LF_task_coro, 128 },
	{ LF_task_name, 136 },
	{ LF_task_context, 144 },
	{ LF_task_node, 152 },
	{ LF_task_log_destroy_pending, 110 },
	{ LF_asyncio_state_non_asyncio_tasks, 48 },
	{ LF_asyncio_state_eager_tasks, 56 },
	{ LF_function_size, 152 },
	{ LF_heaptype_size, 936 },
	{ LF_future_size, 112 },
	{ LF_task_size, 168 },
	{ LF_owner_cstack, 4 },
	{ LF_owner_interpreter, 3 },
	/* by hand: Py_TAG_BITS of Include/internal/pycore_stackref.h; GET_AWAITABLE */
	{ LF_stackref_mask, 3 },
	{ LF_op_get_awaitable, 71 },
	/* by hand: FutureObj.fut_state was narrowed; Py_TAIL_CALL_INTERP */
	{ LF_future_state_width, 1 },
	{ LF_tail_calls, 1 },
};

const struct layout_table table_3_14 = {
	.minor = 14,
	.micro_min = 5,
	.micro_max = LAYOUT_MICRO_ANY,
	.base = &table_3_13_15,
	LAYOUT_ITEMS(items_3_14),
};

static const struct layout_item items_3_14_debug[] = {
	{ LF_runtime_audit_hooks, 26632 },
	{ LF_interp_audit_hooks, 10920 },
	{ LF_runtime_pending, 18840 },
	{ LF_interp_asyncio_tasks_head, 10888 },
};

const struct layout_table table_3_14_debug = {
	.minor = 14,
	.micro_min = 5,
	.micro_max = LAYOUT_MICRO_ANY,
	.debug_build = true,
	.base = &table_3_14,
	LAYOUT_ITEMS(items_3_14_debug),
};

static const struct layout_item items_3_14_4[] = {
	{ LF_interp_modules, 7664 },
	{ LF_interp_sysdict, 7648 },
	{ LF_interp_builtins, 7656 },
	{ LF_interp_asyncio_tasks_head, 10856 },
};

const struct layout_table table_3_14_4 = {
	.minor = 14,
	.micro_min = 4,
	.micro_max = 4,
	.base = &table_3_14,
	LAYOUT_ITEMS(items_3_14_4),
};

static const struct layout_item items_3_14_4_debug[] = {
	{ LF_runtime_pending, 18840 },
	{ LF_interp_asyncio_tasks_head, 10864 },
};

const struct layout_table table_3_14_4_debug = {
	.minor = 14,
	.micro_min = 4,
	.micro_max = 4,
	.debug_build = true,
	.base = &table_3_14_4,
	LAYOUT_ITEMS(items_3_14_4_debug),
};

static const struct layout_item items_3_14_3[] = {
	{ LF_interp_asyncio_tasks_head, 10848 },
	{ LF_tstate_running_loop, 856 },
	{ LF_tstate_running_task, 864 },
	{ LF_tstate_asyncio_tasks_head, 872 },
};

const struct layout_table table_3_14_3 = {
	.minor = 14,
	.micro_min = 3,
	.micro_max = 3,
	.base = &table_3_14_4,
	LAYOUT_ITEMS(items_3_14_3),
};

static const struct layout_item items_3_14_3_debug[] = {
	{ LF_runtime_pending, 18840 },
	{ LF_interp_asyncio_tasks_head, 10856 },
};

const struct layout_table table_3_14_3_debug = {
	.minor = 14,
	.micro_min = 3,
	.micro_max = 3,
	.debug_build = true,
	.base = &table_3_14_3,
	LAYOUT_ITEMS(items_3_14_3_debug),
};

static const struct layout_item items_3_14_2[] = {
	{ LF_runtime_pending, 2824 },
};

const struct layout_table table_3_14_2 = {
	.minor = 14,
	.micro_max = 2,
	.base = &table_3_14_3,
	LAYOUT_ITEMS(items_3_14_2),
};

static const struct layout_item items_3_14_2_debug[] = {
	{ LF_runtime_pending, 18816 },
	{ LF_interp_asyncio_tasks_head, 10856 },
};

const struct layout_table table_3_14_2_debug = {
	.minor = 14,
	.micro_max = 2,
	.debug_build = true,
	.base = &table_3_14_2,
	LAYOUT_ITEMS(items_3_14_2_debug),
};

/* CPython 3.13: instr_ptr, bit fields in tasks, an eval breaker for each thread. From 3.13.0,
 * 3.13.5 (PyGC_Head is aligned to 4 bytes, by compilers that go along), 3.13.12 (the runtime
 * grew) and 3.13.15 (so did thread states, in 3.13.13; the same as 3.13.18); and debug builds. */
#include "symbols/tables.h"

static const struct layout_item items_3_13[] = {
	{ LF_runtime_audit_hooks, 10424 },
	{ LF_interp_recursion_limit, 8 },
	{ LF_interp_audit_hooks, 10808 },
	{ LF_tstate_recursion_remaining, 44 },
	{ LF_tstate_c_recursion_remaining, 52 },
	{ LF_runtime_interpreters_head, 632 },
	{ LF_runtime_pending, 2640 },
	{ LF_interp_next, 7264 },
	{ LF_interp_id, 7272 },
	{ LF_interp_threads_head, 7344 },
	{ LF_interp_threads_main, 7352 },
	{ LF_interp_modules, 7656 },
	{ LF_interp_sysdict, 7640 },
	{ LF_interp_builtins, 7648 },
	{ LF_interp_eval_breaker, -1 },
	{ LF_interp_pending, 32 },
	{ LF_interp_gil, 16 },
	{ LF_interp_gc, 7400 },
	{ LF_tstate_dict, 128 },
	{ LF_tstate_thread_id, 152 },
	{ LF_tstate_native_thread_id, 160 },
	{ LF_tstate_cframe, -1 },
	{ LF_cframe_current_frame, -1 },
	{ LF_tstate_current_frame, 72 },
	{ LF_tstate_running_loop, 304 },
	{ LF_tstate_eval_breaker, 24 },
	{ LF_pending_count, 12 },
	{ LF_pending_first, 7224 },
	{ LF_pending_last, 7228 },
	{ LF_dictvalues_items, 8 },
	{ LF_dictvalues_valid, 3 },
	{ LF_code_adaptive, 200 },
	{ LF_future_cancelled_exc, 88 },
	{ LF_future_state, 96 },
	{ LF_future_log_tb, 100 },
	{ LF_task_must_cancel, 100 },
	{ LF_task_num_cancels, 104 },
	{ LF_task_fut_waiter, 112 },
	{ LF_task_coro, 120 },
	{ LF_task_name, 128 },
	{ LF_task_context, 136 },
	{ LF_task_log_destroy_pending, 100 },
	{ LF_heaptype_size, 928 },
	{ LF_future_size, 104 },
	{ LF_task_size, 144 },
	{ LF_task_must_cancel_mask, 4 },
	{ LF_future_log_tb_mask, 1 },
	{ LF_task_log_destroy_mask, 8 },
	{ LF_genstate_created, -3 },
	{ LF_genstate_suspended, -2 },
	{ LF_pending_call_size, 24 },
	{ LF_pending_ncalls, 300 },
	/* by hand: the state of a generator says what opcodes had to */
	{ LF_op_get_awaitable, 73 },
	{ LF_get_awaitable_back, 5 },
	{ LF_parked_locks, 1 },
	{ LF_managed_dict, MANAGED_DICT_INLINE },
	{ LF_simple_queue_ring, 1 },
	{ LF_op_resume, -1 },
	{ LF_op_send, -1 },
	{ LF_op_resume_alt, -1 },
};

const struct layout_table table_3_13 = {
	.minor = 13,
	.micro_max = 2,
	.base = &table_3_12,
	LAYOUT_ITEMS(items_3_13),
};

static const struct layout_item items_3_13_5[] = {
	{ LF_gc_generations, 20 },
};

const struct layout_table table_3_13_5 = {
	.minor = 13,
	.micro_min = 3,
	.micro_max = 11,
	.base = &table_3_13,
	LAYOUT_ITEMS(items_3_13_5),
};

static const struct layout_item items_3_13_12[] = {
	{ LF_runtime_audit_hooks, 10448 },
	{ LF_runtime_pending, 2664 },
};

const struct layout_table table_3_13_12 = {
	.minor = 13,
	.micro_min = 12,
	.micro_max = 12,
	.base = &table_3_13_5,
	LAYOUT_ITEMS(items_3_13_12),
};

static const struct layout_item items_3_13_15[] = {
	{ LF_tstate_running_loop, 312 },
};

const struct layout_table table_3_13_15 = {
	.minor = 13,
	.micro_min = 13,
	.micro_max = LAYOUT_MICRO_ANY,
	.base = &table_3_13_12,
	LAYOUT_ITEMS(items_3_13_15),
};

static const struct layout_item items_3_13_5_debug[] = {
	{ LF_runtime_audit_hooks, 26416 },
	{ LF_interp_audit_hooks, 10816 },
	{ LF_runtime_pending, 18632 },
};

const struct layout_table table_3_13_5_debug = {
	.minor = 13,
	.micro_max = 11,
	.debug_build = true,
	.base = &table_3_13_5,
	LAYOUT_ITEMS(items_3_13_5_debug),
};

static const struct layout_item items_3_13_12_debug[] = {
	{ LF_runtime_audit_hooks, 26440 },
	{ LF_interp_audit_hooks, 10816 },
	{ LF_runtime_pending, 18656 },
};

const struct layout_table table_3_13_12_debug = {
	.minor = 13,
	.micro_min = 12,
	.micro_max = 12,
	.debug_build = true,
	.base = &table_3_13_12,
	LAYOUT_ITEMS(items_3_13_12_debug),
};

static const struct layout_item items_3_13_15_debug[] = {
	{ LF_runtime_audit_hooks, 26440 },
	{ LF_interp_audit_hooks, 10816 },
	{ LF_runtime_pending, 18656 },
};

const struct layout_table table_3_13_15_debug = {
	.minor = 13,
	.micro_min = 13,
	.micro_max = LAYOUT_MICRO_ANY,
	.debug_build = true,
	.base = &table_3_13_15,
	LAYOUT_ITEMS(items_3_13_15_debug),
};

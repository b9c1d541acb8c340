/* Where one build of CPython keeps what: every offset and constant that the layers
 * above read through, by name. -1 means: this build has no such thing.
 *
 * A layout comes from the target's own debug offsets, from DWARF, or from the
 * tables in symbols/tables_*.c; `source` says which one decided. Offsets are bytes
 * from the start of the struct named in front; names follow CPython's own. */
#ifndef ASYNCMON_SYMBOLS_LAYOUT_H
#define ASYNCMON_SYMBOLS_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/* X(name): offsets, in bytes. */
#define LAYOUT_OFFSETS(X) \
	/* _PyRuntimeState */ \
	X(runtime_interpreters_head) X(runtime_tstate_current) /* gilstate.tstate_current, <= 3.11 */ \
	X(runtime_gc)                 /* 3.8; later in the interpreter */ \
	X(runtime_eval_breaker) X(runtime_pending) /* breaker 3.8; pending 3.8 and 3.12+ (main thread's) */ \
	X(runtime_recursion_limit)    /* 3.8; later in the interpreter */ \
	X(runtime_audit_hooks)        /* first struct _Py_AuditHookEntry, pointer */ \
	/* PyInterpreterState */ \
	X(interp_next) X(interp_id) X(interp_threads_head) X(interp_threads_main) X(interp_modules) \
	X(interp_sysdict) X(interp_builtins) \
	X(interp_eval_breaker) X(interp_pending) /* 3.9 to 3.12; 3.9+ */ \
	X(interp_recursion_limit)     /* int, 3.9, 3.10 */ \
	X(interp_eval_frame)          /* the function of the evaluation loop, <= 3.9 */ \
	X(interp_audit_hooks)         /* list of sys.addaudithook(), or NULL */ \
	X(interp_gil)                 /* ceval.gil, pointer, 3.12+ */ \
	X(interp_asyncio_tasks_head)  /* struct llist_node, 3.14+ */ \
	X(interp_gc)                  /* struct _gc_runtime_state inside */ \
	X(gil_last_holder) X(gil_locked) \
	X(gc_generations)             /* first generation's PyGC_Head in _gc_runtime_state */ \
	X(gc_generation_size) \
	X(gc_collecting)              /* int in the same: a collection is under way */ \
	/* PyThreadState */ \
	X(tstate_next) X(tstate_interp) X(tstate_dict) X(tstate_thread_id) X(tstate_native_thread_id) \
	X(tstate_frame)               /* PyFrameObject *, <= 3.10 */ \
	X(tstate_cframe)              /* 3.11, 3.12 */ \
	X(cframe_current_frame) \
	X(tstate_current_frame)       /* 3.13+ */ \
	X(tstate_running_loop) X(tstate_running_task) X(tstate_asyncio_tasks_head) /* 3.14+; loop 3.13+ */ \
	X(tstate_coroutine_origin_tracking_depth) \
	X(tstate_eval_breaker)        /* 3.13+ */ \
	X(tstate_recursion_depth)     /* int, <= 3.10 */ \
	X(tstate_recursion_remaining) /* int, 3.11+: of Python calls; */ \
	X(tstate_c_recursion_remaining) /* of C's, 3.12 and 3.13 */ \
	/* struct _pending_calls; calls is an array of { func, arg[, flags] } */ \
	X(pending_lock)               /* pointer to a lock <= 3.12, PyMutex byte 3.13+ */ \
	X(pending_count) X(pending_calls) X(pending_first) X(pending_last) \
	/* PyObject, PyVarObject, PyTypeObject, PyHeapTypeObject */ \
	X(object_size) X(object_refcnt) X(object_gc_bits) /* free-threaded */ X(object_type) X(var_size) \
	X(type_name) X(type_basicsize) X(type_itemsize) X(type_flags) X(type_dictoffset) \
	X(type_base) X(type_dict) X(heaptype_qualname) X(heaptype_cached_keys) \
	/* str, bytes, int, float */ \
	X(unicode_length) X(unicode_state) X(unicode_ascii_data) X(unicode_compact_data) \
	X(unicode_data)               /* data.any of a non-compact string */ \
	X(bytes_data) \
	X(long_tag)                   /* lv_tag, 3.12+; before: sign and count in var_size */ \
	X(long_digits) X(float_value) \
	/* tuple, list, set, deque */ \
	X(tuple_items) X(list_items) \
	X(set_used) X(set_mask) X(set_table) \
	X(deque_leftblock) X(deque_rightblock) X(deque_leftindex) X(deque_rightindex) \
	/* dict, PyDictKeysObject, PyDictValues */ \
	X(dict_used) X(dict_keys) X(dict_values) \
	X(dictkeys_size)              /* dk_size, <= 3.10 */ \
	X(dictkeys_log2_size) X(dictkeys_log2_index_bytes) X(dictkeys_kind) /* 3.11+ */ \
	X(dictkeys_nentries) X(dictkeys_indices) \
	X(dictvalues_items)           /* values[] in PyDictValues */ \
	X(dictvalues_valid)           /* 3.13+ */ \
	/* weakref, module, method, builtin, function, cell */ \
	X(weakref_object) X(module_dict) X(module_state) \
	X(method_function) X(method_self) \
	X(cfunction_def) X(cfunction_self) \
	X(function_code) X(function_name) X(function_qualname) X(function_closure) X(function_module) X(cell_ref) \
	/* PyCodeObject */ \
	X(code_filename) X(code_name) X(code_qualname) X(code_firstlineno) \
	X(code_linetable)             /* co_lnotab <= 3.9, co_linetable 3.10+ */ \
	X(code_exceptiontable)        /* 3.11+ */ \
	X(code_code)                  /* co_code (bytes object) <= 3.10 */ \
	X(code_adaptive)              /* co_code_adaptive[] 3.11+ */ \
	X(code_tlbc)                  /* free-threaded 3.14+: pointer to { size, entries[] } */ \
	X(code_argcount) X(code_kwonlyargcount) X(code_flags) X(code_nlocals) \
	X(code_varnames) X(code_cellvars) X(code_freevars)     /* <= 3.10 */ \
	X(code_localsplusnames) X(code_localspluskinds)        /* 3.11+ */ \
	X(code_nlocalsplus) \
	/* PyFrameObject, <= 3.10 */ \
	X(frame_back) X(frame_code) X(frame_lasti) X(frame_valuestack) \
	X(frame_stacktop)             /* <= 3.9 */ \
	X(frame_stackdepth) X(frame_state) /* 3.10 */ \
	X(frame_iblock) X(frame_blockstack) /* how many, and an array of PyTryBlock */ \
	X(frame_localsplus) \
	/* PyFrameObject, 3.11+ */ \
	X(frame_iframe)               /* f_frame */ \
	/* _PyInterpreterFrame, 3.11+ */ \
	X(iframe_previous) X(iframe_executable) X(iframe_instr) \
	X(iframe_stacktop)            /* int, 3.11 to 3.13 */ \
	X(iframe_stackpointer)        /* pointer, 3.14+ */ \
	X(iframe_owner) X(iframe_localsplus) X(iframe_tlbc_index) \
	X(iframe_is_entry)            /* 3.11 */ \
	/* PyGenObject (coroutines and async generators share the prefix) */ \
	X(gen_frame)                  /* PyFrameObject *, <= 3.10 */ \
	X(gen_iframe)                 /* _PyInterpreterFrame inside, 3.11+ */ \
	X(gen_state) X(gen_code)      /* gi_frame_state 3.11+; gi_code <= 3.10 */ \
	X(gen_running)                /* gi_running <= 3.10 (3.10: none) */ \
	X(gen_name) X(gen_qualname) X(coro_origin) \
	/* the hops between coroutines */ \
	X(coro_wrapper_coro) X(asend_gen) X(athrow_gen) X(futureiter_future) \
	/* FutureObj and TaskObj of _asyncio */ \
	X(future_loop) X(future_callback0) X(future_callbacks) X(future_exception) \
	X(future_exception_tb) X(future_result) X(future_source_tb) X(future_cancel_msg) \
	X(future_cancelled_exc)       /* 3.11+ */ \
	X(future_cancelled_tb)        /* traceback of the same, 3.9 and 3.10 */ \
	X(future_state) X(future_log_tb) X(future_awaited_by) X(future_awaited_by_is_set) X(future_is_task) \
	X(task_must_cancel) X(task_num_cancels) X(task_fut_waiter) X(task_coro) X(task_name) \
	X(task_context) X(task_node) X(task_tid) X(task_log_destroy_pending) \
	X(stepwrapper_task)           /* TaskStepMethWrapper.sw_task */ \
	X(asyncio_state_non_asyncio_tasks) X(asyncio_state_eager_tasks) /* 3.14+ */ \
	X(asyncio_state_task_type) X(asyncio_state_future_type) \
	/* sizes of structs, by which types are held against a layout */ \
	X(function_size) X(module_size) X(heaptype_size) X(dict_size) X(set_size) X(unicode_size) \
	X(future_size) X(task_size)

/* X(name): constants that differ between versions and are no offsets. */
#define LAYOUT_CONSTANTS(X) \
	X(unicode_kind_shift)     /* bit of `kind` in the state word; compact and ascii follow it */ \
	X(task_must_cancel_mask)  /* bit mask in the byte at task_must_cancel; 0xff.. for an int */ \
	X(future_log_tb_mask) \
	X(task_log_destroy_mask) \
	X(genstate_created) X(genstate_suspended) X(genstate_suspended_yf) X(genstate_yf_locked) \
	X(genstate_executing) X(genstate_completed) X(genstate_cleared) \
	X(owner_thread) X(owner_generator) X(owner_frame_object) X(owner_cstack) X(owner_interpreter) \
	X(stackref_mask)          /* bits to clear in a stack slot to get the pointer; 0: plain */ \
	X(yf_depth)               /* the awaited object is the yf_depth-th value from the stack's top */ \
	X(op_yield_from)          /* opcode YIELD_FROM, <= 3.10 */ \
	X(op_resume) X(op_send)   /* opcodes, 3.11 and 3.12 */ \
	X(op_resume_alt)          /* RESUME_QUICK 3.11, INSTRUMENTED_RESUME 3.12 */ \
	X(op_get_awaitable) X(op_setup_with) X(op_setup_async_with) /* the last two <= 3.10 */ \
	X(parked_locks)           /* 1: threads sleep for locks in entries of their own stacks, 3.13+ */ \
	X(jump_unit)              /* bytes that jumps and handlers count in, <= 3.10 */ \
	X(get_awaitable_back)     /* how many instructions of two bytes before the one that a frame \
				   * is suspended at its await's GET_AWAITABLE lies, 3.11+ */ \
	X(frame_objects)          /* 1: every frame is an object, <= 3.10 */ \
	X(entry_shims)            /* 1: a frame of its own marks where C called Python, 3.12+ */ \
	X(line_table)             /* enum line_table */ \
	X(managed_dict)           /* enum managed_dict */ \
	X(exception_notes)        /* bytes that notes take in an exception, 3.11+ */ \
	X(gen_exc_behind)         /* how far behind gen_qualname the handled exception is */ \
	X(future_state_width)     /* bytes */ \
	X(simple_queue_ring)      /* 1: _queue.SimpleQueue keeps a ring, 3.13+; 0: a list */ \
	X(tail_calls)             /* 1: the interpreter loop may be a function an instruction, 3.14+ */ \
	X(interp_types)           /* 1: every interpreter has types of its own, 3.12+ */ \
	X(pending_any_thread)     /* 1: any thread of an interpreter serves its queue, 3.12+ */ \
	X(pending_call_size) X(pending_ncalls) /* of struct _pending_calls.calls */

/* How a code object keeps the lines of its instructions: co_lnotab, PEP 626, PEP 657. */
enum line_table { LINE_TABLE_LNOTAB, LINE_TABLE_RANGES, LINE_TABLE_LOCATIONS };

/* Where an object with Py_TPFLAGS_MANAGED_DICT has its attributes: two words before it, one
 * word before it whose lowest bit says which, or a word before it and values inside of it. */
enum managed_dict { MANAGED_DICT_NONE, MANAGED_DICT_TWO_WORDS, MANAGED_DICT_TAGGED, MANAGED_DICT_INLINE };

enum layout_source { LAYOUT_TABLE, LAYOUT_DWARF, LAYOUT_DEBUG_OFFSETS };

struct py_version {
	uint8_t major, minor, micro;
	uint8_t level;            /* 0xA alpha, 0xB beta, 0xC candidate, 0xF final */
	uint8_t serial;
};

enum layout_field {
#define X(n) LF_##n,
	LAYOUT_OFFSETS(X)
	LAYOUT_CONSTANTS(X)
#undef X
	LAYOUT_NFIELDS
};

struct py_layout {
	struct py_version version;
	bool free_threaded, debug_build;
	enum layout_source source;
	union {
		struct {
#define X(n) int32_t n;
			LAYOUT_OFFSETS(X)
			LAYOUT_CONSTANTS(X)
#undef X
		};
		int32_t fields[LAYOUT_NFIELDS]; /* by enum layout_field */
	};
};

/* "debug-offsets", "dwarf" or "table". */
const char *layout_source_name(enum layout_source s);
/* "task_coro" for LF_task_coro. */
const char *layout_field_name(enum layout_field f);
/* The version in PY_VERSION_HEX, and back. */
struct py_version py_version_of_hex(uint32_t hex);
uint32_t py_version_hex(struct py_version v);

#endif

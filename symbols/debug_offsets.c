#include "symbols/debug_offsets.h"

#include <string.h>

struct debug_offset {
	uint16_t at;    /* in the target's struct */
	uint16_t field; /* enum layout_field */
};

/* struct _Py_DebugOffsets of Include/internal/pycore_runtime.h (3.13) and
 * pycore_debug_offsets.h (3.14, 3.15). */
static const struct debug_offset offsets_3_13[] = {
	{ 40, LF_runtime_interpreters_head },
	{ 56, LF_interp_id },
	{ 64, LF_interp_next },
	{ 72, LF_interp_threads_head },
	{ 80, LF_interp_gc },
	{ 88, LF_interp_modules },
	{ 96, LF_interp_sysdict },
	{ 104, LF_interp_builtins },
	{ 112, LF_interp_gil },
	{ 168, LF_tstate_next },
	{ 176, LF_tstate_interp },
	{ 184, LF_tstate_current_frame },
	{ 192, LF_tstate_thread_id },
	{ 200, LF_tstate_native_thread_id },
	{ 232, LF_iframe_previous },
	{ 240, LF_iframe_executable },
	{ 248, LF_iframe_instr },
	{ 256, LF_iframe_localsplus },
	{ 264, LF_iframe_owner },
	{ 280, LF_code_filename },
	{ 288, LF_code_name },
	{ 296, LF_code_qualname },
	{ 304, LF_code_linetable },
	{ 312, LF_code_firstlineno },
	{ 320, LF_code_argcount },
	{ 328, LF_code_localsplusnames },
	{ 336, LF_code_localspluskinds },
	{ 344, LF_code_adaptive },
	{ 352, LF_object_size },
	{ 360, LF_object_type },
	{ 376, LF_type_name },
	{ 392, LF_type_flags },
	{ 408, LF_tuple_items },
	{ 416, LF_var_size },
	{ 432, LF_list_items },
	{ 456, LF_dict_keys },
	{ 464, LF_dict_values },
	{ 480, LF_float_value },
	{ 496, LF_long_tag },
	{ 504, LF_long_digits },
	{ 528, LF_bytes_data },
	{ 544, LF_unicode_state },
	{ 552, LF_unicode_length },
	{ 560, LF_unicode_ascii_data },
	{ 576, LF_gc_collecting },
};

static const struct debug_offset offsets_3_14[] = {
	{ 40, LF_runtime_interpreters_head },
	{ 56, LF_interp_id },
	{ 64, LF_interp_next },
	{ 72, LF_interp_threads_head },
	{ 80, LF_interp_threads_main },
	{ 88, LF_interp_gc },
	{ 96, LF_interp_modules },
	{ 104, LF_interp_sysdict },
	{ 112, LF_interp_builtins },
	{ 120, LF_interp_gil },
	{ 192, LF_tstate_next },
	{ 200, LF_tstate_interp },
	{ 208, LF_tstate_current_frame },
	{ 216, LF_tstate_thread_id },
	{ 224, LF_tstate_native_thread_id },
	{ 256, LF_iframe_previous },
	{ 264, LF_iframe_executable },
	{ 272, LF_iframe_instr },
	{ 280, LF_iframe_localsplus },
	{ 288, LF_iframe_owner },
	{ 296, LF_iframe_stackpointer },
	{ 304, LF_iframe_tlbc_index },
	{ 320, LF_code_filename },
	{ 328, LF_code_name },
	{ 336, LF_code_qualname },
	{ 344, LF_code_linetable },
	{ 352, LF_code_firstlineno },
	{ 360, LF_code_argcount },
	{ 368, LF_code_localsplusnames },
	{ 376, LF_code_localspluskinds },
	{ 384, LF_code_adaptive },
	{ 392, LF_code_tlbc },
	{ 400, LF_object_size },
	{ 408, LF_object_type },
	{ 424, LF_type_name },
	{ 440, LF_type_flags },
	{ 456, LF_tuple_items },
	{ 464, LF_var_size },
	{ 480, LF_list_items },
	{ 504, LF_set_used },
	{ 512, LF_set_table },
	{ 520, LF_set_mask },
	{ 536, LF_dict_keys },
	{ 544, LF_dict_values },
	{ 560, LF_float_value },
	{ 576, LF_long_tag },
	{ 584, LF_long_digits },
	{ 608, LF_bytes_data },
	{ 624, LF_unicode_state },
	{ 632, LF_unicode_length },
	{ 640, LF_unicode_ascii_data },
	{ 656, LF_gc_collecting },
	{ 672, LF_gen_name },
	{ 680, LF_gen_iframe },
	{ 688, LF_gen_state },
	{ 712, LF_tstate_eval_breaker },
};

static const struct debug_offset offsets_3_15[] = {
	{ 40, LF_runtime_interpreters_head },
	{ 56, LF_interp_id },
	{ 64, LF_interp_next },
	{ 72, LF_interp_threads_head },
	{ 80, LF_interp_threads_main },
	{ 88, LF_interp_gc },
	{ 96, LF_interp_modules },
	{ 104, LF_interp_sysdict },
	{ 112, LF_interp_builtins },
	{ 120, LF_interp_gil },
	{ 192, LF_tstate_next },
	{ 200, LF_tstate_interp },
	{ 208, LF_tstate_current_frame },
	{ 240, LF_tstate_thread_id },
	{ 248, LF_tstate_native_thread_id },
	{ 320, LF_iframe_previous },
	{ 328, LF_iframe_executable },
	{ 336, LF_iframe_instr },
	{ 344, LF_iframe_localsplus },
	{ 352, LF_iframe_owner },
	{ 360, LF_iframe_stackpointer },
	{ 368, LF_iframe_tlbc_index },
	{ 384, LF_code_filename },
	{ 392, LF_code_name },
	{ 400, LF_code_qualname },
	{ 408, LF_code_linetable },
	{ 416, LF_code_firstlineno },
	{ 424, LF_code_argcount },
	{ 432, LF_code_localsplusnames },
	{ 440, LF_code_localspluskinds },
	{ 448, LF_code_adaptive },
	{ 456, LF_code_tlbc },
	{ 464, LF_object_size },
	{ 472, LF_object_type },
	{ 488, LF_type_name },
	{ 504, LF_type_flags },
	{ 552, LF_tuple_items },
	{ 560, LF_var_size },
	{ 576, LF_list_items },
	{ 600, LF_set_used },
	{ 608, LF_set_table },
	{ 616, LF_set_mask },
	{ 632, LF_dict_keys },
	{ 640, LF_dict_values },
	{ 656, LF_float_value },
	{ 672, LF_long_tag },
	{ 680, LF_long_digits },
	{ 704, LF_bytes_data },
	{ 720, LF_unicode_state },
	{ 728, LF_unicode_length },
	{ 736, LF_unicode_ascii_data },
	{ 760, LF_gc_collecting },
	{ 800, LF_gen_name },
	{ 808, LF_gen_iframe },
	{ 816, LF_gen_state },
	{ 840, LF_tstate_eval_breaker },
};

/* Values that are no offsets from the start of a struct; where they stand. */
static const struct debug_struct {
	uint16_t minor, size;
	uint16_t gil, gil_locked, gil_holder; /* in PyInterpreterState */
	uint16_t tstate_size;
	const struct debug_offset *fields;
	size_t nfields;
} structs[] = {
#define FIELDS(a) a, sizeof(a) / sizeof *(a)
	{ 13, 584, 120, 136, 144, 152, FIELDS(offsets_3_13) },
	{ 14, 760, 128, 144, 152, 176, FIELDS(offsets_3_14) },
	{ 15, 888, 128, 144, 152, 176, FIELDS(offsets_3_15) },
};

/* No struct that is read through has a megabyte. */
#define MAX_OFFSET (1u << 20)

struct head {
	char cookie[8];
	uint64_t version, free_threaded;
};

bool debug_offsets_version(struct image *img, uint64_t runtime, struct py_version *v,
			   bool *free_threaded)
{
	struct head h;
	if (!image_read(img, runtime, &h, sizeof h) || memcmp(h.cookie, "xdebugpy", 8) != 0)
		return false;
	*v = py_version_of_hex((uint32_t)h.version);
	*free_threaded = h.free_threaded != 0;
	return true;
}

static uint64_t value_at(const uint8_t *bytes, size_t at)
{
	uint64_t v;
	memcpy(&v, bytes + at, sizeof v);
	return v;
}

bool debug_offsets_apply(struct image *img, uint64_t runtime, struct py_layout *l)
{
	const struct debug_struct *s = NULL;
	for (size_t i = 0; i < sizeof structs / sizeof *structs; i++)
		if (structs[i].minor == l->version.minor)
			s = &structs[i];
	const uint8_t *b = s ? image_at(img, runtime, s->size) : NULL;
	if (!b)
		return false;
	struct py_layout n = *l;
	for (size_t i = 0; i < s->nfields; i++) {
		uint64_t v = value_at(b, s->fields[i].at);
		if (v >= MAX_OFFSET)
			return false;
		/* Builds without a feature say 0 where they have no such field. */
		if (v == 0 && l->fields[s->fields[i].field] == -1)
			continue;
		n.fields[s->fields[i].field] = (int32_t)v;
	}
	uint64_t gil = value_at(b, s->gil), locked = value_at(b, s->gil_locked);
	uint64_t holder = value_at(b, s->gil_holder);
	if (locked - gil >= MAX_OFFSET || holder - gil >= MAX_OFFSET)
		return false;
	n.gil_locked = (int32_t)(locked - gil);
	n.gil_last_holder = (int32_t)(holder - gil);
	/* 3.13 grew PyThreadState within the minor; what follows it in
	 * _PyThreadStateImpl moved along. */
	uint64_t tstate_size = value_at(b, s->tstate_size);
	if (l->version.minor == 13 && tstate_size < MAX_OFFSET)
		n.tstate_running_loop = (int32_t)tstate_size;
	n.source = LAYOUT_DEBUG_OFFSETS;
	*l = n;
	return true;
}

/* struct _Py_AsyncioModuleDebugOffsets of Modules/_asynciomodule.c, 3.14 and 3.15:
 * the sizes of interpreter and thread states stand at 56 and 72. */
static const struct debug_offset asyncio_offsets[] = {
	{ 0, LF_task_size },
	{ 8, LF_task_name },
	{ 16, LF_future_awaited_by },
	{ 24, LF_future_is_task },
	{ 32, LF_future_awaited_by_is_set },
	{ 40, LF_task_coro },
	{ 48, LF_task_node },
	{ 64, LF_interp_asyncio_tasks_head },
	{ 80, LF_tstate_running_loop },
	{ 88, LF_tstate_running_task },
	{ 96, LF_tstate_asyncio_tasks_head },
};
#define ASYNCIO_DEBUG_SIZE 104

bool asyncio_debug_apply(struct image *img, uint64_t addr, uint64_t size, struct py_layout *l)
{
	const uint8_t *b = size >= ASYNCIO_DEBUG_SIZE ? image_at(img, addr, ASYNCIO_DEBUG_SIZE) : NULL;
	struct py_layout n = *l;
	for (size_t i = 0; i < sizeof asyncio_offsets / sizeof *asyncio_offsets; i++) {
		uint64_t v = b ? value_at(b, asyncio_offsets[i].at) : 0;
		if (!v || v >= MAX_OFFSET)
			return false;
		n.fields[asyncio_offsets[i].field] = (int32_t)v;
	}
	*l = n;
	return true;
}

#include "symbols/layout.h"

static const char *const field_names[LAYOUT_NFIELDS] = {
#define X(n) #n,
	LAYOUT_OFFSETS(X)
	LAYOUT_CONSTANTS(X)
#undef X
};

const char *layout_field_name(enum layout_field f)
{
	return (unsigned)f < LAYOUT_NFIELDS ? field_names[f] : "?";
}

const char *layout_source_name(enum layout_source s)
{
	static const char *const names[] = {
		[LAYOUT_TABLE] = "table",
		[LAYOUT_DWARF] = "dwarf",
		[LAYOUT_DEBUG_OFFSETS] = "debug-offsets",
	};
	return names[s];
}

struct py_version py_version_of_hex(uint32_t hex)
{
	return (struct py_version){
		.major = (uint8_t)(hex >> 24),
		.minor = (uint8_t)(hex >> 16),
		.micro = (uint8_t)(hex >> 8),
		.level = hex >> 4 & 0xf,
		.serial = hex & 0xf,
	};
}

uint32_t py_version_hex(struct py_version v)
{
	return (uint32_t)v.major << 24 | (uint32_t)v.minor << 16 | (uint32_t)v.micro << 8 |
	       (uint32_t)(v.level & 0xf) << 4 | (v.serial & 0xf);
}

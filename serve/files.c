#include "serve/files.h"

#include <string.h>

/* The assembler puts a file in as it is. Paths are from where make runs. */
#define FILE_IN(name, file)                         \
	__asm__(".section .rodata\n"                \
		".global " #name "\n"               \
		#name ":\n"                         \
		".incbin \"" file "\"\n"            \
		".global " #name "_end\n"           \
		#name "_end:\n"                     \
		".byte 0\n"                         \
		".previous\n");                     \
	extern const char name[], name##_end[]

FILE_IN(served_style, "serve/style.css");
FILE_IN(served_page, "serve/page.js");
FILE_IN(served_htmx, HTMX);
FILE_IN(served_schema, "share/asyncmon/asyncmon-1.schema.json");

static const struct {
	const char *path, *type, *start, *end;
} files[] = {
	{ "/assets/style.css", "text/css; charset=utf-8", served_style, served_style_end },
	{ "/assets/page.js", "text/javascript; charset=utf-8", served_page, served_page_end },
	{ "/assets/htmx.js", "text/javascript; charset=utf-8", served_htmx, served_htmx_end },
	{ "/asyncmon-1.schema.json", "application/schema+json", served_schema, served_schema_end },
};
#define FILES (sizeof files / sizeof *files)

/* FNV-1a. */
uint64_t etag_of(const char *bytes, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
	return h ? h : 1;
}

const struct served_file *file_find(const char *path)
{
	static _Thread_local struct served_file f;
	for (size_t i = 0; i < FILES; i++) {
		if (strcmp(files[i].path, path) != 0)
			continue;
		size_t n = (size_t)(files[i].end - files[i].start);
		f = (struct served_file){ path, files[i].type, files[i].start, n, etag_of(files[i].start, n) };
		return &f;
	}
	return NULL;
}

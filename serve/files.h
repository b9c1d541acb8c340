/* Files that are built in: the style sheet, scripts, the schema of the JSON. */
#ifndef ASYNCMON_SERVE_FILES_H
#define ASYNCMON_SERVE_FILES_H

#include <stddef.h>
#include <stdint.h>

struct served_file {
	const char *path, *type;
	const char *bytes;
	size_t n;                /* 0: it was not there when asyncmon was built */
	uint64_t etag;
};

/* NULL: no such file. */
const struct served_file *file_find(const char *path);
/* A number for bytes, which others most likely do not have; never 0. */
uint64_t etag_of(const char *bytes, size_t n);

#endif

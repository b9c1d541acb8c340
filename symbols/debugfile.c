#include "symbols/debugfile.h"

#include <stdio.h>
#include <string.h>

static struct elf *open_debug(struct target *t, const char *path)
{
	int fd;
	struct elf *e = NULL;
	err_t err = t->ops->open_path(t, path, &fd);
	if (!err)
		err = elf_open_file(fd, &e);
	err_free(err);
	return e;
}

/* The debug file must be of the same build: names of another one would be lies. */
struct elf *debug_file_open(struct target *t, const char *build_id)
{
	char path[256];
	size_t len;
	if (strlen(build_id) < 3 || !t->ops || !t->ops->open_path)
		return NULL;
	snprintf(path, sizeof path, "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
	struct elf *e = open_debug(t, path);
	const uint8_t *id = e ? elf_build_id(e, &len) : NULL;
	char hex[129] = "";
	for (size_t i = 0; id && i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	/* objcopy --only-keep-debug leaves the note without its bytes in some files. */
	if (e && hex[0] && strcmp(hex, build_id) != 0) {
		elf_close(e);
		return NULL;
	}
	return e;
}

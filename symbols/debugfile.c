#include "symbols/debugfile.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define CRC_MAX (1ull << 30) /* a file that is larger is not read for its checksum */

static struct elf *open_debug(struct target *t, const char *path)
{
	int fd;
	struct stat st;
	struct elf *e = NULL;
	err_t err = t->ops->open_path(t, path, 0, &fd, &st);
	if (!err)
		err = elf_open_file(fd, &e);
	err_free(err);
	return e;
}

/* Hex text of its build-id, "" when there is none. */
static void hex_id(struct elf *e, char hex[129])
{
	size_t len;
	const uint8_t *id = elf_build_id(e, &len);
	hex[0] = 0;
	for (size_t i = 0; id && i < len && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
}

/* The debug file must be of the same build: names of another one would be lies. */
static struct elf *by_build_id(struct target *t, const char *build_id)
{
	char path[256], hex[129];
	if (strlen(build_id) < 3)
		return NULL;
	snprintf(path, sizeof path, "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
	struct elf *e = open_debug(t, path);
	if (!e)
		return NULL;
	hex_id(e, hex);
	/* objcopy --only-keep-debug leaves the note without its bytes in some files. */
	if (hex[0] && strcmp(hex, build_id) != 0) {
		elf_close(e);
		return NULL;
	}
	return e;
}

/* Over the whole file. */
static bool crc_is(struct elf *e, uint32_t want)
{
	static uint8_t buf[65536];
	uLong crc = crc32(0, NULL, 0);
	uint64_t at = 0;
	ssize_t r;
	while (at < CRC_MAX && (r = pread(elf_fd(e), buf, sizeof buf, (off_t)at)) > 0) {
		crc = crc32(crc, buf, (uInt)r);
		at += (uint64_t)r;
	}
	return at < CRC_MAX && crc == want;
}

static struct elf *by_link(struct target *t, struct elf *e, const char *path, const char *build_id)
{
	Elf64_Shdr s;
	const char *slash = strrchr(path, '/'), *name;
	uint32_t crc;
	if (!slash || !elf_section(e, ".gnu_debuglink", &s) ||
	    s.sh_size < 8 || s.sh_size > 4096)
		return NULL;
	const void *last = elf_bytes(e, s.sh_offset + s.sh_size - sizeof crc, sizeof crc);
	if (!last)
		return NULL;
	memcpy(&crc, last, sizeof crc);
	name = elf_string(e, s.sh_offset, s.sh_offset + s.sh_size - sizeof crc);
	if (!name || !*name || strchr(name, '/'))
		return NULL;
	static const char *const places[][2] = { { "", "" }, { "", "/.debug" }, { "/usr/lib/debug", "" } };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char there[4096], hex[129];
		if (snprintf(there, sizeof there, "%s%.*s%s/%s", places[i][0], (int)(slash - path), path,
			     places[i][1], name) >= (int)sizeof there || strcmp(there, path) == 0)
			continue;
		struct elf *d = open_debug(t, there);
		if (!d)
			continue;
		hex_id(d, hex);
		if (hex[0] && build_id[0] ? strcmp(hex, build_id) == 0 : crc_is(d, crc))
			return d;
		elf_close(d);
	}
	return NULL;
}

struct elf *debug_file_open(struct target *t, struct elf *e, const char *path, const char *build_id)
{
	if (!t->ops || !t->ops->open_path)
		return NULL;
	struct elf *d = by_build_id(t, build_id);
	return d ? d : by_link(t, e, path, build_id);
}

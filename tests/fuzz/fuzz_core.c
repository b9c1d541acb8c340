/* The whole way from a file to a snapshot, over a file of any bytes. Seeds: small cores
 * made as the unit tests make them, plain and compressed (seeds.c). */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static void touch(struct target *t)
{
	uint8_t byte;
	for (size_t i = 0; i < t->nmappings && i < 64; i++) {
		image_u8(t->image, t->mappings[i].start, &byte);
		image_u8(t->image, t->mappings[i].end - 1, &byte);
		image_str(t->image, t->mappings[i].start, 1 << 16);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	struct target *t = NULL;
	int fd = memfd_create("core", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	err_t e = target_open_core(path, NULL, &t);
	if (!e) {
		touch(t);
		fuzz_python(t);
		target_close(t);
	}
	err_free(e);
	close(fd);
	return 0;
}

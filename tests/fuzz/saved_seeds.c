/* saved_seeds LOOK FOLDER: what the saved look holds, uncompressed, as a seed of fuzz_saved. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/saved.h"

int main(int argc, char **argv)
{
	struct strbuf body = { 0 };
	struct stat st;
	char path[4096];
	int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;
	if (fd < 0 || fstat(fd, &st) != 0)
		return 1;
	const char *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	err_t e = file == MAP_FAILED ? ERR_NOMEM : saved_unpack(file, (size_t)st.st_size, 1u << 30, &body);
	snprintf(path, sizeof path, "%s/look", argv[2]);
	FILE *out = e ? NULL : fopen(path, "w");
	if (!out || fwrite(body.s, 1, body.len, out) != body.len || fclose(out) != 0)
		return 1;
	strbuf_free(&body);
	return 0;
}

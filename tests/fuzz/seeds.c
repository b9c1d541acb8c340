/* seeds DIR: small cores to begin with, for fuzz_core: as the kernel and as gdb lay them
 * out, many segments, notes alone, no notes; zstd and lz4. */
#include <lz4frame.h>
#include <sys/stat.h>
#include <zstd.h>

#include "tests/unit/coremaker.h"

#define HEAP 0x10000000ull
#define LIB 0x7f0000000000ull

static const char *dir;
static uint8_t heap[4 * PAGE];

static const char *name(const char *what)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, what);
	return path;
}

static void notes(struct maker *m)
{
	uint64_t auxv[] = { AT_ENTRY, LIB + PAGE + 16, AT_SYSINFO_EHDR, 0x7fff00000000, AT_NULL, 0 };
	int32_t siginfo[32] = { 11 };
	struct made_file files[] = { { LIB, LIB + PAGE, 0, "/bin/sh" }, { LIB + PAGE, LIB + 3 * PAGE, PAGE, "/bin/sh" } };
	make_thread(m, 702, 6, LIB + PAGE, 0x111);
	make_process(m, 700, "main-name");
	make_note(m, "CORE", NT_SIGINFO, siginfo, sizeof siginfo);
	make_note(m, "CORE", NT_AUXV, auxv, sizeof auxv);
	make_files(m, files, 2);
	make_thread(m, 700, 0, LIB + PAGE, 0x222);
}

static void memory(struct maker *m, const uint8_t *library)
{
	make_load(m, HEAP, 4 * PAGE, PAGE, PF_R | PF_W, heap);
	make_load(m, LIB, PAGE, PAGE, PF_R, library);
	make_load(m, LIB + PAGE, PAGE, 0, PF_R | PF_X, NULL);
	make_load(m, LIB + 2 * PAGE, PAGE, 0, PF_R, NULL);
}

static void packed(const char *from, uint64_t size)
{
	uint8_t *in = malloc(size), *out = malloc(2 * size + (1 << 16));
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	if (read(fd, in, size) != (ssize_t)size)
		abort();
	close(fd);
	for (int lz4 = 0; lz4 < 2; lz4++) {
		size_t n = lz4 ? LZ4F_compressFrame(out, 2 * size + (1 << 16), in, size, NULL)
			       : ZSTD_compress(out, 2 * size + (1 << 16), in, size, 1);
		fd = open(name(lz4 ? "lz4" : "zstd"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
		if (write(fd, out, n) != (ssize_t)n)
			abort();
		close(fd);
	}
	free(in);
	free(out);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	dir = argv[1];
	struct maker m = { 0 };
	uint8_t *library = make_library(7, true);
	for (int kind = 0; kind < 7; kind++) {
		char file[16];
		snprintf(file, sizeof file, "core%d", kind);
		m.unaligned = kind & 1;
		if (kind != 2)
			notes(&m);
		if (kind == 6) {
			m.split = m.nnotes;
			notes(&m);
		}
		if (kind != 3)
			memory(&m, library);
		for (int i = 0; kind == 4 && i < 100; i++)
			make_load(&m, HEAP + (100 + 2 * (uint64_t)i) * PAGE, PAGE, 0, PF_R | PF_W, NULL);
		uint64_t size = make_core(&m, name(file));
		if (kind == 0)
			packed(name(file), size);
	}
	free(library);
	return 0;
}

/* Compressed sections of an ELF file made here: read in pieces and whole, damaged, with a
 * wrong size, with a wrong checksum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "symbols/debugdata.h"

#define FULL (1u << 20)
#define ZSTD_TYPE 2 /* ELFCOMPRESS_ZSTD, which old headers lack */

static uint8_t plain[FULL];

struct made { struct elf *elf; struct debugdata d; };

static size_t squeeze(uint32_t type, uint8_t *out, size_t room)
{
	uLongf n = room;
	if (type == ELFCOMPRESS_ZLIB) {
		assert_int_equal(compress2(out, &n, plain, FULL, 6), Z_OK);
		return n;
	}
	size_t k = ZSTD_compress(out, room, plain, FULL, 3);
	assert_false(ZSTD_isError(k));
	return k;
}

/* break_at: where in the stream a byte is changed, in thousandths; -1: nowhere. */
static void make(struct made *m, uint32_t type, uint64_t says, int break_at)
{
	static const char names[] = "\0.debug_line\0.shstrtab";
	size_t room = FULL + 4096;
	uint8_t *stream = malloc(room);
	assert_non_null(stream);
	size_t n = squeeze(type, stream, room);
	if (break_at >= 0)
		stream[(n - 1) * (size_t)break_at / 1000] ^= 0xff;
	Elf64_Chdr c = { .ch_type = type, .ch_size = says, .ch_addralign = 1 };
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_shoff = sizeof eh, .e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3, .e_shstrndx = 2,
	};
	uint64_t names_at = sizeof eh + 3 * sizeof(Elf64_Shdr), at = names_at + sizeof names;
	Elf64_Shdr sh[3] = {
		[1] = { .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_flags = SHF_COMPRESSED, .sh_offset = at,
			.sh_size = sizeof c + n },
		[2] = { .sh_name = 13, .sh_type = SHT_STRTAB, .sh_offset = names_at, .sh_size = sizeof names },
	};
	int fd = memfd_create("elf", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &eh, sizeof eh), sizeof eh);
	assert_int_equal(write(fd, sh, sizeof sh), sizeof sh);
	assert_int_equal(write(fd, names, sizeof names), sizeof names);
	assert_int_equal(write(fd, &c, sizeof c), sizeof c);
	assert_int_equal(write(fd, stream, n), n);
	free(stream);
	assert_null(elf_open_file(fd, &m->elf));
	assert_true(debugdata_open(&m->d, m->elf));
}

static void unmake(struct made *m)
{
	debugdata_close(&m->d);
	elf_close(m->elf);
}

static bool same(struct made *m, uint64_t offset, uint64_t len)
{
	const uint8_t *p = debugdata_at(&m->d, DEBUG_LINE, offset, len);
	return p && memcmp(p, plain + offset, len) == 0;
}

static const uint32_t types[] = { ELFCOMPRESS_ZLIB, ZSTD_TYPE };

static void sound(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct made m;
		make(&m, types[k], FULL, -1);
		assert_int_equal(debugdata_size(&m.d, DEBUG_LINE), FULL);
		assert_true(debugdata_compressed(&m.d, DEBUG_LINE));
		assert_true(same(&m, 100, 50));
		const uint8_t *kept = debugdata_at(&m.d, DEBUG_LINE, 0, 1);
		/* A question about the front does not cost all of it. */
		assert_in_range(m.d.unpacked, 150, FULL / 4);
		assert_true(same(&m, FULL - 10, 10));
		assert_true(same(&m, 0, FULL));
		assert_ptr_equal(kept, debugdata_at(&m.d, DEBUG_LINE, 0, 1));
		assert_int_equal(m.d.unpacked, FULL);
		assert_null(debugdata_at(&m.d, DEBUG_LINE, FULL - 9, 10));
		assert_null(debugdata_at(&m.d, DEBUG_LINE, UINT64_MAX, 2));
		assert_false(m.d.refused);
		unmake(&m);
	}
}

static void broken_late(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct made m;
		make(&m, types[k], FULL, 800);
		assert_false(same(&m, 0, FULL));
		/* What is good of it. */
		assert_true(same(&m, 0, FULL / 2));
		assert_true(m.d.unpacked <= FULL);
		unmake(&m);
	}
}

static void wrong_checksum(void **state)
{
	(void)state;
	struct made m;
	make(&m, ELFCOMPRESS_ZLIB, FULL, 1000);
	assert_true(same(&m, FULL - 10, 10));
	unmake(&m);
}

static void wrong_size(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct made m;
		make(&m, types[k], FULL / 2, -1);
		assert_true(same(&m, 0, FULL / 2));
		assert_null(debugdata_at(&m.d, DEBUG_LINE, FULL / 2, 1));
		unmake(&m);
		make(&m, types[k], 2 * FULL, -1);
		assert_null(debugdata_at(&m.d, DEBUG_LINE, 0, 2 * FULL));
		assert_true(same(&m, 0, FULL));
		unmake(&m);
		make(&m, types[k], UINT64_MAX, -1);
		assert_null(debugdata_at(&m.d, DEBUG_LINE, 0, 1));
		assert_true(m.d.refused);
		unmake(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound),
		cmocka_unit_test(broken_late),
		cmocka_unit_test(wrong_checksum),
		cmocka_unit_test(wrong_size),
	};
	unsigned seed = 1;
	for (size_t i = 0; i < FULL; i++)
		plain[i] = (uint8_t)(rand_r(&seed) >> 8 & 15);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

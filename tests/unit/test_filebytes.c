/* A file's bytes, asked for here and there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/filebytes.h"

#define SIZE 300001u

static uint8_t plain[SIZE];

/* A file of these bytes, without a name. */
static int make_file(void)
{
	char path[] = "/tmp/asyncmon-test-XXXXXX";
	unsigned seed = 1;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	for (size_t i = 0; i < SIZE; i++)
		plain[i] = (uint8_t)(rand_r(&seed) >> 8);
	assert_int_equal(write(fd, plain, SIZE), SIZE);
	return fd;
}

static const uint8_t *assert_bytes(struct filebytes *f, uint64_t offset, uint64_t len)
{
	uint64_t before, behind;
	const uint8_t *p = filebytes_near(f, offset, len, &before, &behind);
	assert_non_null(p);
	assert_true(before <= offset && behind <= SIZE - offset - len);
	assert_memory_equal(p - before, plain + offset - before, before + len + behind);
	assert_true((uintptr_t)p % 16 == offset % 16);
	return p;
}

/* However often and in whatever order; what was given stays as it was. */
static void here_and_there(void **state)
{
	(void)state;
	struct filebytes f;
	static const unsigned spans[] = { 16, 700, 5000, SIZE / 2 };
	static struct { const uint8_t *p; uint64_t offset, len; } given[4000];
	size_t n = sizeof given / sizeof *given;
	unsigned seed = 2;
	assert_null(filebytes_open(&f, make_file(), 1));
	for (size_t i = 0; i < n; i++) {
		unsigned span = spans[rand_r(&seed) % (i < n / 2 ? 2 : 4)];
		given[i].len = (unsigned)rand_r(&seed) % span;
		/* Half of them close together. */
		given[i].offset = (unsigned)rand_r(&seed) % (i % 2 ? 9000 : SIZE - span);
		given[i].p = assert_bytes(&f, given[i].offset, given[i].len);
	}
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(given[i].p, plain + given[i].offset, given[i].len);
	filebytes_close(&f);
	filebytes_close(&f);
}

static void ends(void **state)
{
	(void)state;
	struct filebytes f;
	uint8_t buf[16];
	assert_null(filebytes_open(&f, make_file(), SIZE));
	assert_bytes(&f, SIZE - 1, 1);
	assert_bytes(&f, SIZE, 0);
	assert_bytes(&f, 0, SIZE);
	assert_null(filebytes_at(&f, SIZE, 1));
	assert_null(filebytes_at(&f, SIZE - 1, 2));
	assert_null(filebytes_at(&f, UINT64_MAX, 2));
	assert_null(filebytes_at(&f, 1, UINT64_MAX));
	assert_true(filebytes_copy(&f, SIZE - 16, 16, buf));
	assert_memory_equal(buf, plain + SIZE - 16, 16);
	assert_false(filebytes_copy(&f, SIZE - 15, 16, buf));
	assert_false(filebytes_copy(&f, UINT64_MAX - 3, 16, buf));
	filebytes_close(&f);
	int fd = make_file();
	err_t e = filebytes_open(&f, fd, SIZE + 1);
	assert_int_equal(err_code(e), E_BADDATA);
	err_free(e);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	e = filebytes_open(&f, open("/dev/null", O_RDONLY), 1);
	assert_int_equal(err_code(e), E_BADDATA);
	err_free(e);
}

/* What was read before stays; what comes after is not there. */
static void shrinks(void **state)
{
	(void)state;
	struct filebytes f;
	int fd = make_file();
	assert_null(filebytes_open(&f, fd, 1));
	const uint8_t *p = assert_bytes(&f, 200000, 100);
	assert_int_equal(ftruncate(fd, 100000), 0);
	assert_memory_equal(p, plain + 200000, 100);
	assert_null(filebytes_at(&f, 150000, 8));
	assert_null(filebytes_at(&f, 150000, 20000));
	assert_null(filebytes_at(&f, 99990, 20));
	assert_non_null(filebytes_at(&f, 50000, 20));
	filebytes_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(here_and_there),
		cmocka_unit_test(ends),
		cmocka_unit_test(shrinks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

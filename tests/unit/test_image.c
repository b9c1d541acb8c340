/* Images made in memory: what is known, what is not, and what must not be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "attach/copy.h"
#include "attach/image.h"

#define P IMAGE_PAGE

static void ok(err_t e)
{
	if (e)
		fail_msg("%s", e->msg);
}

static void adjacent_spans_are_one_range(void **state)
{
	(void)state;
	struct image img;
	struct image_span s[] = { { 5 * P, 6 * P }, { P, 2 * P }, { 2 * P, 4 * P }, { 9 * P, 9 * P } };
	ok(image_init(&img, s, 4));
	assert_int_equal(img.nranges, 2);
	assert_int_equal(img.ranges[0].start, P);
	assert_int_equal(img.ranges[0].end, 4 * P);
	char text[P + 20];
	memset(text, 'x', sizeof text);
	assert_true(image_put(&img, 2 * P - 10, text, sizeof text));
	const char *got = image_at(&img, 2 * P - 10, sizeof text);
	assert_non_null(got);
	assert_memory_equal(got, text, sizeof text);
	assert_false(image_put(&img, 4 * P - 1, text, 2));
	image_free(&img);
}

static void unknown_is_never_zeros(void **state)
{
	(void)state;
	struct image img;
	ok(image_init(&img, &(struct image_span){ P, 4 * P }, 1));
	uint64_t v;
	assert_null(image_at(&img, P, 1));
	assert_int_equal(img.misses, 1);
	assert_int_equal(img.first_miss, P);
	assert_true(image_put(&img, P, "abc", 4));
	assert_true(image_put(&img, 3 * P, "def", 4));
	assert_true(image_u64(&img, 2 * P - 8, &v));
	assert_false(image_u64(&img, 2 * P - 4, &v)); /* reaches into the unknown page */
	assert_null(image_at(&img, P, 3 * P));
	assert_null(image_at(&img, 0, 1));
	assert_null(image_at(&img, 4 * P, 1));
	image_free(&img);
}

static void any_address_and_length_may_be_asked(void **state)
{
	(void)state;
	struct image img;
	ok(image_init(&img, &(struct image_span){ P, 2 * P }, 1));
	image_put(&img, P, "abc", 4);
	assert_null(image_at(&img, P, SIZE_MAX));
	assert_null(image_at(&img, UINT64_MAX, 1));
	assert_null(image_at(&img, UINT64_MAX - 7, 8));
	assert_null(image_at(&img, 2 * P - 1, SIZE_MAX - 2));
	assert_null(image_at(&img, 0, SIZE_MAX));
	assert_non_null(image_at(&img, 2 * P - 1, 0));
	assert_null(image_at(&img, 2 * P, 0));
	assert_null(image_str(&img, UINT64_MAX - 1, SIZE_MAX));
	image_free(&img);
}

static void strings_end_before_unknown_pages(void **state)
{
	(void)state;
	struct image img;
	ok(image_init(&img, &(struct image_span){ P, 4 * P }, 1));
	image_put(&img, 2 * P - 4, "abc", 4);
	assert_string_equal(image_str(&img, 2 * P - 4, 100), "abc");
	image_put(&img, 2 * P - 4, "abcd", 4);
	assert_null(image_str(&img, 2 * P - 4, 100));
	image_put(&img, 2 * P, "efg", 4);
	assert_string_equal(image_str(&img, 2 * P - 4, 100), "abcdefg");
	assert_null(image_str(&img, 2 * P - 4, 7));
	assert_string_equal(image_str(&img, 2 * P - 4, 8), "abcdefg");
	image_free(&img);
}

struct filler { unsigned calls; uint64_t limit; size_t ahead; };

static size_t fill(void *ctx, struct image_range *r, uint64_t addr, size_t len)
{
	struct filler *f = ctx;
	f->calls++;
	if (addr >= f->limit)
		return 0;
	size_t n = len > f->ahead ? len : f->ahead;
	if (n > r->end - addr)
		n = r->end - addr;
	memset(r->bytes + (addr - r->start), (int)(addr / P), n);
	return n;
}

static void fill_is_asked_once_a_page(void **state)
{
	(void)state;
	struct image img;
	struct filler f = { 0, 8 * P, 0 };
	ok(image_init(&img, &(struct image_span){ P, 10 * P }, 1));
	img.fill = fill;
	img.fill_ctx = &f;
	uint8_t v;
	assert_true(image_u8(&img, 3 * P + 5, &v));
	assert_int_equal(v, 3);
	assert_true(image_u8(&img, 3 * P, &v));
	assert_int_equal(f.calls, 1);
	assert_non_null(image_at(&img, 2 * P, 3 * P));
	assert_int_equal(f.calls, 3);
	assert_null(image_at(&img, 8 * P - 1, 2));
	assert_int_equal(img.misses, 1);
	assert_int_equal(img.first_miss, 8 * P);
	f.ahead = 4 * P;
	f.calls = 0;
	assert_true(image_u8(&img, 5 * P, &v));
	assert_true(image_u8(&img, 6 * P, &v));
	assert_int_equal(f.calls, 1);
	image_free(&img);
}

static void forgotten_pages_are_unknown(void **state)
{
	(void)state;
	struct image img;
	ok(image_init(&img, &(struct image_span){ 0x10000, 0x10000 + 300 * P }, 1));
	image_mark(&img.ranges[0], 0x10000, 300 * P);
	image_forget(&img, 0x10000 + 10 * P, 200 * P);
	assert_non_null(image_at(&img, 0x10000 + 9 * P, P));
	assert_null(image_at(&img, 0x10000 + 10 * P, 1));
	assert_null(image_at(&img, 0x10000 + 209 * P, 1));
	assert_non_null(image_at(&img, 0x10000 + 210 * P, 1));
	image_forget(&img, 0, SIZE_MAX);
	assert_null(image_at(&img, 0x10000, 1));
	image_free(&img);
}

static void reshaping_keeps_what_is_still_there(void **state)
{
	(void)state;
	struct image img;
	struct image_span before[] = { { 10 * P, 20 * P }, { 30 * P, 40 * P }, { 50 * P, 51 * P } };
	struct image_span after[] = { { 8 * P, 12 * P }, { 15 * P, 35 * P }, { 50 * P, 51 * P } };
	ok(image_init(&img, before, 3));
	for (unsigned i = 0; i < 60; i++)
		image_put(&img, i * P, &i, sizeof i);
	ok(image_reshape(&img, after, 3));
	for (unsigned i = 0; i < 60; i++) {
		bool kept = (i >= 10 && i < 12) || (i >= 15 && i < 20) || (i >= 30 && i < 35) || i == 50;
		uint32_t v = 0;
		assert_int_equal(image_u32(&img, i * P, &v), kept);
		if (kept)
			assert_int_equal(v, i);
	}
	ok(image_reshape(&img, NULL, 0));
	assert_null(image_at(&img, 50 * P, 1));
	image_free(&img);
}

#define TB (1ull << 40)

/* A heap with a reservation on either side: it is there, whatever becomes of those. */
static void huge_spans_stand_alone(void **state)
{
	(void)state;
	struct image img;
	struct image_span s[] = { { TB, 2 * TB }, { 2 * TB, 2 * TB + 4 * P }, { 2 * TB + 4 * P, 900 * TB } };
	ok(image_init(&img, s, 3));
	/* 898 TB are more than a process can have. */
	assert_int_equal(img.nranges, 2);
	assert_int_equal(img.nleft_out, 1);
	assert_true(image_put(&img, 2 * TB, "abc", 4));
	assert_true(image_put(&img, 2 * TB - P, "def", 4));
	assert_string_equal(image_str(&img, 2 * TB, 100), "abc");
	assert_int_equal(img.left_out_reads, 0);
	assert_null(image_at(&img, 3 * TB, 8));
	assert_int_equal(img.left_out_reads, 1);
	assert_int_equal(img.misses, 0);

	struct image_span grown[] = { { TB, 2 * TB }, { 2 * TB, 2 * TB + 9 * P } };
	ok(image_reshape(&img, grown, 2));
	assert_int_equal(img.nleft_out, 0);
	assert_string_equal(image_str(&img, 2 * TB, 100), "abc");
	assert_string_equal(image_str(&img, 2 * TB - P, 100), "def");
	image_forget(&img, TB, TB);
	assert_null(image_at(&img, 2 * TB - P, 4));
	assert_string_equal(image_str(&img, 2 * TB, 100), "abc");
	image_free(&img);
}

static void assert_piece(const struct copy_list *c, const struct image *img, size_t i, size_t range, uint64_t start,
			 uint64_t end)
{
	const struct image_range *r = &img->ranges[range];
	assert_true(i < c->local.n);
	assert_ptr_equal(c->remote.v[i].iov_base, (void *)(uintptr_t)start);
	assert_int_equal(c->remote.v[i].iov_len, end - start);
	assert_ptr_equal(c->local.v[i].iov_base, r->bytes + (start - r->start));
	assert_int_equal(c->local.v[i].iov_len, end - start);
}

/* What is to be copied was chosen when other things were mapped. */
static void copies_pass_over_holes(void **state)
{
	(void)state;
	struct image img;
	struct copy_list c = { 0 };
	struct image_span s[] = { { 2 * P, 4 * P }, { 6 * P, 8 * P } };
	ok(image_init(&img, s, 2));
	copy_add(&c, &img, P, 7 * P);
	copy_add(&c, &img, 7 * P, 20 * P);
	copy_add(&c, &img, 4 * P, 6 * P);
	copy_add(&c, &img, 9 * P, 10 * P);
	copy_add(&c, &img, 0, P);
	assert_int_equal(c.local.n, 2);
	assert_int_equal(c.bytes, 4 * P);
	assert_piece(&c, &img, 0, 0, 2 * P, 4 * P);
	assert_piece(&c, &img, 1, 1, 6 * P, 8 * P);
	copy_clear(&c);
	copy_add(&c, &img, 3 * P, 4 * P);
	assert_int_equal(c.local.n, 1);
	assert_piece(&c, &img, 0, 0, 3 * P, 4 * P);
	copy_free(&c);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adjacent_spans_are_one_range),
		cmocka_unit_test(unknown_is_never_zeros),
		cmocka_unit_test(any_address_and_length_may_be_asked),
		cmocka_unit_test(strings_end_before_unknown_pages),
		cmocka_unit_test(fill_is_asked_once_a_page),
		cmocka_unit_test(forgotten_pages_are_unknown),
		cmocka_unit_test(huge_spans_stand_alone),
		cmocka_unit_test(reshaping_keeps_what_is_still_there),
		cmocka_unit_test(copies_pass_over_holes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

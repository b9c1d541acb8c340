/* Arrays that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/vec.h"

struct odd { uint8_t bytes[7]; };
struct odds VEC(struct odd);

static void grows_and_keeps(void **state)
{
	(void)state;
	struct odds a = { 0 };
	for (unsigned i = 0; i < 10000; i++)
		assert_true(vec_push(&a, (struct odd){ { (uint8_t)i, (uint8_t)(i >> 8) } }));
	assert_int_equal(a.n, 10000);
	assert_true(a.cap >= a.n);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(a.v[i].bytes[0] | a.v[i].bytes[1] << 8, i);
	a.n = 1;
	struct odd *second = vec_add(&a);
	assert_ptr_equal(second, &a.v[1]);
	vec_free(&a);
	assert_null(a.v);
	assert_int_equal(a.n + a.cap, 0);
}

static void reserves_at_once(void **state)
{
	(void)state;
	struct odds a = { 0 };
	assert_true(vec_reserve(&a, 0));
	assert_true(vec_reserve(&a, 5000));
	const struct odd *v = a.v;
	for (unsigned i = 0; i < 5000; i++)
		assert_true(vec_push(&a, (struct odd){ { 1 } }));
	assert_ptr_equal(a.v, v);
	vec_free(&a);
}

static void what_is_too_much_changes_nothing(void **state)
{
	(void)state;
	struct odds a = { 0 };
	assert_true(vec_push(&a, (struct odd){ { 42 } }));
	struct odds before = a;
	assert_false(vec_reserve(&a, SIZE_MAX));
	assert_false(vec_reserve(&a, SIZE_MAX / sizeof *a.v));
	assert_false(vec_reserve(&a, SIZE_MAX / 4));
	assert_ptr_equal(a.v, before.v);
	assert_int_equal(a.n, before.n);
	assert_int_equal(a.cap, before.cap);
	assert_int_equal(a.v[0].bytes[0], 42);
	vec_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_keeps),
		cmocka_unit_test(reserves_at_once),
		cmocka_unit_test(what_is_too_much_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

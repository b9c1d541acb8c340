/* JSON that others wrote: what is no document is refused, what is read is written again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json_read.h"

static struct json_value *read_text(const char *s)
{
	struct json_value *v = NULL;
	err_t e = json_read(s, strlen(s), &v);
	if (e)
		fail_msg("%s: %s", s, e->msg);
	return v;
}

static void test_values(void **state)
{
	(void)state;
	struct json_value *v = read_text("{\"a\":[1,\"x/\\u00e9\",true,null,2.50],\"b\":{},\"c\":\"a\\u0000b\"}");
	const struct json_value *a = json_get(v, "a");
	int64_t i = 0;
	bool b = false;
	assert_true(json_is_object(v) && json_is_array(a));
	assert_int_equal(json_count(a), 5);
	assert_true(json_get_int(json_item(a, 0), &i));
	assert_int_equal(i, 1);
	assert_string_equal(json_get_str(json_item(a, 1)), "x/\xc3\xa9");
	assert_true(json_get_bool(json_item(a, 2), &b) && b);
	assert_null(json_item(a, 3));
	assert_null(json_item(a, 5));
	assert_false(json_get_int(json_item(a, 1), &i));
	assert_null(json_get(v, "z"));
	assert_null(json_get(a, "a"));
	assert_null(json_get_str(json_get(v, "c"))); /* it would be cut at its NUL */
	struct strbuf s = { 0 };
	json_write(&s, a);
	assert_string_equal(s.s, "[1,\"x/\xc3\xa9\",true,null,2.50]");
	struct json_member *m;
	size_t n;
	assert_null(json_members(v, &m, &n));
	assert_int_equal(n, 3);
	assert_string_equal(m[1].key, "b");
	free(m);
	strbuf_free(&s);
	json_read_free(v);
}

static void test_refused(void **state)
{
	(void)state;
	char deep[2 * JSON_READ_DEPTH + 2];
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	const char *const bad[] = { "", "{", "{\"a\":1", "nul", "{} {}", "[1,]", "\"\xff\"", "[1]x", deep };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct json_value *v = NULL;
		err_t e = json_read(bad[i], strlen(bad[i]), &v);
		if (!e)
			fail_msg("taken for JSON: %.40s", bad[i]);
		assert_int_equal(err_code(e), E_BADDATA);
		assert_null(v);
		err_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The JSON writer: exact strings, numbers that JSON has, nesting without limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"

static void string_is(const char *s, const char *want)
{
	struct out o = { .fd = -1 };
	struct json j = { .out = &o };
	json_str(&j, s);
	assert_string_equal(o.b.s, want);
	out_free(&o);
}

static void strings(void **state)
{
	(void)state;
	string_is("plain", "\"plain\"");
	string_is("", "\"\"");
	string_is(NULL, "null");
	string_is("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	string_is("\b\t\n\f\r\x01\x1b\x7f", "\"\\b\\t\\n\\f\\r\\u0001\\u001b\\u007f\"");
	string_is("žluť 任务 🚀", "\"žluť 任务 🚀\"");
	string_is("\xed\xb2\x80", "\"\\udc80\"");
	string_is("\xc0\x80", "\"\\u0000\"");
	string_is("\xff\xc3(", "\"\\ufffd\\ufffd(\"");
	string_is("\xc1\xbf\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"");
	string_is("\xe4\xbb", "\"\\ufffd\\ufffd\"");
	string_is("\xc2\x9b" "2J\xe2\x80\xae", "\"\\u009b2J\\u202e\"");
}

static void numbers(void **state)
{
	struct out o = { .fd = -1 };
	struct json j = { .out = &o };
	(void)state;
	json_array(&j);
	json_double(&j, NAN);
	json_double(&j, INFINITY);
	json_double(&j, 0.25);
	json_double(&j, 1e300);
	json_int(&j, INT64_MIN);
	json_int(&j, 0);
	json_id(&j, 0);
	json_id(&j, 0x7fdeadbeef00);
	json_bool(&j, true);
	json_array_end(&j);
	assert_string_equal(o.b.s, "[null,null,0.25,1e+300,-9223372036854775808,0,null,\"0x7fdeadbeef00\",true]");
	out_free(&o);
}

static void instants(void **state)
{
	struct out o = { .fd = -1 };
	struct json j = { .out = &o };
	(void)state;
	json_array(&j);
	json_instant(&j, 1700000000.25);
	json_instant(&j, 0);
	json_instant(&j, NAN);
	json_instant(&j, -1);
	json_instant(&j, 1e300);
	json_array_end(&j);
	assert_string_equal(o.b.s, "[\"2023-11-14T22:13:20.250000Z\",\"1970-01-01T00:00:00.000000Z\",null,null,null]");
	out_free(&o);
}

static void commas(void **state)
{
	struct out o = { .fd = -1 };
	struct json j = { .out = &o };
	(void)state;
	json_object(&j);
	json_key(&j, "a");
	json_array(&j);
	json_array_end(&j);
	json_key(&j, "b");
	json_object(&j);
	json_key(&j, "c");
	json_null(&j);
	json_object_end(&j);
	json_object_end(&j);
	json_end(&j);
	assert_string_equal(o.b.s, "{\"a\":[],\"b\":{\"c\":null}}\n");
	out_free(&o);
}

static void depth(void **state)
{
	struct out o = { .fd = -1 };
	struct json j = { .out = &o };
	(void)state;
	for (int i = 0; i < 1000000; i++)
		json_array(&j);
	for (int i = 0; i < 1000000; i++)
		json_array_end(&j);
	assert_int_equal(o.b.len, 2000000);
	out_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings), cmocka_unit_test(numbers), cmocka_unit_test(instants),
		cmocka_unit_test(commas), cmocka_unit_test(depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who gets in, and how text gets into HTML and URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/url.h"
#include "serve/entry.h"
#include "serve/form.h"
#include "show/html.h"

static void test_hosts(void **state)
{
	static const char *const names[] = { "known.example" };
	const struct entry e = { .hosts = names, .nhosts = 1 };
	static const char *const in[] = { "localhost", "LOCALHOST:1", "10.0.0.1:80", "[::1]", "[fe80::1]:9", "Known.Example:7" };
	static const char *const out[] = { "", ":80", "evil", "127.0.0.1.evil", "[::1", "[::1]x", "[localhost]", "a@localhost",
					   "localhost:80x", "127.0.0.1:80/", "known.example." };
	(void)state;
	for (size_t i = 0; i < sizeof in / sizeof *in; i++)
		assert_true(entry_host(&e, in[i]));
	for (size_t i = 0; i < sizeof out / sizeof *out; i++)
		assert_false(entry_host(&e, out[i]));
	assert_false(entry_host(&e, NULL));
}

static void test_secrets(void **state)
{
	struct entry e = { 0 };
	char cookie[256];
	(void)state;
	assert_null(entry_make(&e, NULL, 80));
	assert_int_equal(strlen(e.token), SECRET_LEN);
	assert_string_not_equal(e.token, e.cookie);
	assert_string_not_equal(e.form, e.cookie);
	assert_false(secret_equal("", ""));
	assert_false(secret_equal(e.token, NULL));
	assert_false(secret_equal(e.token, ""));
	assert_true(secret_equal(e.token, e.token));
	snprintf(cookie, sizeof cookie, "x=%s; asyncmon-80=%s", e.cookie, e.cookie);
	assert_true(entry_cookie(&e, cookie));
	snprintf(cookie, sizeof cookie, "xasyncmon-80=%s; asyncmon-81=%s", e.cookie, e.cookie);
	assert_false(entry_cookie(&e, cookie));
	assert_false(entry_cookie(&e, NULL));
	err_t short_one = entry_make(&e, "short", 80), odd = entry_make(&e, "0123456789abcdef&x=1", 80);
	assert_int_equal(err_code(short_one), E_USAGE);
	assert_int_equal(err_code(odd), E_USAGE);
	err_free(short_one);
	err_free(odd);
}

static void test_text(void **state)
{
	struct strbuf b = { 0 };
	struct form f = { 0 };
	(void)state;
	html_text(&b, "<a b=\"c\" d='e'>&\x1b");
	assert_string_equal(b.s, "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\\x1b");
	strbuf_clear(&b);
	form_parse(&f, "a=1&b=%3Cx%3e+y&c&=d&e=%zz%4");
	assert_int_equal(f.n, 4);
	assert_string_equal(form_value(&f, "b"), "<x> y");
	assert_string_equal(form_value(&f, "e"), "%zz%4");
	form_location(&b, "//evil/\"x", &f, "a");
	assert_string_equal(b.s, "/evil/%22x?b=%3Cx%3E%20y&e=%25zz%254");
	form_free(&f);
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_secrets), cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

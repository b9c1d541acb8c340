/* Cells cut to a terminal's width. */
#include "snap.h"

#include <locale.h>

#include "base/fit.h"
#include "base/utf8.h"

static void cut_is(const char *text, size_t width, enum fit_end end, const char *want)
{
	struct strbuf b = { 0 };
	strbuf_str(&b, "");
	fit_cut(&b, text, width, end);
	assert_string_equal(b.s, want);
	assert_true(utf8_width(b.s) <= width);
	strbuf_free(&b);
}

static void cuts(void **state)
{
	(void)state;
	cut_is("handle app/service.py:45", 24, FIT_KEEP_END, "handle app/service.py:45");
	cut_is("handle app/service.py:45", 14, FIT_KEEP_END, "…service.py:45");
	cut_is("Service.handle app/service.py:45", 31, FIT_KEEP_END, "…handle app/service.py:45");
	cut_is("Service.handle app/service.py:45", 24, FIT_KEEP_END, "…app/service.py:45");
	cut_is("Service.handle app/service.py:45", 17, FIT_KEEP_END, "…service.py:45");
	cut_is("Service.handle app/service.py:45", 8, FIT_KEEP_END, "…e.py:45");
	cut_is("Service.a_name_that_is_long service.py:45", 34, FIT_KEEP_END, "…a_name_that_is_long service.py:45");
	cut_is("package.module.Class.method", 15, FIT_KEEP_END, "…Class.method");
	cut_is("/srv/app/package/service.py", 20, FIT_KEEP_END, "…package/service.py");
	cut_is("refresh prices", 11, FIT_KEEP_BOTH, "refre…rices");
	cut_is("任务任务任务", 8, FIT_KEEP_BOTH, "任务…务");
	cut_is("handle app/service.py:45", 8, FIT_KEEP_START, "handle …");
	cut_is("任务任务", 8, FIT_KEEP_START, "任务任务");
	cut_is("任务任务", 7, FIT_KEEP_START, "任务任…");
	cut_is("任务任务", 6, FIT_KEEP_START, "任务…");
	cut_is("任务任务", 4, FIT_KEEP_END, "…务");
	cut_is("abc", 1, FIT_KEEP_START, "…");
	cut_is("abc", 1, FIT_KEEP_END, "…");
	cut_is("abc", 0, FIT_KEEP_END, "");
	cut_is("", 0, FIT_KEEP_START, "");
}

static void shares(void **state)
{
	struct fit f[] = { { 14, 2, 0, 0 }, { 8, 4, 0.2, 0 }, { 100, 4, 0.2, 0 }, { 100, 5, 0.6, 0 } };
	(void)state;
	fit_columns(f, 4, 80);
	assert_int_equal(f[0].get, 14);
	assert_int_equal(f[1].get, 8);
	assert_true(f[2].get + f[3].get <= 80 - 14 - 8 - 3 && f[2].get + f[3].get >= 80 - 14 - 8 - 3 - 1);
	assert_true(f[3].get > 2 * f[2].get);
	fit_columns(f, 4, 1000);
	assert_true(f[2].get == 100 && f[3].get == 100);
	fit_columns(f, 4, 10);
	assert_true(f[1].get >= 1 && f[2].get == 4 && f[3].get == 5);
	fit_columns(f, 1, 5);
	assert_int_equal(f[0].get, 14);
}

/* Whatever is needed and shared: no more than there is, unless the least is more. */
static void random_shares(void **state)
{
	(void)state;
	srand(2);
	for (int round = 0; round < 20000; round++) {
		struct fit f[6];
		size_t n = 1 + (size_t)rand() % 6, width = (size_t)rand() % 200, sum = n - 1, least = n - 1, need = n - 1;
		for (size_t i = 0; i < n; i++) {
			f[i] = (struct fit){ 1 + (size_t)rand() % 80, 1, (double)(rand() % 4) / 10, 0 };
			need += f[i].need;
			least += f[i].share > 0 ? f[i].least : f[i].need;
		}
		fit_columns(f, n, width);
		for (size_t i = 0; i < n; i++) {
			assert_true(f[i].get >= 1 && f[i].get <= f[i].need);
			sum += f[i].get;
		}
		if (sum > width)
			assert_true(sum <= least + n);
		if (need <= width)
			assert_int_equal(sum, need);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts), cmocka_unit_test(shares), cmocka_unit_test(random_shares),
	};
	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The option parser and the words a user may mistype. */
#include "snap.h"

static const struct option table[] = {
	{ "filter", 'f', "TEXT", "" },
	{ "all", 'a', NULL, "" },
	{ "verbose", 'v', NULL, "" },
	{ NULL, 0, NULL, NULL }
};

static err_t parse(struct args *a, enum parse_until until, int argc, ...)
{
	static char *argv[16];
	va_list ap;
	va_start(ap, argc);
	for (int i = 0; i < argc; i++)
		argv[i] = va_arg(ap, char *);
	va_end(ap);
	*a = (struct args){ .sets = { table } };
	return args_parse(a, argc, argv, until);
}

static void forms(void **state)
{
	struct args a;
	(void)state;
	assert_null(parse(&a, UNTIL_END, 6, "12", "--filter", "x y", "-va", "--", "-v"));
	assert_string_equal(opt_value(&a, "filter"), "x y");
	assert_true(opt_given(&a, "all") && opt_given(&a, "verbose"));
	assert_int_equal(a.nwords, 2);
	assert_string_equal(a.words[1], "-v");
	args_free(&a);
	assert_null(parse(&a, UNTIL_END, 4, "-vfabc", "--filter=", "-", "1"));
	assert_string_equal(opt_value(&a, "filter"), "");
	assert_string_equal(a.given[1].value, "abc");
	assert_string_equal(a.words[0], "-");
	args_free(&a);
	assert_null(parse(&a, UNTIL_WORD, 4, "-v", "ps", "--nonsense", "-a"));
	assert_int_equal(a.nwords, 3);
	assert_false(opt_given(&a, "all"));
	args_free(&a);
}

static void refused(err_t e, const char *part)
{
	assert_int_equal(err_code(e), E_USAGE);
	has(e->msg, part);
	err_free(e);
}

static void errors(void **state)
{
	struct args a;
	(void)state;
	refused(parse(&a, UNTIL_END, 1, "--fliter=x"), "did you mean --filter?");
	args_free(&a);
	refused(parse(&a, UNTIL_END, 1, "--verb"), "did you mean --verbose?");
	args_free(&a);
	refused(parse(&a, UNTIL_END, 1, "--zzzzzzzz"), "no option --zzzzzzzz");
	args_free(&a);
	refused(parse(&a, UNTIL_END, 1, "--all=1"), "takes no value");
	args_free(&a);
	refused(parse(&a, UNTIL_END, 1, "--filter"), "needs a value: TEXT");
	args_free(&a);
	refused(parse(&a, UNTIL_END, 1, "-f"), "needs a value: TEXT");
	args_free(&a);
	refused(parse(&a, UNTIL_END, 1, "-vx"), "no option -x");
	args_free(&a);
}

/* No command has two options of one name or letter, and every one says what it is. */
static void tables(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		const struct option *seen[128];
		size_t n = 0;
		struct args a = { 0 };
		command_sets(commands[i], &a);
		assert_true(*commands[i]->summary && *commands[i]->description && commands[i]->run);
		for (size_t k = 0; a.sets[k]; k++)
			for (const struct option *o = a.sets[k]; o->name; o++) {
				for (size_t m = 0; m < n; m++) {
					assert_string_not_equal(seen[m]->name, o->name);
					assert_false(o->letter && seen[m]->letter == o->letter);
				}
				assert_true(*o->help);
				seen[n++] = o;
			}
		for (size_t k = 0; commands[k]; k++)
			assert_true(k == i || strcmp(commands[k]->name, commands[i]->name));
		for (size_t k = 0; commands[i]->aliases[k]; k++)
			assert_ptr_equal(command_find(commands[i]->aliases[k]), commands[i]);
	}
}

static struct snapshot *empty(void) { return snap_new(0); }

static void usage(void **state)
{
	static const struct { const char *line, *err; } wrong[] = {
		{ "psx", "did you mean ps?" },
		{ "ps --hed 3", "did you mean --head?" },
		{ "ps --head x", "--head takes a number, not x" },
		{ "ps --tail -1", "--tail takes a number" },
		{ "ps --sort nam", "did you mean NAME?" },
		{ "ps --sort name:up", "KEY:desc" },
		{ "ps -o id,what", "no column what" },
		{ "ps --group-by x", "coro, created, waiting, state, group, by, or a column, not x" },
		{ "ps --group-by coro --sort id", "sorted by key or count" },
		{ "ps --state idle", "running, runnable, waiting" },
		{ "ps --older-than soon", "not a duration" },
		{ "ps --color maybe", "auto, always or never" },
		{ "where", "needs a TASK" },
		{ "where x -f y", "not both" },
		{ "tree --state x", "there is no state x" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct ran r = run_line(empty, wrong[i].line);
		assert_int_equal(r.status, 2);
		has(r.err, wrong[i].err);
		assert_string_equal(r.out, "");
		ran_free(&r);
		char json[128];
		snprintf(json, sizeof json, "%s --json", wrong[i].line);
		r = run_line(empty, json);
		assert_int_equal(r.status, 2);
		has(r.out, "{\"format\":1,\"error\":{\"code\":\"usage\",\"message\":\"");
		assert_string_equal(r.err, "");
		ran_free(&r);
	}
}

static void help(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		char line[64];
		if (commands[i]->flags & CMD_NO_SESSION)
			continue;
		snprintf(line, sizeof line, "%s --help", commands[i]->name);
		struct ran r = run_line(empty, line);
		assert_int_equal(r.status, 0);
		has(r.out, commands[i]->name);
		if (!(commands[i]->flags & CMD_SESSION))
			has(r.out, "--json");
		for (const char *p = r.out; *p; p += strcspn(p, "\n"), p += *p == '\n')
			assert_true(strcspn(p, "\n") <= 80);
		ran_free(&r);
	}
	struct ran r = run_line(empty, "help");
	for (size_t i = 0; commands[i]; i++)
		if (!(commands[i]->flags & (CMD_SESSION | CMD_HIDDEN)))
			has(r.out, commands[i]->summary);
	ran_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms), cmocka_unit_test(errors), cmocka_unit_test(tables),
		cmocka_unit_test(usage), cmocka_unit_test(help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

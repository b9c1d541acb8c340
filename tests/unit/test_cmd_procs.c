/* A process and its descendants. */
#include "snap.h"

#include <signal.h>
#include <sys/wait.h>

#include "cmd/procs.h"

static bool among(const struct pids *p, pid_t pid)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == pid)
			return true;
	return false;
}

/* This → child → grandchild, whose id comes through a pipe. */
static void tree(void **state)
{
	int p[2];
	char word[24];
	pid_t grandchild = 0, child;
	struct pids out = { 0 };
	(void)state;
	assert_int_equal(pipe(p), 0);
	child = fork();
	if (child == 0) {
		pid_t pid = fork();
		if (pid == 0)
			for (;;)
				pause();
		if (write(p[1], &pid, sizeof pid) != sizeof pid)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(p[0], &grandchild, sizeof grandchild), sizeof grandchild);
	snprintf(word, sizeof word, "%d", (int)child);
	err_t e = pids_tree(word, &out);
	kill(grandchild, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_null(e);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.v[0], child);
	assert_int_equal(out.v[1], grandchild);
	free(out.v);
	out = (struct pids){ 0 };
	/* The one who asks is no descendant of interest. */
	snprintf(word, sizeof word, "%d", (int)getppid());
	assert_null(pids_tree(word, &out));
	assert_false(among(&out, getpid()));
	free(out.v);
}

static void refused(void **state)
{
	static const struct { const char *word; enum err_code code; } bad[] = {
		{ "x", E_USAGE }, { "", E_USAGE }, { "-1", E_USAGE }, { "0", E_USAGE }, { "1x", E_USAGE },
		{ "99999999999999999999", E_USAGE }, { "2147483647", E_NOPROC },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pids out = { 0 };
		err_t e = pids_tree(bad[i].word, &out);
		assert_int_equal(err_code(e), bad[i].code);
		err_free(e);
		free(out.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tree), cmocka_unit_test(refused) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

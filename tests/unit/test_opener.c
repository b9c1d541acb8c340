/* Files opened by a process that has another's rights and can be given up. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "attach/opener.h"

static char folder[] = "/tmp/asyncmon-opener-XXXXXX";
static char path[80];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || chmod(folder, 0755))
		return -1;
	snprintf(path, sizeof path, "%s/file", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* The file, anew, with these permissions. */
static void file_is(mode_t mode, uid_t uid, gid_t gid)
{
	unlink(path);
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text", 4), 4);
	assert_int_equal(fchown(fd, uid, gid), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* What open says: 0, or the error's code. */
static enum err_code opens(struct opener *o, const char *name, uint64_t copy_up_to)
{
	int fd;
	struct stat st;
	char text[8];
	err_t e = opener_open(o, &(struct opener_ask){ -1, name, copy_up_to }, &fd, &st);
	enum err_code code = err_code(e);
	if (!e) {
		assert_int_equal(st.st_size, 4);
		assert_int_equal(pread(fd, text, sizeof text, 0), 4);
		assert_memory_equal(text, "text", 4);
		close(fd);
	}
	err_free(e);
	return code;
}

static bool may_read(const struct rights *r)
{
	struct opener *o = opener_new(r);
	assert_non_null(o);
	enum err_code code = opens(o, path, 0);
	opener_free(o);
	assert_true(code == E_OK || code == E_IO);
	return code == E_OK;
}

static void rights_are_the_owners(void **state)
{
	(void)state;
	gid_t groups[] = { 54320, 54321 };
	struct rights user = { .uid = 12345, .gid = 12346 }, member = user, root = { .caps = UINT64_MAX };
	member.groups = groups;
	member.ngroups = 2;
	if (geteuid() != 0)
		skip();
	file_is(0600, 0, 0);
	assert_false(may_read(&user));
	assert_true(may_read(&root));
	assert_true(may_read(NULL));
	file_is(0400, 12345, 0);
	assert_true(may_read(&user));
	file_is(0040, 0, 12346);
	assert_true(may_read(&user));
	file_is(0040, 0, 54321);
	assert_false(may_read(&user));
	assert_true(may_read(&member));
	/* Root's group is nobody's who was not in it. */
	file_is(0640, 0, 0);
	assert_false(may_read(&member));
	file_is(0, 12345, 12346);
	assert_false(may_read(&user));
	root.caps &= ~(1ull << CAP_DAC_OVERRIDE);
	assert_true(may_read(&root));
	root.caps &= ~(1ull << CAP_DAC_READ_SEARCH);
	assert_false(may_read(&root));
}

static void rights_are_read(void **state)
{
	(void)state;
	struct rights a, b;
	gid_t ours[256];
	int n = getgroups(256, ours);
	assert_true(n >= 0);
	assert_null(rights_read(getpid(), &a));
	assert_null(rights_read(getpid(), &b));
	assert_true(rights_same(&a, &b));
	assert_int_equal(a.uid, geteuid());
	assert_int_equal(a.gid, getegid());
	assert_int_equal(a.ngroups, n);
	for (int i = 0; i < n; i++) {
		bool found = false;
		for (size_t k = 0; k < a.ngroups; k++)
			found |= a.groups[k] == ours[i];
		assert_true(found);
	}
	assert_int_equal(a.caps >> CAP_KILL & 1, prctl(PR_CAPBSET_READ, CAP_KILL) == 1 && geteuid() == 0);
	b.gid++;
	assert_false(rights_same(&a, &b));
	rights_free(&a);
	rights_free(&b);
	err_t e = rights_read(0x3fffffff, &a);
	assert_int_equal(err_code(e), E_GONE);
	err_free(e);
	rights_free(&a);
}

static void only_regular_files(void **state)
{
	(void)state;
	struct opener *o = opener_new(NULL);
	file_is(0600, geteuid(), getegid());
	assert_int_equal(opens(o, path, 0), E_OK);
	assert_int_equal(opens(o, path, 4), E_OK);
	assert_int_equal(opens(o, path, 3), E_IO);
	assert_int_equal(opens(o, folder, 0), E_IO);
	assert_int_equal(opens(o, "/dev/null", 0), E_IO);
	assert_int_equal(opens(o, "/proc/self/environ", 0), E_IO);
	unlink(path);
	assert_int_equal(opens(o, path, 0), E_NOTFOUND);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(opens(o, path, 0), E_IO);
	opener_free(o);
}

/* The process of the opener: our only child. */
static pid_t child(void)
{
	char name[64];
	int pid = 0;
	snprintf(name, sizeof name, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	FILE *f = fopen(name, "re");
	assert_non_null(f);
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

static void killed_ones_are_replaced(void **state)
{
	(void)state;
	struct opener *o = opener_new(NULL);
	file_is(0600, geteuid(), getegid());
	assert_int_equal(opens(o, path, 0), E_OK);
	pid_t first = child();
	assert_true(first > 0);
	kill(first, SIGKILL);
	assert_int_equal(opens(o, path, 0), E_OK);
	assert_int_not_equal(child(), first);
	/* One that does not answer is given up, and no question waits for it again. */
	kill(child(), SIGSTOP);
	assert_int_equal(opens(o, path, 0), E_BUSY);
	assert_int_equal(child(), 0);
	assert_int_equal(opens(o, path, 0), E_BUSY);
	assert_int_equal(child(), 0);
	/* Elsewhere things may answer. */
	assert_int_equal(opens(o, "/proc/self/environ", 0), E_IO);
	opener_free(o);
	assert_int_equal(child(), 0);
}

static void ends_with_us(void **state)
{
	(void)state;
	int fds[2];
	char c;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct opener *o = opener_new(NULL);
		opens(o, "/dev/null", 0);
		kill(getpid(), SIGKILL);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* Nothing of ours is held open by it, and it is gone. */
	struct pollfd p = { .fd = fds[0] };
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(fds[0], &c, 1), 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_are_the_owners),
		cmocka_unit_test(rights_are_read),
		cmocka_unit_test(only_regular_files),
		cmocka_unit_test(killed_ones_are_replaced),
		cmocka_unit_test(ends_with_us),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

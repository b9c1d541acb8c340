/* How much memory may be taken: the system's and that of the groups around. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/room.h"

#define MB (1ull << 20)

static char root[64];

static int root_new(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(root, sizeof root, "%.32s/asyncmon-room-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(root) ? 0 : -1;
}

static int root_free(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof command, "rm -r '%s'", root);
	return system(command);
}

/* Writes a file below the root, with the folders it lies in. */
static void file(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(path, 0755);
	}
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void the_system_alone(void **state)
{
	(void)state;
	assert_int_equal(memory_room(root), 0);
	file("proc/meminfo", "MemTotal:       4096 kB\nMemFree: 12 kB\nMemAvailable:   2048 kB\n");
	assert_int_equal(memory_room(root), 2 * MB);
	file("proc/self/cgroup", "0::/\n");
	assert_int_equal(memory_room(root), 2 * MB);
	file("proc/self/cgroup", "nonsense\n1:\n");
	assert_int_equal(memory_room(root), 2 * MB);
}

static void the_narrowest_group_counts(void **state)
{
	(void)state;
	file("proc/meminfo", "MemAvailable: 1048576 kB\n");
	file("proc/self/cgroup", "0::/app/web\n");
	file("sys/fs/cgroup/app/web/memory.max", "max\n");
	file("sys/fs/cgroup/app/web/memory.current", "1\n");
	assert_int_equal(memory_room(root), 1024 * MB);
	file("sys/fs/cgroup/app/memory.max", "104857600\n");
	file("sys/fs/cgroup/app/memory.current", "94371840\n");
	assert_int_equal(memory_room(root), 10 * MB);
	file("sys/fs/cgroup/app/web/memory.max", "1048577\n");
	assert_int_equal(memory_room(root), 1 * MB);
	file("sys/fs/cgroup/app/web/memory.current", "2000000\n");
	assert_int_equal(memory_room(root), 0);
}

static void a_container_sees_its_group_at_the_mount(void **state)
{
	(void)state;
	file("proc/meminfo", "MemAvailable: 1048576 kB\n");
	file("proc/self/cgroup", "0::/../not/here\n");
	file("sys/fs/cgroup/memory.max", "8388608\n");
	file("sys/fs/cgroup/memory.current", "1048576\n");
	assert_int_equal(memory_room(root), 7 * MB);
}

static void version_1(void **state)
{
	(void)state;
	file("proc/meminfo", "MemAvailable: 1048576 kB\n");
	file("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/docker/abc\n0::/\n");
	file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
	assert_int_equal(memory_room(root), 1024 * MB);
	file("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "5242880\n");
	file("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "3145728\n");
	assert_int_equal(memory_room(root), 2 * MB);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, root_new, root_free)
	const struct CMUnitTest tests[] = {
		T(the_system_alone),
		T(the_narrowest_group_counts),
		T(a_container_sees_its_group_at_the_mount),
		T(version_1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

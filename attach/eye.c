#include "attach/eye.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attach/proc.h"
#include "attach/refuse.h"

static int open_of(pid_t pid, pid_t tid, const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

err_t eye_open(const struct target *t, pid_t tid, struct eye *out)
{
	*out = (struct eye){ .pid = t->pid, .tid = tid, .mem = -1, .syscall = -1, .stat = -1, .schedstat = -1 };
	if (t->kind != TARGET_PROCESS)
		return err_new(E_UNSUPPORTED, "a core dump does not change: there is nothing to watch in it");
	out->mem = open_of(t->pid, tid, "mem");
	out->stat = open_of(t->pid, tid, "stat");
	if (out->mem < 0 || out->stat < 0) {
		int err = errno;
		eye_close(out);
		return refusal(t->pid, err == ENOENT ? ESRCH : err);
	}
	out->syscall = open_of(t->pid, tid, "syscall");
	out->schedstat = open_of(t->pid, tid, "schedstat");
	return NULL;
}

void eye_close(struct eye *e)
{
	int fds[] = { e->mem, e->syscall, e->stat, e->schedstat };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	e->mem = e->syscall = e->stat = e->schedstat = -1;
}

static bool read_by_mem(const struct eye *e, const struct eye_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pread(e->mem, parts[i].to, parts[i].len, (off_t)parts[i].addr) != (ssize_t)parts[i].len)
			return false;
	return true;
}

bool eye_read(struct eye *e, const struct eye_part *parts, size_t n)
{
	struct iovec local[EYE_PARTS], remote[EYE_PARTS];
	size_t want = 0;
	if (e->by_mem)
		return read_by_mem(e, parts, n);
	for (size_t i = 0; i < n; i++) {
		local[i] = (struct iovec){ parts[i].to, parts[i].len };
		remote[i] = (struct iovec){ (void *)(uintptr_t)parts[i].addr, parts[i].len };
		want += parts[i].len;
	}
	ssize_t got = process_vm_readv(e->tid, local, n, remote, n, 0);
	if (got >= 0 || (errno != ENOSYS && errno != EPERM))
		return got == (ssize_t)want;
	e->by_mem = read_by_mem(e, parts, n);
	return e->by_mem;
}

/* The text of an open file of /proc as it is at this moment; "" where there is none. */
static const char *text_of(int fd, char *buf, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

/* The fields behind the name, which may hold anything. */
static const char *stat_of(const struct eye *e, char *buf, size_t size)
{
	const char *p = strrchr(text_of(e->stat, buf, size), ')');
	return p && p[1] == ' ' ? p + 2 : "";
}

char eye_state(const struct eye *e)
{
	char text[1024];
	return *stat_of(e, text, sizeof text);
}

bool eye_thread(const struct eye *e, struct eye_thread *out)
{
	char text[1024];
	unsigned long long faults = 0, cpu = 0, delay = 0, args[2] = { 0 };
	*out = (struct eye_thread){ .call = -1 };
	/* The state is the 3rd field, majflt the 12th (proc(5)). */
	if (sscanf(stat_of(e, text, sizeof text), "%c %*d %*d %*d %*d %*d %*u %*u %*u %llu", &out->state, &faults) != 2 ||
	    out->state == 'Z' || out->state == 'X')
		return false;
	out->major_faults = faults;
	if (sscanf(text_of(e->schedstat, text, sizeof text), "%llu %llu", &cpu, &delay) == 2) {
		out->cpu_ns = cpu;
		out->delay_ns = delay;
	}
	/* "running", "-1 SP PC", or the number and six arguments. */
	long call = -1;
	if (sscanf(text_of(e->syscall, text, sizeof text), "%ld %llx %llx", &call, &args[0], &args[1]) == 3 && call >= 0) {
		out->in_call = true;
		out->call = call;
		out->args[0] = args[0];
		out->args[1] = args[1];
	}
	return true;
}

bool eye_fd(const struct eye *e, int fd, char *buf, size_t size)
{
	char name[32];
	snprintf(name, sizeof name, "fd/%d", fd);
	return proc_link(e->tid, name, buf, size);
}

/* The folder of the process's group in one hierarchy: a line "ID:CONTROLLERS:PATH" of
 * /proc/PID/cgroup, that of version 2 with no controllers. */
static bool group_path(const char *text, const char *controller, char *out, size_t size)
{
	for (const char *p = text; *p; p = strchrnul(p, '\n'), p += *p == '\n') {
		const char *names = strchr(p, ':'), *path = names ? strchr(names + 1, ':') : NULL;
		size_t n = path ? (size_t)(path - names) - 1 : 0, want = strlen(controller);
		if (!path || n != want || strncmp(names + 1, controller, n) != 0)
			continue;
		return snprintf(out, size, "%.*s", (int)strcspn(path + 1, "\n"), path + 1) < (int)size;
	}
	return false;
}

static double throttled_at(const char *mount, const char *path, const char *key, double unit)
{
	char name[4096], text[2048];
	double v = 0, sum = NAN;
	/* A limit of any group above counts as well. */
	for (size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);; n--) {
		while (n && path[n] != '/' && path[n])
			n--;
		snprintf(name, sizeof name, "%s%.*s/cpu.stat", mount, (int)n, path);
		int fd = open(name, O_RDONLY | O_CLOEXEC);
		const char *p = strstr(text_of(fd, text, sizeof text), key);
		if (fd >= 0)
			close(fd);
		if (p && sscanf(p + strlen(key), " %lf", &v) == 1)
			sum = (isnan(sum) ? 0 : sum) + v * unit;
		if (!n)
			return sum;
	}
}

double eye_throttled(pid_t pid)
{
	char text[4096], path[2048];
	/* Not by proc_slurp(), which is for the thread that looks at targets. */
	int fd = open_of(pid, pid, "cgroup");
	text_of(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	if (group_path(text, "cpu", path, sizeof path))
		return throttled_at("/sys/fs/cgroup/cpu", path, "throttled_time", 1e-9);
	if (group_path(text, "cpu,cpuacct", path, sizeof path))
		return throttled_at("/sys/fs/cgroup/cpu,cpuacct", path, "throttled_time", 1e-9);
	if (group_path(text, "", path, sizeof path))
		return throttled_at("/sys/fs/cgroup", path, "throttled_usec", 1e-6);
	return NAN;
}

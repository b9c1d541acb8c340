#include "attach/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/hands.h"
#include "base/descriptors.h"

static int proc_open(pid_t tid, const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool proc_slurp(pid_t tid, const char *name, struct strbuf *text)
{
	int fd = proc_open(tid, name);
	if (fd < 0)
		return false;
	strbuf_clear(text);
	text->failed = false;
	for (;;) {
		if (!strbuf_room(text, text->cap ? 4096 : 32767)) {
			close(fd);
			errno = ENOMEM;
			return false;
		}
		hang_begin(0);
		ssize_t got = read(fd, text->s + text->len, text->cap - text->len - 1);
		hang_end();
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int err = errno;
			close(fd);
			text->s[text->len] = '\0';
			errno = err;
			return got == 0;
		}
		text->len += (size_t)got;
	}
}

bool proc_link(pid_t tid, const char *name, char *buf, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
	ssize_t n = readlink(path, buf, size);
	if (n < 0 || (size_t)n >= size)
		return false;
	buf[n] = '\0';
	return true;
}

const char *proc_field(const char *text, const char *key)
{
	size_t n = strlen(key);
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, n) == 0 && p[n] == ':')
			return p + n + 1 + strspn(p + n + 1, " \t");
	}
	return NULL;
}

static long field_long(const char *text, const char *key)
{
	const char *p = proc_field(text, key);
	return p ? strtol(p, NULL, 10) : 0;
}

static uint64_t field_hex(const char *text, const char *key)
{
	const char *p = proc_field(text, key);
	return p ? strtoull(p, NULL, 16) : 0;
}

static void field_ids(const char *text, const char *key, unsigned *ids)
{
	const char *p = proc_field(text, key);
	for (int i = 0; i < 3 && p; i++) {
		char *end;
		ids[i] = (unsigned)strtoul(p, &end, 10);
		p = end;
	}
}

/* The kernel escapes newline and backslash in Name. */
static void field_name(const char *text, char name[16])
{
	const char *p = proc_field(text, "Name");
	size_t n = 0;
	for (; p && *p && *p != '\n' && n < 15; p++) {
		if (*p == '\\' && (p[1] == '\\' || p[1] == 'n'))
			name[n++] = *++p == 'n' ? '\n' : '\\';
		else
			name[n++] = *p;
	}
	memset(name + n, 0, 16 - n);
}

bool proc_status_read(pid_t tid, struct proc_status *out)
{
	char text[8192];
	*out = (struct proc_status){ 0 };
	int fd = proc_open(tid, "status");
	if (fd < 0)
		return false;
	ssize_t len = read(fd, text, sizeof text - 1);
	int err = len == 0 ? ESRCH : errno;
	close(fd);
	errno = err;
	if (len <= 0)
		return false;
	text[len] = '\0';
	out->exists = true;
	field_name(text, out->name);
	const char *state = proc_field(text, "State");
	out->state = state ? *state : 0;
	out->tgid = (pid_t)field_long(text, "Tgid");
	out->tracer = (pid_t)field_long(text, "TracerPid");
	field_ids(text, "Uid", out->uid);
	field_ids(text, "Gid", out->gid);
	out->cap_permitted = field_hex(text, "CapPrm");
	out->cap_effective = field_hex(text, "CapEff");
	out->seccomp = (int)field_long(text, "Seccomp");
	/* "Kthread" since Linux 6.8; before it a process without a VmSize is either a
	 * kernel thread or a zombie. */
	const char *kthread = proc_field(text, "Kthread");
	out->kthread = kthread ? *kthread == '1'
			       : !proc_field(text, "VmSize") && out->state != 'Z' && out->state != 'X';
	/* NSpid lists the id in every namespace, the innermost last. */
	const char *ns = proc_field(text, "NSpid");
	out->ns_tid = tid;
	while (ns && *ns >= '0' && *ns <= '9') {
		char *end;
		out->ns_tid = (pid_t)strtol(ns, &end, 10);
		ns = end + strspn(end, " \t");
	}
	return true;
}

/* "running", "NUMBER SIX-ARGUMENTS SP PC", or "-1 SP PC" outside of a call (proc(5)). */
static bool read_syscall(pid_t tid, char *text, size_t size)
{
	int fd = proc_open(tid, "syscall");
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

uint64_t proc_stack_pointer(pid_t tid)
{
	char text[512];
	char *pc = read_syscall(tid, text, sizeof text) ? strrchr(text, ' ') : NULL;
	if (!pc)
		return 0;
	*pc = '\0';
	char *sp = strrchr(text, ' ');
	return sp ? strtoull(sp, NULL, 16) : 0;
}

/* The fields of an open /proc/…/stat from the state on; closes it. NULL: it is gone. The name, which goes
 * before them in parentheses, may hold anything, ")" too. */
static const char *stat_fields(int fd, char *text, size_t size)
{
	if (fd < 0)
		return NULL;
	ssize_t n = read(fd, text, size - 1);
	int err = errno;
	close(fd);
	errno = err;
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	return p && p[1] == ' ' ? p + 2 : NULL;
}

/* What proc_since() reads of /proc/PID/stat (proc(5)). */
struct origin {
	pid_t parent;
	unsigned long long start;          /* clock ticks since boot */
	unsigned long long code, stack;    /* addresses that a fork keeps and an exec chooses */
};

static bool origin_read(pid_t pid, struct origin *o)
{
	char text[1024];
	const char *p = stat_fields(proc_open(pid, "stat"), text, sizeof text);
	return p && sscanf(p, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
			   "%llu %*u %*d %*u %llu %*u %llu", &o->parent, &o->start, &o->code, &o->stack) == 4;
}

struct timespec proc_since(pid_t pid)
{
	struct origin o, up;
	struct timespec boot, day;
	const int64_t second = 1000000000;
	if (!origin_read(pid, &o) || clock_gettime(CLOCK_BOOTTIME, &boot) || clock_gettime(CLOCK_REALTIME, &day))
		return (struct timespec){ 0 };
	for (int i = 0; i < 64 && o.stack > 1 && origin_read(o.parent, &up) && up.code == o.code &&
	     up.stack == o.stack; i++)
		o = up;
	int64_t tick = second / sysconf(_SC_CLK_TCK);
	int64_t ago = boot.tv_sec * second + boot.tv_nsec - (int64_t)o.start * tick;
	int64_t at = day.tv_sec * second + day.tv_nsec - ago;
	return (struct timespec){ at / second, at % second };
}

long proc_syscall(pid_t tid)
{
	char text[512], *end;
	if (!read_syscall(tid, text, sizeof text))
		return -1;
	long number = strtol(text, &end, 10);
	return end > text ? number : -1;
}

bool proc_in_selector(pid_t tid)
{
	static const long calls[] = { SYS_epoll_wait, SYS_epoll_pwait, SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6,
				      SYS_io_uring_enter };
	long number = proc_syscall(tid);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (number == calls[i])
			return true;
	return false;
}

char proc_state(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	errno = 0;
	const char *p = stat_fields(open(path, O_RDONLY | O_CLOEXEC), text, sizeof text);
	return p ? *p : errno_is_ours(errno) ? '?' : 0;
}

int64_t proc_ran_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec ts;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0)
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* PF_FORKNOEXEC of Linux's sched.h: set by fork(), cleared by exec(). */
#define FORKED 0x40u

bool proc_origin_read(pid_t pid, struct proc_origin *out)
{
	char text[1024];
	unsigned flags;
	unsigned long long ticks;
	const char *p = stat_fields(proc_open(pid, "stat"), text, sizeof text);
	/* State, flags and the time of the start are the 3rd, 9th and 22nd fields. */
	if (!p || sscanf(p, "%c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			 &out->state, &flags, &ticks) != 3)
		return false;
	out->forked = flags & FORKED;
	out->born = (double)ticks * PROC_TICK_S;
	return true;
}

/* One number of a line of maps in the given base; *p moves behind it and one
 * character more. A loop instead of strtoull: a target may have 60,000 lines. */
static uint64_t number(const char **p, unsigned base)
{
	uint64_t v = 0;
	for (;; ++*p) {
		unsigned c = (unsigned char)**p, digit;
		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f' && base == 16)
			digit = c - 'a' + 10;
		else
			break;
		v = v * base + digit;
	}
	if (**p && **p != '\n')
		++*p;
	return v;
}

/* The path of a mapping: the kernel writes newlines as \012, and a suffix on files
 * that have no name any more. */
static const char *map_path(const char *s, size_t n, const char *root, struct arena *a,
			    bool *deleted)
{
	static const char gone[] = " (deleted)";
	*deleted = n >= sizeof gone - 1 && memcmp(s + n - (sizeof gone - 1), gone, sizeof gone - 1) == 0;
	if (*deleted)
		n -= sizeof gone - 1;
	size_t nroot = strlen(root);
	if (nroot > 1 && n > nroot && memcmp(s, root, nroot) == 0 && s[nroot] == '/') {
		s += nroot;
		n -= nroot;
	}
	char *path = arena_strn(a, s, n);
	char *to = path;
	for (const char *from = path; from && *from; to++) {
		bool newline = strncmp(from, "\\012", 4) == 0;
		*to = newline ? '\n' : *from;
		from += newline ? 4 : 1;
	}
	if (path)
		*to = '\0';
	return path;
}

static bool map_line(const char *line, const char *end, const char *root, struct arena *a,
		     const struct mapping *before, struct mapping *m)
{
	const char *p = line;
	*m = (struct mapping){ .path = "" };
	m->start = number(&p, 16);
	m->end = number(&p, 16);
	if (end - p < 5)
		return true;
	m->read = p[0] == 'r';
	m->write = p[1] == 'w';
	m->exec = p[2] == 'x';
	m->shared = p[3] == 's';
	p += 5;
	m->offset = number(&p, 16);
	m->dev_major = (uint32_t)number(&p, 16);
	m->dev_minor = (uint32_t)number(&p, 16);
	m->inode = number(&p, 10);
	while (p < end && *p == ' ')
		p++;
	if (p == end)
		return true;
	/* Mappings of one file come in a row; they share its path. */
	if (before && before->inode && before->inode == m->inode &&
	    before->dev_major == m->dev_major && before->dev_minor == m->dev_minor) {
		m->path = before->path;
		m->deleted = before->deleted;
		return true;
	}
	m->path = map_path(p, (size_t)(end - p), root, a, &m->deleted);
	return m->path != NULL;
}

err_t proc_parse_maps(const struct strbuf *text, const char *root, struct arena *a,
		      struct mapping **out, size_t *n)
{
	size_t lines = 1;
	for (const char *p = text->s; (p = strchr(p, '\n')); p++)
		lines++;
	struct mapping *ms = arena_array(a, lines, sizeof *ms);
	if (!ms)
		return ERR_NOMEM;
	size_t k = 0;
	for (const char *p = text->s; *p;) {
		const char *end = strchrnul(p, '\n');
		if (!map_line(p, end, root, a, k ? &ms[k - 1] : NULL, &ms[k]))
			return ERR_NOMEM;
		/* The kernel gives maps in pieces; a process that maps and unmaps in
		 * between shows lines that overlap. The earlier one stays. */
		if (ms[k].end > ms[k].start && (k == 0 || ms[k].start >= ms[k - 1].end))
			k++;
		p = *end ? end + 1 : end;
	}
	*out = ms;
	*n = k;
	return NULL;
}

err_t proc_tids_read(pid_t pid, int task_dir, struct proc_tids *out)
{
	/* getdents64 itself: readdir would want a DIR and a buffer of its own for
	 * what is done twice while the target stands still. */
	_Alignas(8) char buf[8192];
	out->n = 0;
	if (lseek(task_dir, 0, SEEK_SET) < 0)
		return err_new(E_GONE, "process %d has gone", (int)pid);
	for (;;) {
		long got = syscall(SYS_getdents64, task_dir, buf, sizeof buf);
		if (got == 0)
			break;
		if (got < 0 && errno_is_ours(errno))
			return err_ours(errno, "listing threads");
		if (got < 0)
			return err_new(E_GONE, "process %d has gone", (int)pid);
		for (long at = 0; at < got;) {
			const struct dirent64 *d = (const void *)(buf + at);
			if (d->d_name[0] >= '0' && d->d_name[0] <= '9' &&
			    !vec_push(out, (pid_t)strtol(d->d_name, NULL, 10)))
				return ERR_NOMEM;
			at += d->d_reclen;
		}
	}
	return out->n ? NULL : err_new(E_GONE, "process %d has gone", (int)pid);
}

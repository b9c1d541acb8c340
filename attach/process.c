/* A living process as a target: opening it, and its image while it runs. */
#include "attach/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attach/guard.h"
#include "attach/refuse.h"
#include "base/descriptors.h"
#include "base/room.h"

bool mapping_visible(const struct mapping *m)
{
	static const char *const never[] = {
		"[vvar", "[vsyscall]", "anon_inode:", "socket:", "/[aio]", "/sys/", "/proc/",
	};
	if (!m->read)
		return false;
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		if (strncmp(m->path, never[i], strlen(never[i])) == 0)
			return false;
	if (strncmp(m->path, "/dev/", 5) == 0)
		return strncmp(m->path, "/dev/zero", 9) == 0 || strncmp(m->path, "/dev/shm/", 9) == 0;
	return true;
}

bool mapping_mutable(const struct mapping *m)
{
	return m->write || (m->inode == 0 && strcmp(m->path, "[vdso]") != 0);
}

bool mapping_private(const struct mapping *m)
{
	return !m->shared && mapping_visible(m) && mapping_mutable(m);
}

static err_t reshape(struct process *p)
{
	struct image_span *spans = malloc((p->t.nmappings + 1) * sizeof *spans);
	size_t n = 0;
	if (!spans)
		return ERR_NOMEM;
	for (size_t i = 0; i < p->t.nmappings; i++)
		if (mapping_visible(&p->t.mappings[i]))
			spans[n++] = (struct image_span){ p->t.mappings[i].start, p->t.mappings[i].end };
	err_t e = image_reshape(&p->img, spans, n);
	free(spans);
	return e;
}

static bool same_mapping(const struct mapping *a, const struct mapping *b)
{
	return a->start == b->start && a->end == b->end && a->offset == b->offset &&
	       a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->write == b->write && a->shared == b->shared;
}

/* What was read of mappings that are gone or other ones now is no longer right. */
static void forget_changed(struct process *p, const struct mapping *old, size_t n)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		while (k < p->t.nmappings && p->t.mappings[k].start < old[i].start)
			k++;
		if (k == p->t.nmappings || !same_mapping(&old[i], &p->t.mappings[k]))
			image_forget(&p->img, old[i].start, old[i].end - old[i].start);
	}
}

err_t process_sync_maps(struct process *p, bool *changed)
{
	if (changed)
		*changed = false;
	if (!proc_slurp(p->mem_tid, "maps", &p->maps_next))
		return refusal(p->t.pid, errno);
	if (p->maps_next.len == 0)
		return err_new(E_GONE, "process %d has ended", (int)p->t.pid);
	if (p->maps_next.len == p->maps.len && p->maps.s &&
	    memcmp(p->maps.s, p->maps_next.s, p->maps.len) == 0)
		return NULL;
	struct arena *a = arena_new(), *before = p->maps_arena;
	if (!a)
		return ERR_NOMEM;
	struct mapping *ms, *old = p->t.mappings;
	size_t n, nold = p->t.nmappings;
	err_t e = proc_parse_maps(&p->maps_next, p->root, a, &ms, &n);
	if (e) {
		arena_free(a);
		return e;
	}
	p->maps_arena = a;
	p->t.mappings = ms;
	p->t.nmappings = n;
	struct strbuf text = p->maps;
	p->maps = p->maps_next;
	p->maps_next = text;
	forget_changed(p, old, nold);
	e = reshape(p);
	arena_free(before);
	if (changed)
		*changed = true;
	return e;
}

err_t process_sync_threads(struct process *p)
{
	struct proc_tids tids = { 0 };
	TRY(proc_tids_read(p->t.pid, p->task_dir, &tids));
	struct thread *ts = calloc(tids.n, sizeof *ts);
	size_t n = 0;
	err_t lack = NULL;
	for (size_t i = 0; i < tids.n && ts && !lack; i++) {
		struct proc_status st;
		if (!proc_status_read(tids.v[i], &st) && errno_is_ours(errno))
			lack = err_ours(errno, "listing threads");
		if (!st.exists || st.tgid != p->t.pid ||
		    st.state == 'Z' || st.state == 'X')
			continue;
		struct thread *th = &ts[n++];
		th->tid = tids.v[i];
		th->ns_tid = st.ns_tid;
		memcpy(th->comm, st.name, sizeof th->comm);
		th->state = st.state;
	}
	vec_free(&tids);
	if (!ts)
		return ERR_NOMEM;
	if (lack || n == 0) {
		free(ts);
		if (lack)
			return lack;
		return err_new(E_GONE, "process %d has ended", (int)p->t.pid);
	}
	for (size_t i = 1; i < n; i++) {
		if (ts[i].tid == p->t.pid) {
			struct thread main = ts[i];
			memmove(ts + 1, ts, i * sizeof *ts);
			ts[0] = main;
		}
	}
	free(p->t.threads);
	p->t.threads = ts;
	p->t.nthreads = n;
	p->mem_tid = ts[0].tid;
	return NULL;
}

bool process_same_space(const struct process *p)
{
	/* The descriptor belongs to the address space, not to the process: nothing can
	 * be read once that is no longer in use. A page that was unmapped is an error,
	 * not an end. */
	char c;
	size_t i = 0;
	for (; i < p->t.nmappings; i++)
		if (p->t.mappings[i].read)
			break;
	if (i == p->t.nmappings)
		return false;
	hang_begin(p->t.mappings[i].start);
	ssize_t got = pread(p->mem_fd, &c, 1, (off_t)p->t.mappings[i].start);
	hang_end();
	return got != 0;
}

err_t process_check_space(const struct process *p)
{
	return process_same_space(p) ? NULL
		: err_new(E_GONE, "process %d has ended or became another program (exec)", (int)p->t.pid);
}

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return open(path, flags | O_CLOEXEC);
}

int process_pagemap(struct process *p)
{
	if (p->pagemap_fd < 0)
		p->pagemap_fd = open_proc(p->mem_tid, "pagemap", O_RDONLY);
	return p->pagemap_fd;
}

void process_pagemap_close(struct process *p)
{
	if (p->pagemap_fd >= 0)
		close(p->pagemap_fd);
	p->pagemap_fd = -1;
}

/* The same answers as process_vm_readv() gives. */
static ssize_t mem_readv(const struct process *p, const struct iovec *local, const struct iovec *remote,
			 size_t n)
{
	ssize_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		uintptr_t at = (uintptr_t)remote[i].iov_base;
		int fd = p->mem_fd;
		hang_begin(at);
		ssize_t got = pread(fd, local[i].iov_base, local[i].iov_len, (off_t)at);
		hang_end();
		if (got <= 0 && sum == 0)
			errno = got == 0 ? ESRCH : errno == EIO ? EFAULT : errno;
		if (got <= 0)
			return sum ? sum : -1;
		sum += got;
		if ((size_t)got < local[i].iov_len)
			break;
	}
	return sum;
}

ssize_t process_readv(struct process *p, const struct iovec *local, const struct iovec *remote, size_t n)
{
	if (p->by_mem)
		return mem_readv(p, local, remote, n);
	pid_t tid = p->mem_tid;
	hang_begin((uintptr_t)remote[0].iov_base);
	ssize_t got = process_vm_readv(tid, local, n, remote, n, 0);
	hang_end();
	if (got < 0 && (errno == ENOSYS || errno == EPERM)) {
		/* That file could be opened, and the kernel asks for the same rights there:
		 * it is the call that is forbidden. */
		got = mem_readv(p, local, remote, n);
		if (got > 0)
			p->by_mem = true;
	}
	return got;
}

static ssize_t read_one(struct process *p, uint64_t addr, void *buf, size_t len)
{
	struct iovec l = { buf, len }, r = { (void *)(uintptr_t)addr, len };
	return process_readv(p, &l, &r, 1);
}

size_t process_read(struct process *p, uint64_t addr, void *buf, size_t len)
{
	ssize_t got = read_one(p, addr, buf, len);
	pid_t before = p->mem_tid;
	/* The thread we go by may have ended, its process not. */
	for (size_t i = 0; got < 0 && errno == ESRCH && i < p->t.nthreads; i++) {
		p->mem_tid = p->t.threads[i].tid;
		got = read_one(p, addr, buf, len);
	}
	if (got >= 0)
		return (size_t)got;
	p->mem_tid = before;
	return 0;
}

ssize_t process_put(struct process *p, uint64_t addr, const void *buf, size_t len)
{
	struct iovec l = { (void *)(uintptr_t)buf, len }, r = { (void *)(uintptr_t)addr, len };
	ssize_t put = -1;
	hang_begin(addr);
	if (!p->by_mem)
		put = process_vm_writev(p->mem_tid, &l, 1, &r, 1, 0);
	if (p->by_mem || (put < 0 && (errno == ENOSYS || errno == EPERM))) {
		/* That way the kernel would write to what the target itself may not. */
		const struct mapping *m = target_mapping(&p->t, addr);
		int fd = m && m->write && len <= m->end - addr ? open_proc(p->mem_tid, "mem", O_WRONLY) : -1;
		put = fd < 0 ? -1 : pwrite(fd, buf, len, (off_t)addr);
		if (fd >= 0)
			close(fd);
	}
	hang_end();
	return put;
}

static bool bit(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* Reads the page at addr, and maybe some around it that nobody has seen yet. */
static size_t read_ahead(struct process *p, struct image_range *r, const struct mapping *m,
			 uint64_t addr)
{
	uint64_t from, to;
	image_around(r, m->start, m->end, addr, &from, &to);
	uint64_t end = from + process_read(p, from, r->bytes + (from - r->start), to - from);
	if (end < addr + IMAGE_PAGE) {
		if (process_read(p, addr, r->bytes + (addr - r->start), IMAGE_PAGE) < IMAGE_PAGE)
			return 0;
		from = addr;
		end = addr + IMAGE_PAGE;
	}
	end &= ~(uint64_t)(IMAGE_PAGE - 1);
	if (!mapping_mutable(m))
		image_mark(r, from, end - from);
	for (; mapping_mutable(m) && from < end; from += IMAGE_PAGE) {
		size_t page = (from - r->start) / IMAGE_PAGE;
		if (from != addr)
			r->ahead[page / 64] |= 1ull << (page % 64);
	}
	return IMAGE_PAGE;
}

size_t process_fill(void *ctx, struct image_range *r, uint64_t addr, size_t len)
{
	struct process *p = ctx;
	(void)len;
	const struct mapping *m = target_mapping(&p->t, addr);
	if (!m)
		return 0;
	if (!mapping_mutable(m))
		return read_ahead(p, r, m, addr);
	if (p->frozen) {
		if (p->whole && m->inode == 0 && mapping_private(m) &&
		    !map_get(&p->bad, addr, NULL)) {
			/* All that exists was copied; this page never did: it reads as zeros. */
			memset(r->bytes + (addr - r->start), 0, IMAGE_PAGE);
			return IMAGE_PAGE;
		}
		map_set(&p->wanted, addr, PAGE_MISSED);
		return 0;
	}
	/* A look at a target that stands still: it does no longer. */
	if (hands_late())
		return 0;
	map_set(&p->wanted, addr, PAGE_LOOKED);
	size_t page = (addr - r->start) / IMAGE_PAGE;
	if (bit(r->ahead, page)) {
		r->ahead[page / 64] &= ~(1ull << (page % 64));
		return IMAGE_PAGE;
	}
	return read_ahead(p, r, m, addr);
}

void process_forget(struct process *p)
{
	for (size_t i = 0; i < p->t.nmappings; i++)
		if (mapping_mutable(&p->t.mappings[i]))
			image_forget(&p->img, p->t.mappings[i].start,
				     p->t.mappings[i].end - p->t.mappings[i].start);
}

static err_t look_anew(struct process *p)
{
	TRY(process_check_space(p));
	p->frozen = p->whole = p->copied = false;
	map_free(&p->wanted);
	process_forget(p);
	return process_sync_maps(p, NULL);
}

err_t process_thaw(struct target *t)
{
	struct process *p = process_of(t);
	return p->copied ? look_anew(p) : NULL;
}

static err_t process_renew(struct target *t)
{
	TRY(look_anew(process_of(t)));
	return process_sync_threads(process_of(t));
}

static void process_close(struct target *t)
{
	struct process *p = process_of(t);
	if (p->tracer)
		guard_release();
	tracer_end(p->tracer);
	stop_free(&p->stop);
	image_free(&p->img);
	opener_free(p->opener);
	arena_free(p->strings);
	arena_free(p->maps_arena);
	free(p->maps.s);
	free(p->maps_next.s);
	strbuf_free(&p->mounts);
	free(p->root);
	free(p->t.threads);
	map_free(&p->wanted);
	map_free(&p->bad);
	process_pagemap_close(p);
	int fds[] = { p->task_dir, p->mem_fd, p->root_fd, p->pidfd };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(p);
}

/* "/srv/chroot/usr/bin/python3 (deleted)" → "/usr/bin/python3", as the target has it. */
static err_t find_exe(struct process *p)
{
	char path[PATH_MAX + 16];
	static const char gone[] = " (deleted)";
	if (!proc_link(p->mem_tid, "exe", path, sizeof path))
		path[0] = '\0';
	size_t n = strlen(path), ngone = sizeof gone - 1, nroot = strlen(p->root);
	if (n >= ngone && strcmp(path + n - ngone, gone) == 0)
		path[n -= ngone] = '\0';
	const char *s = path;
	if (nroot > 1 && n > nroot && memcmp(s, p->root, nroot) == 0 && s[nroot] == '/')
		s += nroot;
	p->t.exe = arena_str(p->strings, s);
	return p->t.exe ? NULL : ERR_NOMEM;
}

static err_t process_look(struct process *p)
{
	char root[PATH_MAX + 16];
	struct proc_status st;
	pid_t pid = p->t.pid;
	p->task_dir = open_proc(pid, "task", O_RDONLY | O_DIRECTORY);
	if (p->task_dir < 0)
		return refusal(pid, errno);
	TRY(process_sync_threads(p));
	if (!proc_status_read(pid, &st))
		return refusal(pid, errno_is_ours(errno) ? errno : ESRCH);
	p->t.ns_pid = st.ns_tid;
	p->t.since = proc_since(pid);
	p->mem_fd = open_proc(p->mem_tid, "mem", O_RDONLY);
	if (p->mem_fd < 0)
		return refusal(pid, errno);
	p->root_fd = open_proc(p->mem_tid, "root", O_PATH | O_DIRECTORY);
	if (p->root_fd < 0 && errno_is_ours(errno))
		return refusal(pid, errno);
	if (!proc_link(p->mem_tid, "root", root, sizeof root))
		strcpy(root, "/");
	p->root = strdup(root);
	if (!p->root)
		return ERR_NOMEM;
	TRY(find_exe(p));
	return process_sync_maps(p, NULL);
}

/* One byte tells whether we may read: the same check as for attaching. EFAULT only
 * says that what we know of the mappings is old (exec). */
static err_t process_try(struct process *p)
{
	for (int try = 0; try < 10; try++) {
		for (size_t i = 0; i < p->t.nmappings; i++) {
			char c;
			if (!mapping_visible(&p->t.mappings[i]))
				continue;
			if (read_one(p, p->t.mappings[i].start, &c, 1) == 1)
				return NULL;
			if (errno != EFAULT)
				return refusal(p->t.pid, errno);
		}
		TRY(process_sync_maps(p, NULL));
	}
	return err_new(E_GONE, "process %d has ended or became another program (exec)", (int)p->t.pid);
}

err_t target_open_process(pid_t pid, const struct target_opts *o, struct target **out)
{
	static const struct target_ops ops = {
		.open_file = process_open_file,
		.open_path = process_open_path,
		.freeze = process_freeze,
		.thaw = process_thaw,
		.renew = process_renew,
		.whole_size = process_whole_size,
		.close = process_close,
	};
	(void)o;
	TRY(unfit(pid));
	memory_yield();
	descriptors_raise();
	guard_start();
	struct process *p = calloc(1, sizeof *p);
	if (!p)
		return ERR_NOMEM;
	p->t = (struct target){
		.kind = TARGET_PROCESS, .pid = pid, .image = &p->img, .ops = &ops, .exe = "",
	};
	p->mem_tid = pid;
	p->task_dir = p->mem_fd = p->root_fd = p->pagemap_fd = -1;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	p->img.fill = process_fill;
	p->img.fill_ctx = p;
	p->strings = arena_new();
	err_t e = p->strings ? process_look(p) : ERR_NOMEM;
	if (!e)
		e = process_try(p);
	if (e) {
		process_close(&p->t);
		return e;
	}
	*out = &p->t;
	return NULL;
}

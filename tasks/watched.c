/* What a loop is kept awake by: descriptors that it watches and that are ready, and the callback
 * that it runs or comes to next; and how much time its thread takes.
 *
 * Which descriptors it watches the loop's selector says (Lib/selectors.py, _fd_to_key: keys are
 * tuples of file, descriptor, events and the handles for reading and writing). Whether one is
 * ready the kernel is asked, not paused: the descriptor is borrowed for as long as three calls
 * take, none of which takes anything away. */
#include "objects/locals.h"
#include "tasks/walk.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/hands.h"
#include "base/clock.h"

#define WATCHED_MAX 4096         /* descriptors of one loop */

static uint64_t receiver(struct walk *w, uint64_t callback)
{
	const struct py_layout *l = w->r.l;
	const struct type_info *t = object_type(&w->r, callback);
	if (!t)
		return 0;
	if (t->kind == KIND_METHOD)
		return field_at(&w->r, callback, l->method_self);
	if (t->kind == KIND_CFUNCTION)
		return field_at(&w->r, callback, l->cfunction_self);
	return strstr(t->name, "TaskStepMethWrapper") ? field_at(&w->r, callback, l->stepwrapper_task) : 0;
}

/* Those of asyncio's own loops and transports read and write as much as there is. */
static bool of_asyncio(const char *qualname)
{
	static const char *const classes[] = { "BaseSelectorEventLoop.", "_Selector", "_Unix" };
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(qualname, classes[i], strlen(classes[i])) == 0)
			return true;
	return false;
}

/* The name of what a handle calls; NULL also where that is a task's step or asyncio's own. */
static const char *called(struct walk *w, uint64_t handle)
{
	uint64_t callback = is_none(&w->r, handle) ? 0 : attr_get(&w->r, handle, "_callback");
	if (is_none(&w->r, callback) || is_task(object_kind(&w->r, receiver(w, callback))))
		return NULL;
	const char *name = callable_name(w, callback);
	return name && !of_asyncio(name) ? name : NULL;
}

void walk_callback(struct walk *w, struct loop *l, uint64_t running)
{
	struct deque_iter it;
	uint64_t handle;
	l->callback = called(w, running);
	if (!l->callback && deque_begin(&w->r, attr_get(&w->r, l->id, "_ready"), &it) && deque_next(&w->r, &it, &handle))
		l->callback = called(w, handle);
}

static void add(struct walk *w, struct loop *l, struct watched_fd *v, int64_t fd, uint64_t handle, bool writes)
{
	int64_t cancelled = 0;
	if (is_none(&w->r, handle) || l->nwatched == WATCHED_MAX)
		return;
	int_at(&w->r, attr_get(&w->r, handle, "_cancelled"), &cancelled);
	const char *name = called(w, handle);
	if (name && !cancelled)
		v[l->nwatched++] = (struct watched_fd){ .fd = (int)fd, .handle = handle, .writes = writes, .callback = name };
}

void walk_watched(struct walk *w, struct loop *l)
{
	struct reader *r = &w->r;
	struct dict_iter it;
	uint64_t key, value;
	int64_t fd;
	uint64_t keys = attr_get(r, attr_get(r, l->id, "_selector"), "_fd_to_key");
	int64_t n = dict_len(r, keys);
	if (n <= 0 || n > WATCHED_MAX / 2 || !dict_begin(r, keys, &it))
		return;
	struct watched_fd *v = arena_array(w->arena, 2 * (size_t)n, sizeof *v);
	w->nomem |= !v;
	l->watched = v;
	for (int64_t i = 0; v && i < n && dict_next(r, &it, &key, &value); i++) {
		uint64_t handles = seq_item(r, value, 3);
		if (!int_at(r, key, &fd) || fd < 0 || fd > 1 << 30)
			continue;
		add(w, l, v, fd, seq_item(r, handles, 0), false);
		add(w, l, v, fd, seq_item(r, handles, 1), true);
	}
}

/* ---- of a running process, once it goes on ---- */

static bool is_ready(int fd, struct watched_fd *x)
{
	struct pollfd p = { .fd = fd, .events = x->writes ? POLLOUT : POLLIN };
	int unread;
	char byte;
	if (poll(&p, 1, 0) != 1 || p.revents & POLLNVAL)
		return false;
	x->unread = ioctl(fd, FIONREAD, &unread) == 0 ? unread : -1;
	x->ended = !x->writes && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
	return true;
}

static void keep_ready(struct loop *l, int pidfd)
{
	struct watched_fd *v = (struct watched_fd *)(uintptr_t)l->watched;
	size_t n = 0;
	for (size_t i = 0; i < l->nwatched; i++) {
		int fd = pidfd >= 0 ? (int)syscall(SYS_pidfd_getfd, pidfd, v[i].fd, 0) : -1;
		struct watched_fd x = v[i];
		if (fd >= 0 && is_ready(fd, &x))
			v[n++] = x;
		if (fd >= 0)
			close(fd);
	}
	l->nwatched = n;
}

/* Time that the thread has run or has been kept from running by others, by its schedstat. */
static void processor_time(struct snapshot *s, struct loop *l)
{
	char path[64];
	unsigned long long ran, waited;
	snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)s->pid, (int)l->thread);
	FILE *f = l->thread ? fopen(path, "re") : NULL;
	if (!f)
		return;
	if (fscanf(f, "%llu %llu", &ran, &waited) == 2) {
		l->wanted = (double)(ran + waited) / 1e9;
		l->wanted_at = now_seconds();
	}
	fclose(f);
}

void watched_ask(struct snapshot *s)
{
	int pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	for (size_t i = 0; i < s->nloops; i++) {
		/* A file of FUSE's answers poll() and close() when it likes. */
		hang_begin(0);
		keep_ready(&s->loops[i], pidfd);
		hang_end();
		processor_time(s, &s->loops[i]);
	}
	if (pidfd >= 0)
		close(pidfd);
}

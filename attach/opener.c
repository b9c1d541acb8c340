#include "attach/opener.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/opener_work.h"
#include "base/clock.h"

#define PATIENCE_NS 1000000000ll
#define PATIENCE_MIN_NS 20000000ll
/* So long a killed process may take to end. */
#define REAP_NS 500000000ll
/* What did not answer is asked again after so long. */
#define DEAD_NS 30000000000ll
#define DEADS_MAX 32

struct opener {
	struct rights rights;
	bool limited;            /* to these rights */
	pid_t pid, owner;        /* the process; who started it: a child of ours starts another */
	int sock;                /* -1: none runs */
	uint64_t turn;
};

/* Folders in which something did not answer. Each makes the next wait a shorter one, so
 * that a hundred files on a dead server do not take a hundred seconds. */
static struct {
	struct { char path[PATH_MAX]; size_t len; int64_t at; } v[DEADS_MAX];
	size_t n, next;
	int64_t patience, last;
} dead;

static int64_t patience(void)
{
	if (!dead.patience || now_ns() - dead.last > DEAD_NS)
		dead.patience = PATIENCE_NS;
	return dead.patience;
}

static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool is_dead(const char *path)
{
	size_t len = folder_length(path);
	for (size_t i = 0; i < dead.n; i++)
		if (dead.v[i].len == len && memcmp(dead.v[i].path, path, len) == 0 &&
		    now_ns() - dead.v[i].at < DEAD_NS)
			return true;
	return false;
}

static void remember_dead(const char *path)
{
	size_t len = folder_length(path), i = dead.next;
	dead.last = now_ns();
	dead.patience = dead.patience / 2 > PATIENCE_MIN_NS ? dead.patience / 2 : PATIENCE_MIN_NS;
	if (len >= sizeof dead.v[i].path)
		return;
	memcpy(dead.v[i].path, path, len);
	dead.v[i].len = len;
	dead.v[i].at = dead.last;
	dead.next = (i + 1) % DEADS_MAX;
	dead.n += dead.n < DEADS_MAX;
}

struct opener *opener_new(const struct rights *r)
{
	struct opener *o = calloc(1, sizeof *o);
	gid_t *groups = o && r && r->ngroups ? malloc(r->ngroups * sizeof *groups) : NULL;
	if (!o || (r && r->ngroups && !groups)) {
		free(o);
		return NULL;
	}
	o->sock = -1;
	if (r) {
		o->limited = true;
		o->rights = *r;
		o->rights.groups = groups;
		if (r->ngroups)
			memcpy(groups, r->groups, r->ngroups * sizeof *groups);
	}
	return o;
}

/* One that waits in the kernel for a dead server ends when that lets it, and is not waited
 * for until then. When we end it is init's. */
static void end_process(struct opener *o)
{
	if (o->sock < 0)
		return;
	close(o->sock);
	o->sock = -1;
	if (o->owner != getpid())
		return;
	kill(o->pid, SIGKILL);
	for (int64_t late = now_ns() + REAP_NS; waitpid(o->pid, NULL, WNOHANG) == 0 && now_ns() < late;)
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

void opener_free(struct opener *o)
{
	if (!o)
		return;
	end_process(o);
	rights_free(&o->rights);
	free(o);
}

const struct rights *opener_rights(const struct opener *o)
{
	return &o->rights;
}

static err_t start(struct opener *o)
{
	int pair[2];
	pid_t parent = getpid();
	if (o->sock >= 0 && o->owner != parent)
		end_process(o);
	if (o->sock >= 0)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(E_IO, errno, "socketpair");
	pid_t pid = fork();
	if (pid == 0)
		opener_work(pair[1], parent, o->limited ? &o->rights : NULL);
	int err = errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_errno(E_IO, err, "fork");
	}
	o->sock = pair[0];
	o->pid = pid;
	o->owner = parent;
	return NULL;
}

static bool send_ask(struct opener *o, const struct opener_ask *ask)
{
	struct opener_head head = {
		.turn = ++o->turn, .copy_up_to = ask->copy_up_to, .below = ask->root_fd >= 0,
	};
	struct iovec iov[] = { { &head, sizeof head }, { (void *)(uintptr_t)ask->path, strlen(ask->path) + 1 } };
	return opener_send(o->sock, iov, 2, ask->root_fd);
}

/* The answer to this question: one to a former question, whose asker was interrupted, is
 * thrown away. False: none came in time, or the opener is gone (*gone). */
static bool take_answer(struct opener *o, int64_t deadline, struct opener_answer *a, int *fd, bool *gone)
{
	*gone = false;
	for (;;) {
		int64_t left = deadline - now_ns();
		struct pollfd p = { .fd = o->sock, .events = POLLIN };
		int got = poll(&p, 1, left > 0 ? (int)((left + 999999) / 1000000) : 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			return false;
		size_t n = got < 0 ? 0 : opener_receive(o->sock, a, sizeof *a, fd);
		if (n != sizeof *a) {
			*gone = true;
			return false;
		}
		if (a->turn == o->turn)
			return true;
		if (*fd >= 0)
			close(*fd);
	}
}

static err_t answer_of(const struct opener_answer *a, const char *path, int *fd, struct stat *st)
{
	*st = a->st;
	if (!a->error && *fd >= 0)
		return NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	switch (a->error) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOTFOUND;
	case OPENER_NOT_REGULAR:
		return err_new(E_IO, "%s: not a regular file", path);
	default:
		return err_errno(E_IO, a->error ? a->error : EIO, path);
	}
}

static err_t no_answer(const char *path)
{
	return err_new(E_BUSY, "%s: its file system does not answer", path);
}

err_t opener_open(struct opener *o, const struct opener_ask *ask, int *fd, struct stat *st)
{
	struct opener_answer a;
	bool gone;
	*fd = -1;
	if (strlen(ask->path) >= PATH_MAX)
		return err_errno(E_IO, ENAMETOOLONG, ask->path);
	if (is_dead(ask->path))
		return no_answer(ask->path);
	/* One that somebody killed is started again. */
	for (int try = 0; try < 2; try++) {
		TRY(start(o));
		if (send_ask(o, ask) && take_answer(o, now_ns() + patience(), &a, fd, &gone))
			return answer_of(&a, ask->path, fd, st);
		end_process(o);
		if (!gone) {
			remember_dead(ask->path);
			return no_answer(ask->path);
		}
	}
	return err_new(E_IO, "%s: the process that opens files ended", ask->path);
}

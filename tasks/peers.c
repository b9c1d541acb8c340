/* What the kernel says of sockets that tasks wait for, where the transport did not: who
 * is at the other end, or where one listens. Asked of a running process, not paused:
 * its descriptor is borrowed (pidfd_getfd, Linux 5.6) for as long as two calls take. */
#include "tasks/walk.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK_MAX 65536

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage room;
};

static const char *text(struct arena *a, const union address *at, socklen_t len)
{
	char host[INET6_ADDRSTRLEN];
	if (at->sa.sa_family == AF_INET && inet_ntop(AF_INET, &at->in.sin_addr, host, sizeof host))
		return arena_fmt(a, "%s:%u", host, ntohs(at->in.sin_port));
	if (at->sa.sa_family == AF_INET6 && inet_ntop(AF_INET6, &at->in6.sin6_addr, host, sizeof host))
		return arena_fmt(a, "[%s]:%u", host, ntohs(at->in6.sin6_port));
	size_t head = offsetof(struct sockaddr_un, sun_path);
	if (at->sa.sa_family != AF_UNIX || len <= head)
		return NULL;
	/* An abstract name begins with a zero byte; shown as ss shows it. */
	const char *path = at->un.sun_path;
	size_t n = len - head;
	return *path ? arena_strn(a, path, strnlen(path, n)) : arena_fmt(a, "@%.*s", (int)n - 1, path + 1);
}

static void ask(struct arena *a, struct wait *w, int fd)
{
	union address at = { 0 };
	socklen_t len = sizeof at, size = sizeof(int);
	int listening = 0;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
	if (listening ? getsockname(fd, &at.sa, &len) : getpeername(fd, &at.sa, &len))
		return;
	const char *name = text(a, &at, len);
	if (!name)
		return;
	w->listening = listening;
	if (listening) {
		const char *more = w->detail ? strstr(w->detail, " and ") : NULL;
		w->detail = arena_fmt(a, "listens on %s, fd %d%s", name, w->fd, more ? more : "");
	} else {
		w->peer = name;
		w->detail = arena_fmt(a, "%s on fd %d", name, w->fd);
	}
}

void peers_ask(struct snapshot *s)
{
	int pidfd = -1;
	for (size_t i = 0, n = 0; i < s->ntasks; i++) {
		const struct wait *known = s->tasks[i].wait;
		if (!known || known->fd < 0 || known->peer)
			continue;
		if (n == ASK_MAX) {
			snapshot_note(s, "Of more than %d sockets it was not asked who is at the other end.", ASK_MAX);
			break;
		}
		if (pidfd < 0 && (pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0)) < 0)
			return;
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, known->fd, 0);
		struct wait *w = fd >= 0 ? arena_dup(s->arena, known, sizeof *w) : NULL;
		n++;
		if (w) {
			ask(s->arena, w, fd);
			s->tasks[i].wait = w;
		}
		if (fd >= 0)
			close(fd);
	}
	if (pidfd >= 0)
		close(pidfd);
	pipes_ask(s);
}

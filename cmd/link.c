#include "cmd/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/act.h"
#include "inject/seccomp.h"
#include "base/clock.h"
#include "cmd/capture.h"
#include "query/shape.h"
#include "inject/texts.h"
#include "inject/site.h"

/* A message that is longer is none of ours. */
#define LONGEST (64u << 20)
/* Milliseconds, for opening one. */
#define PATIENCE 10000

static err_t run(struct call *c, const char *text, const char *last, unsigned deadline_ms, unsigned uses, char **reply)
{
	struct inject_site *site = calloc(1, sizeof *site);
	struct strbuf b = { 0 };
	strbuf_fmt(&b, "%s%s\n%s\n", text_link, text, last);
	err_t e = site && !b.failed ? inject_site_find(c->cap->python, site) : ERR_NOMEM;
	if (!e)
		e = inject_run(call_target(c), site,
			       &(struct inject_text){
				       .text = b.s,
				       .deadline_ms = deadline_ms,
				       .uses = uses,
				       .force = opt_given(&c->args, "force"),
				       .thread_at = link_thread_at,
				       .arg = c,
			       }, reply);
	strbuf_free(&b);
	free(site);
	return e;
}

/* The text may load a library, as the agent does. */
err_t link_run(struct call *c, const char *text, const char *last, unsigned deadline_ms, char **reply)
{
	return run(c, text, last, deadline_ms, USE_LINK | USE_AGENT, reply);
}

err_t link_open(struct call *c, const char *text, const char *last, unsigned deadline_ms, struct link *out)
{
	char *reply = NULL;
	*out = (struct link){ .fd = -1 };
	unsigned patience = deadline_ms ? deadline_ms : PATIENCE;
	int64_t end = now_ms() + patience;
	TRY(run(c, text, last, patience, USE_LINK, &reply));
	int theirs = reply ? atoi(reply) : -1;
	free(reply);
	out->fd = (int)syscall(SYS_pidfd_getfd, target_pidfd(call_target(c)), theirs, 0);
	if (out->fd < 0)
		return errno == ENOSYS
			? err_new(E_UNSUPPORTED, "this needs Linux 5.6 or later (pidfd_getfd)")
			: err_errno(errno == EPERM ? E_PERM : E_IO, errno, "pidfd_getfd");
	int64_t left = end - now_ms();
	if (link_send(out, 'h', "", left > 0 ? (int)left : 0))
		return NULL;
	err_t e = errno == ETIMEDOUT ? err_new(E_BUSY, "its loop takes nothing from the socket that it was asked for")
				     : err_new(E_GONE, "the target closed the connection");
	link_close(out);
	return e;
}

void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	strbuf_free(&l->in);
	strbuf_free(&l->body);
}

/* The socket may be one that blocks, or that nobody reads: that is the target's choice. */
static bool send_all(int fd, const char *p, size_t n, int64_t end)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0 && errno == EAGAIN) {
			int64_t left = end - now_ms();
			struct pollfd w = { .fd = fd, .events = POLLOUT };
			int r = poll(&w, 1, left > 0 ? (int)left : 0);
			if (r == 0)
				errno = ETIMEDOUT;
			if (r <= 0)
				return false;
			continue;
		}
		if (k < 0 && errno != EINTR)
			return false;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return true;
}

bool link_send(struct link *l, char kind, const char *text, int timeout_ms)
{
	size_t n = strlen(text);
	int64_t end = now_ms() + timeout_ms;
	unsigned char head[5] = { (unsigned char)kind, (unsigned char)n, (unsigned char)(n >> 8),
				  (unsigned char)(n >> 16), (unsigned char)(n >> 24) };
	return send_all(l->fd, (const char *)head, sizeof head, end) && send_all(l->fd, text, n, end);
}

/* Takes a whole message from what came. */
static bool take(struct link *l)
{
	const unsigned char *p = (const unsigned char *)l->in.s;
	if (l->in.len < 5)
		return false;
	size_t n = p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16 | (size_t)p[4] << 24;
	if (l->in.len < 5 + n)
		return false;
	l->kind = l->in.s[0];
	strbuf_clear(&l->body);
	strbuf_add(&l->body, l->in.s + 5, n);
	memmove(l->in.s, l->in.s + 5 + n, l->in.len - 5 - n);
	l->in.len -= 5 + n;
	return !l->body.failed;
}

enum link_got link_next(struct link *l, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	char buf[8192];
	while (!take(l)) {
		int64_t left = timeout_ms < 0 ? -1 : end - now_ms();
		struct pollfd p = { .fd = l->fd, .events = POLLIN };
		int r = poll(&p, 1, timeout_ms < 0 ? -1 : left > 0 ? (int)left : 0);
		if (r < 0 && errno == EINTR)
			return LINK_INTERRUPTED;
		if (r == 0)
			return LINK_TIMEOUT;
		ssize_t n = recv(l->fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0 || l->in.len > LONGEST)
			return LINK_CLOSED;
		strbuf_add(&l->in, buf, (size_t)n);
		if (l->in.failed)
			return LINK_CLOSED;
	}
	return LINK_MESSAGE;
}

static const struct thread_frame *innermost(const struct thread_stack *t)
{
	for (size_t i = t->nframes; i-- > 0;)
		if (t->frames[i].kind == FRAME_PYTHON)
			return &t->frames[i];
	return NULL;
}

/* In a new look: where that thread is, or that of the loop where tid is 0. */
static char *thread_at(struct call *c, pid_t tid, uint64_t loop)
{
	struct snapshot *s = NULL;
	struct strbuf b = { 0 };
	const struct thread_frame *f = NULL;
	err_t e = call_snapshot(c, SNAPSHOT_THREADS, &s);
	for (size_t i = 0; !e && !tid && i < s->nloops; i++)
		if (s->loops[i].id == loop)
			tid = s->loops[i].thread;
	for (size_t i = 0; !e && tid && i < s->nthreads; i++)
		if (s->threads[i].tid == tid)
			f = innermost(&s->threads[i]);
	if (f) {
		struct strbuf raw = { 0 };
		shape_place(&raw, f->function, f->file, f->line);
		strbuf_escaped(&b, raw.s ? raw.s : "");
		strbuf_free(&raw);
	}
	err_free(e);
	snapshot_free(s);
	return b.s;
}

char *link_thread_at(void *call, pid_t tid)
{
	return thread_at(call, tid, 0);
}

char *link_busy_with(struct call *c, uint64_t loop)
{
	return thread_at(c, 0, loop);
}

#include "serve/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"

enum { KIND_HEAD, KIND_BODY, KIND_END };

struct packet_head { uint32_t seq, kind; };

struct reply_head {
	int32_t status;
	uint64_t etag;
	char type[64], location[512];
};

const char *asked_field(const struct asked *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, name) == 0)
			return a->v[i].value;
	return NULL;
}

static bool send_whole(int fd, const struct iovec *v, size_t n, int flags)
{
	const struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n };
	ssize_t sent;
	do
		sent = sendmsg(fd, &m, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

static ssize_t receive(int fd, void *to, size_t n)
{
	ssize_t got;
	do
		got = recv(fd, to, n, MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	return got;
}

bool asked_send(int fd, const struct asked *a)
{
	struct strbuf b = { 0 };
	const uint32_t head[] = { a->seq, (a->post ? 1u : 0) | (a->openmetrics ? 2u : 0) };
	strbuf_add(&b, (const char *)head, sizeof head);
	strbuf_add(&b, (const char *)&a->until, sizeof a->until);
	strbuf_add(&b, a->path, strlen(a->path) + 1);
	for (size_t i = 0; i < a->n; i++) {
		strbuf_add(&b, a->v[i].name, strlen(a->v[i].name) + 1);
		strbuf_add(&b, a->v[i].value, strlen(a->v[i].value) + 1);
	}
	bool fine = !b.failed && b.len <= WIRE_PACKET && send_whole(fd, &(struct iovec){ b.s, b.len }, 1, MSG_DONTWAIT);
	strbuf_free(&b);
	return fine;
}

/* The string at *at, which is behind it then; NULL: none is whole. */
static const char *take_string(const char **at, const char *end)
{
	const char *s = *at, *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;
	if (nul)
		*at = nul + 1;
	return nul ? s : NULL;
}

bool asked_receive(int fd, char *packet, struct asked *a)
{
	ssize_t got = receive(fd, packet, WIRE_PACKET);
	uint32_t head[2];
	if (got < (ssize_t)(sizeof head + sizeof a->until) || got > WIRE_PACKET)
		return false;
	const char *at = packet + sizeof head + sizeof a->until, *end = packet + got;
	memcpy(head, packet, sizeof head);
	*a = (struct asked){ .seq = head[0], .post = head[1] & 1, .openmetrics = head[1] & 2 };
	memcpy(&a->until, packet + sizeof head, sizeof a->until);
	a->path = take_string(&at, end);
	while (a->path && a->n < WIRE_FIELDS) {
		const char *name = take_string(&at, end), *value = name ? take_string(&at, end) : NULL;
		if (!value)
			break;
		a->v[a->n++] = (struct field){ name, value };
	}
	return a->path != NULL;
}

bool reply_send(int fd, uint32_t seq, const struct reply *r)
{
	struct packet_head p = { seq, KIND_HEAD };
	struct reply_head h = { .status = r->status, .etag = r->etag };
	memcpy(h.type, r->type, sizeof h.type);
	memcpy(h.location, r->location, sizeof h.location);
	bool fine = send_whole(fd, (struct iovec[]){ { &p, sizeof p }, { &h, sizeof h } }, 2, 0);
	p.kind = KIND_BODY;
	for (size_t done = 0; fine && done < r->body.len;) {
		size_t n = r->body.len - done, most = WIRE_PACKET - sizeof p;
		n = n < most ? n : most;
		fine = send_whole(fd, (struct iovec[]){ { &p, sizeof p }, { r->body.s + done, n } }, 2, 0);
		done += n;
	}
	p.kind = KIND_END;
	return fine && send_whole(fd, &(struct iovec){ &p, sizeof p }, 1, 0);
}

/* One packet of this answer into r. */
static bool take_packet(struct reply *r, uint32_t kind, const char *bytes, size_t n)
{
	struct reply_head h;
	if (kind == KIND_BODY) {
		if (r->body.len + n > WIRE_BODY)
			return false;
		strbuf_add(&r->body, bytes, n);
		return !r->body.failed;
	}
	if (kind != KIND_HEAD || n != sizeof h)
		return kind == KIND_END;
	memcpy(&h, bytes, sizeof h);
	h.type[sizeof h.type - 1] = h.location[sizeof h.location - 1] = '\0';
	r->status = h.status;
	r->etag = h.etag;
	memcpy(r->type, h.type, sizeof r->type);
	memcpy(r->location, h.location, sizeof r->location);
	strbuf_clear(&r->body);
	return true;
}

/* packet: for WIRE_PACKET bytes. */
static enum reply_got receive_into(char *packet, int fd, uint32_t seq, struct reply *r, int64_t deadline)
{
	struct packet_head p = { 0 };
	r->status = 0;
	while (true) {
		int64_t left = (deadline - now_ns()) / 1000000;
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		int n = left > 0 ? poll(&ready, 1, (int)left) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? REPLY_LOST : REPLY_LATE;
		ssize_t got = receive(fd, packet, WIRE_PACKET);
		if (got < (ssize_t)sizeof p || got > WIRE_PACKET)
			return REPLY_LOST;
		memcpy(&p, packet, sizeof p);
		/* 0: whoever was to answer has been begun anew. */
		if (p.seq == 0)
			return REPLY_LOST;
		if (p.seq != seq)
			continue;
		if (!take_packet(r, p.kind, packet + sizeof p, (size_t)got - sizeof p))
			return REPLY_LOST;
		if (p.kind == KIND_END)
			return r->status ? REPLY_WHOLE : REPLY_LOST;
	}
}

enum reply_got reply_receive(int fd, uint32_t seq, struct reply *r, int64_t deadline)
{
	char *packet = malloc(WIRE_PACKET);
	r->status = 0;
	enum reply_got got = packet ? receive_into(packet, fd, seq, r, deadline) : REPLY_LOST;
	free(packet);
	return got;
}

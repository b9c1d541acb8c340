/* Waits for sockets, streams, servers and processes: down to the descriptor and who is
 * at its other end. Attribute names: Lib/asyncio/selector_events.py, unix_events.py,
 * sslproto.py, base_subprocess.py; aiohttp/base_protocol.py, connector.py. */
#include "tasks/waits.h"

#include <string.h>

#define LAYERS_MAX 4

static void say_fd(struct waiting *x)
{
	struct wait *wait = x->wait;
	if (wait->fd < 0)
		return;
	wait->detail = wait->peer ? arena_fmt(x->w->arena, "%s on fd %d", wait->peer, wait->fd)
				  : arena_fmt(x->w->arena, "fd %d", wait->fd);
}

static void say_peer(struct waiting *x, uint64_t transport)
{
	struct reader *r = &x->w->r;
	int64_t port;
	uint64_t peer = dict_get(r, attr_get(r, transport, "_extra"), "peername");
	const char *path = str_at(r, peer); /* a Unix socket's; empty where it has none */
	if (path) {
		x->wait->peer = *path ? path : NULL;
		return;
	}
	const char *host = str_at(r, seq_item(r, peer, 0));
	if (host && int_at(r, seq_item(r, peer, 1), &port))
		x->wait->peer = arena_fmt(x->w->arena, strchr(host, ':') ? "[%s]:%lld" : "%s:%lld", host,
					  (long long)port);
}

/* What lies below a TLS transport. */
static uint64_t below_tls(struct walk *w, uint64_t transport)
{
	uint64_t ssl = attr_get(&w->r, transport, "_ssl_protocol");
	if (ssl)
		return attr_get(&w->r, ssl, "_transport");
	ssl = uvloop_member(w, transport, "uvloop.loop.SSLProtocol");
	return ssl ? uvloop_member(w, ssl, "uvloop.loop.UVStream") : 0;
}

bool describe_transport(struct waiting *x, uint64_t transport)
{
	static const char *const fds[] = { "_sock_fd", "_fileno" };
	struct reader *r = &x->w->r;
	int64_t fd;
	for (int layer = 0; layer < LAYERS_MAX && !is_none(r, transport); layer++) {
		for (size_t i = 0; i < sizeof fds / sizeof *fds && x->wait->fd < 0; i++)
			if (int_at(r, attr_get(r, transport, fds[i]), &fd) && fd >= 0 && fd < 1 << 30)
				x->wait->fd = (int)fd;
		if (x->wait->fd < 0)
			x->wait->fd = uvloop_fd(x->w, transport);
		if (x->wait->fd >= 0) {
			say_peer(x, transport);
			say_fd(x);
			return true;
		}
		transport = below_tls(x->w, transport);
	}
	return false;
}

/* From a reader, writer or protocol to its transport: its own, or its protocol's. */
bool describe_stream(struct waiting *x)
{
	static const char *const through[] = { "_transport", "transport" };
	struct reader *r = &x->w->r;
	uint64_t protocol = attr_get(r, x->thing, "_protocol");
	uint64_t at[] = { x->thing, protocol, attr_get(r, protocol, "_over_ssl") ? protocol : 0 };
	int32_t fd;
	if (!x->thing)
		return false;
	x->timer = protocol;
	for (size_t k = 0; k < sizeof at / sizeof *at; k++)
		for (size_t i = 0; i < 2 && !is_none(r, at[k]); i++) {
			uint64_t t = attr_get(r, at[k], through[i]);
			if (!is_none(r, t) && describe_transport(x, t))
				return true;
		}
	/* anyio's Unix streams keep a bare socket. */
	uint64_t sock = attr_get(r, x->thing, "_raw_socket");
	if (!is_none(r, sock) && image_i32(r->img, sock + (uint64_t)r->l->object_size, &fd) && fd >= 0) {
		x->wait->fd = fd;
		say_fd(x);
	}
	return true;
}

/* PySocketSockObject (Modules/socketmodule.h): the descriptor follows the header. */
static int socket_fd(struct walk *w, uint64_t sock)
{
	int32_t fd;
	const struct type_info *t = object_type(&w->r, sock);
	for (int depth = 0; t && depth < 16; depth++, t = type_at(&w->r, t->base))
		if (strcmp(t->name, "_socket.socket") == 0)
			return image_i32(w->r.img, sock + (uint64_t)w->r.l->object_size, &fd) ? fd : -1;
	return -1;
}

bool describe_socket(struct waiting *x)
{
	x->wait->fd = socket_fd(x->w, x->thing);
	if (x->wait->fd < 0)
		return x->thing != 0;
	say_fd(x);
	return true;
}

static void say_listening(struct waiting *x, size_t more)
{
	x->wait->listening = true;
	x->wait->detail = more ? arena_fmt(x->w->arena, "listens on fd %d and %zu more", x->wait->fd, more)
			       : arena_fmt(x->w->arena, "listens on fd %d", x->wait->fd);
}

bool describe_server(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t sockets = attr_get(r, x->thing, "_sockets");
	int64_t n = seq_len(r, sockets);
	if (n < 1)
		return false;
	x->wait->fd = socket_fd(x->w, seq_item(r, sockets, 0));
	if (x->wait->fd >= 0)
		say_listening(x, (size_t)n - 1);
	return true;
}

/* BaseSubprocessTransport: the first of its pipes that is not closed; -1 none. */
static int open_pipe(struct reader *r, uint64_t transport)
{
	struct dict_iter it;
	uint64_t number, proto;
	int64_t fd;
	if (!dict_begin(r, attr_get(r, transport, "_pipes"), &it))
		return -1;
	while (dict_next(r, &it, &number, &proto))
		if (int_at(r, attr_get(r, attr_get(r, proto, "pipe"), "_fileno"), &fd) && fd >= 0 && fd < 1 << 30 &&
		    !is_none(r, attr_get(r, attr_get(r, proto, "pipe"), "_pipe")))
			return (int)fd;
	return -1;
}

/* A child that has exited is waited for until its pipes are closed, also by those that it
 * left them to. */
bool describe_process(struct waiting *x)
{
	struct reader *r = &x->w->r;
	int64_t pid, code;
	if (!x->thing)
		return false;
	uint64_t transport = attr_get(r, x->thing, "_transport");
	transport = is_none(r, transport) ? x->thing : transport;
	if (!int_at(r, attr_get(r, x->thing, "pid"), &pid) && !int_at(r, attr_get(r, transport, "_pid"), &pid))
		return true;
	if (!int_at(r, attr_get(r, transport, "_returncode"), &code)) {
		x->wait->detail = arena_fmt(x->w->arena, "pid %lld", (long long)pid);
		return true;
	}
	x->wait->fd = open_pipe(r, transport);
	x->wait->detail = arena_fmt(x->w->arena, code < 0 ? "pid %lld was ended by signal %lld"
							  : "pid %lld has exited with %lld",
				    (long long)pid, (long long)(code < 0 ? -code : code));
	if (x->wait->fd >= 0)
		x->wait->detail = arena_fmt(x->w->arena, "%s, its pipe fd %d is still open", x->wait->detail,
					    x->wait->fd);
	return true;
}

/* aiohttp's client waits for a connection of its pool to be given back. */
bool describe_connector(struct waiting *x)
{
	struct reader *r = &x->w->r;
	int64_t limit = 0, used = items_in(r, attr_get(r, x->thing, "_acquired"));
	if (used < 0 || !int_at(r, attr_get(r, x->thing, "_limit"), &limit))
		return false;
	x->wait->kind = WAIT_POOL;
	if (limit > 0) {
		x->wait->total = limit;
		x->wait->left = used < limit ? limit - used : 0;
	}
	x->wait->detail = arena_fmt(x->w->arena, "a free connection of %s (%lld of %lld in use)",
				    class_of(x, x->thing), (long long)used, (long long)limit);
	return true;
}

/* A list of servers among a uvloop Server's words. */
static void uvloop_server(struct waiting *x, uint64_t server)
{
	struct reader *r = &x->w->r;
	const struct type_info *t = object_type(r, server);
	for (int64_t i = 2; t && i < t->basicsize / 8 && i < 32; i++) {
		uint64_t list = field_at(r, server, (int32_t)(8 * i));
		if (!list || list % 8 || !image_range_at(r->img, list) || object_kind(r, list) != KIND_LIST)
			continue;
		x->wait->fd = uvloop_fd(x->w, seq_item(r, list, 0));
		if (x->wait->fd >= 0) {
			say_listening(x, (size_t)seq_len(r, list) - 1);
			return;
		}
	}
}

bool describe_cython(struct waiting *x)
{
	struct cython_coroutine c;
	if (!cython_read(x->w, x->w->chain_end, &c))
		return false;
	const char *name = c.qualname;
	uint64_t closure = c.closure;
	if (strcmp(name, "Server.serve_forever") == 0) {
		x->wait->kind = WAIT_SOCKET;
		x->wait->id = x->thing = uvloop_member(x->w, closure, "uvloop.loop.Server");
		uvloop_server(x, x->thing);
		return true;
	}
	if (strncmp(name, "Loop.sock_", 10) == 0) {
		x->wait->kind = WAIT_SOCKET;
		x->thing = uvloop_member(x->w, closure, "_socket.socket");
		x->wait->id = x->thing ? x->thing : x->t->fut_waiter;
		describe_socket(x);
		return true;
	}
	return false;
}

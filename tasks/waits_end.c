/* Waits for something to end or to be given: a server's connections, an executor's threads, a
 * call in a worker thread, a TLS handshake, a race, a pool's connection. Attribute names:
 * Lib/asyncio/base_events.py, selector_events.py, sslproto.py, staggered.py; anyio's
 * _backends/_asyncio.py, httpcore's _async/connection_pool.py, janus. */
#include "tasks/waits.h"

#include <stdlib.h>
#include <string.h>

#define TRANSPORTS_MAX 65536
#define NAMES_MAX 3

static bool true_at(struct reader *r, uint64_t obj)
{
	int64_t v;
	return int_at(r, obj, &v) && v;
}

/* The handler's task, where the stream keeps it (3.12+). */
static void handler_of(struct waiting *x, uint64_t transport, struct addrs *handlers)
{
	uint64_t protocol = attr_get(&x->w->r, transport, "_protocol");
	uint64_t task = attr_get(&x->w->r, protocol, "_task");
	if (is_task(object_kind(&x->w->r, task)) && future_state(x->w, task) == FUTURE_PENDING && !addrs_add(handlers, task))
		x->w->nomem = true;
}

/* The loop knows its transports weakly, by their descriptors. */
static int64_t connections(struct waiting *x, uint64_t server, uint64_t *first, struct addrs *handlers)
{
	struct reader *r = &x->w->r;
	struct dict_iter it;
	uint64_t key, value;
	int64_t n = 0, seen = 0;
	uint64_t transports = attr_get(r, attr_get(r, server, "_loop"), "_transports");
	if (!dict_begin(r, attr_get(r, transports, "data"), &it))
		return -1;
	while (seen++ < TRANSPORTS_MAX && dict_next(r, &it, &key, &value)) {
		uint64_t transport = weakref_get(r, value);
		if (!transport || attr_get(r, transport, "_server") != server)
			continue;
		*first = *first ? *first : transport;
		handler_of(x, transport, handlers);
		n++;
	}
	return n;
}

bool describe_server_close(struct waiting *x)
{
	struct reader *r = &x->w->r;
	struct addrs handlers = { 0 };
	uint64_t first = 0;
	if (!attr_get(r, x->thing, "_waiters"))
		return false;
	int64_t n = connections(x, x->thing, &first, &handlers);
	if (n < 0 && !int_at(r, attr_get(r, x->thing, "_active_count"), &n))
		n = -1;
	if (first)
		describe_transport(x, first);
	const char *where = x->wait->detail;
	x->wait->left = n;
	x->wait->tasks = arena_dup(x->w->arena, handlers.v, handlers.n * sizeof *handlers.v);
	x->wait->ntasks = x->wait->tasks ? handlers.n : 0;
	if (!is_none(r, attr_get(r, x->thing, "_sockets")))
		x->wait->detail = "the server has not been closed";
	else if (n == 1 && where)
		x->wait->detail = arena_fmt(x->w->arena, "1 connection is still open: %s", where);
	else if (n > 0)
		x->wait->detail = arena_fmt(x->w->arena, "%lld connection%s still open%s%s", (long long)n,
					    n == 1 ? " is" : "s are", where ? ", one is " : "", where ? where : "");
	free(handlers.v);
	return true;
}

/* The calls that an executor's threads are in. */
static const char *running(struct waiting *x, size_t executor)
{
	struct walk *w = x->w;
	const char *names = "";
	size_t n = 0;
	for (size_t i = 0; i < w->jobs.n; i++) {
		const struct job *j = &w->jobs.v[i];
		if (j->executor != executor || !j->running || n++ >= NAMES_MAX)
			continue;
		names = arena_fmt(w->arena, "%s%s %s()", names, n == 1 ? ":" : ",", j->name ? j->name : "a function");
	}
	return n > NAMES_MAX ? arena_fmt(w->arena, "%s, …", names) : names;
}

bool describe_shutdown(struct waiting *x)
{
	struct walk *w = x->w;
	uint64_t executor = attr_get(&w->r, x->thing, "_default_executor");
	if (is_none(&w->r, executor))
		return false;
	x->wait->id = executor;
	x->wait->detail = class_of(x, executor);
	for (size_t i = 0; i < w->executors.n; i++) {
		const struct executor *e = &w->executors.v[i];
		if (e->id != executor || e->busy < 0)
			continue;
		x->wait->total = e->workers;
		x->wait->left = e->busy;
		x->wait->detail = arena_fmt(w->arena, "%lld of %lld threads of %s busy%s", (long long)e->busy,
					    (long long)e->workers, e->kind, running(x, i));
	}
	return true;
}

/* anyio's own worker threads, of which a limiter says how many may be. */
bool describe_worker_thread(struct waiting *x)
{
	struct reader *r = &x->w->r;
	const char *name = callable_name(x->w, x->thing);
	uint64_t limiter = local_get(r, x->frame, "limiter");
	int64_t total, used = items_in(r, attr_get(r, limiter, "_borrowers"));
	if (!x->thing)
		return false;
	x->wait->id = x->t->fut_waiter;
	wait_thread(x, walk_worker_thread(x->w, x->wait->id));
	x->wait->detail = arena_fmt(x->w->arena, "%s() in a worker thread", name ? name : "a function");
	if (used >= 0 && int_at(r, attr_get(r, limiter, "_total_tokens"), &total) && total >= used) {
		x->wait->total = total;
		x->wait->left = total - used;
		x->wait->detail = arena_fmt(x->w->arena, "%s (%lld of %lld)", x->wait->detail, (long long)used,
					    (long long)total);
	}
	return true;
}

/* _create_connection_transport() and start_tls() await what the protocol sets when it is
 * connected: at once without TLS. */
bool describe_handshake(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t ssl = local_get(r, x->frame, "ssl"), sslcontext = local_get(r, x->frame, "sslcontext");
	const char *host = str_at(r, local_get(r, x->frame, "server_hostname"));
	bool plain = is_none(r, sslcontext) && (is_none(r, ssl) || (object_kind(r, ssl) == KIND_BOOL && !true_at(r, ssl)));
	if (!x->thing)
		return false;
	if (plain)
		x->wait->kind = WAIT_SOCKET;
	describe_transport(x, x->thing);
	if (!plain)
		x->wait->detail = arena_fmt(x->w->arena, "handshake%s%s%s%s", host && *host ? " with " : "",
					    host ? host : "", x->wait->detail ? ", " : "",
					    x->wait->detail ? x->wait->detail : "");
	return true;
}

bool describe_race(struct waiting *x)
{
	if (!children_of(x, x->thing))
		return false;
	x->wait->id = x->t->fut_waiter;
	x->wait->detail = arena_fmt(x->w->arena, "the first of %lld that succeeds, %lld left",
				    (long long)x->wait->total, (long long)x->wait->left);
	return true;
}

/* The frame further in is the one that asks the pool for a connection. */
bool describe_httpcore(struct waiting *x)
{
	struct walk *w = x->w;
	const struct pyframe *next = x->frame + 1;
	int64_t max, used = items_in(&w->r, attr_get(&w->r, x->thing, "_connections"));
	if (next >= w->chain.v + w->chain.n || !next->code || !next->code->name ||
	    strcmp(next->code->name, "wait_for_connection") != 0)
		return false;
	x->wait->detail = arena_fmt(w->arena, "a free connection of %s", class_of(x, x->thing));
	if (used >= 0 && int_at(&w->r, attr_get(&w->r, x->thing, "_max_connections"), &max) && max > 0) {
		x->wait->total = max;
		x->wait->left = used < max ? max - used : 0;
		x->wait->detail = arena_fmt(w->arena, "%s (%lld of %lld in use)", x->wait->detail, (long long)used,
					    (long long)max);
	}
	return true;
}

bool describe_janus(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t queue = attr_get(r, x->thing, "_parent");
	if (!queue)
		return false;
	x->wait->id = queue;
	return describe_queue_of(x, queue);
}

/* anyio's sockets: of datagrams they have a queue of packets. */
bool describe_anyio_receive(struct waiting *x)
{
	if (strstr(class_of(x, x->thing), "UDP") || strstr(class_of(x, x->thing), "UNIXDatagram"))
		x->wait->kind = WAIT_SOCKET;
	return describe_stream(x);
}

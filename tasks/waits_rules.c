/* Where libraries wait: a row for each function that does. A function is told by the
 * end of its file's path and its name; where one file has several of a name, the
 * describer tells them apart by what the object has. */
#include "tasks/waits.h"

#include <string.h>

static const struct wait_rule rules[] = {
	{ "asyncio/tasks.py", "sleep", 0, WAIT_SLEEP, NULL, NULL },
	{ "asyncio/tasks.py", "_wait", 0, WAIT_WAIT, "fs", describe_wait },
	{ "asyncio/tasks.py", "wait_for", 0, WAIT_TASK, "fut", describe_wait_for },
	{ "asyncio/tasks.py", "_cancel_and_wait", 0, WAIT_TASK, "fut", describe_cancelled },
	{ "asyncio/tasks.py", "_wait_for_one", 1, WAIT_WAIT, NULL, describe_as_completed },
	/* as_completed()._wait_for_one up to 3.12 is the same row. */
	{ "asyncio/locks.py", "acquire", 0, WAIT_LOCK, "self", describe_lock },
	{ "asyncio/locks.py", "wait", 0, WAIT_EVENT, "self", describe_locks_wait },
	{ "asyncio/locks.py", "_wait", 2, WAIT_BARRIER, "self", describe_barrier },
	{ "asyncio/locks.py", "_block", 2, WAIT_BARRIER, "self", describe_barrier },
	{ "asyncio/queues.py", "get", 0, WAIT_QUEUE_GET, "self", describe_queue },
	{ "asyncio/queues.py", "put", 0, WAIT_QUEUE_PUT, "self", describe_queue },
	{ "asyncio/queues.py", "join", 1, WAIT_QUEUE_JOIN, "self", describe_queue },
	{ "asyncio/threads.py", "to_thread", 0, WAIT_EXECUTOR, NULL, describe_call },
	{ "asyncio/base_subprocess.py", "_wait", 1, WAIT_SUBPROCESS, "self", describe_process },
	{ "asyncio/subprocess.py", "wait", 1, WAIT_SUBPROCESS, "self", describe_process },
	{ "asyncio/base_events.py", "serve_forever", 0, WAIT_SOCKET, "self", describe_server },
	{ "asyncio/base_events.py", "wait_closed", 0, WAIT_SERVER_CLOSE, "self", describe_server_close },
	{ "asyncio/base_events.py", "shutdown_default_executor", 0, WAIT_SHUTDOWN, "self", describe_shutdown },
	{ "asyncio/base_events.py", "_create_connection_transport", 0, WAIT_TLS, "transport", describe_handshake },
	{ "asyncio/base_events.py", "start_tls", 0, WAIT_TLS, "transport", describe_handshake },
	{ "asyncio/base_events.py", "create_datagram_endpoint", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/staggered.py", "staggered_race", 2, WAIT_WAIT, "running_tasks", describe_race },
	{ "asyncio/streams.py", "_wait_for_data", 0, WAIT_STREAM_READ, "self", describe_stream },
	{ "asyncio/streams.py", "drain", 1, WAIT_STREAM_WRITE, "self", describe_stream },
	{ "asyncio/streams.py", "_drain_helper", 0, WAIT_STREAM_WRITE, "self", describe_stream },
	{ "asyncio/streams.py", "wait_closed", 0, WAIT_STREAM_WRITE, "self", describe_stream },
	{ "asyncio/selector_events.py", "sock_recv", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_recv_into", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_recvfrom", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_recvfrom_into", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_sendall", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_sendto", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_connect", 0, WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_accept", 0, WAIT_SOCKET, "sock", describe_socket },
	/* asyncio.TaskGroup, aiotools' groups and scopes, and what is built like them. */
	{ NULL, "__aexit__", 0, WAIT_TASKGROUP, "self", describe_group },
	{ NULL, "_aexit", 0, WAIT_TASKGROUP, "self", describe_group },
	{ NULL, "_wait_completion", 0, WAIT_TASKGROUP, "self", describe_group },
	{ "aiohttp/streams.py", "_wait", 0, WAIT_STREAM_READ, "self", describe_stream },
	{ "aiohttp/streams.py", "read", 0, WAIT_STREAM_READ, "self", describe_stream },
	{ "aiohttp/base_protocol.py", "_drain_helper", 0, WAIT_STREAM_WRITE, "self", describe_stream },
	{ "aiohttp/web_protocol.py", "start", 0, WAIT_STREAM_READ, "self", describe_stream },
	{ "aiohttp/connector.py", "connect", 0, WAIT_POOL, "self", describe_connector },
	{ "aiohttp/connector.py", "_wait_for_available_connection", 0, WAIT_POOL, "self", describe_connector },
	{ "_websocket/reader_py.py", "read", 0, WAIT_STREAM_READ, "self", describe_stream },
	{ "anyio/_core/_synchronization.py", "acquire", 2, WAIT_LOCK, "self", describe_lock },
	{ "anyio/_core/_synchronization.py", "wait", 2, WAIT_CONDITION, "self", describe_locks_wait },
	{ "anyio/_backends/_asyncio.py", "acquire", 0, WAIT_LOCK, "self", describe_lock },
	{ "anyio/_backends/_asyncio.py", "acquire_on_behalf_of", 1, WAIT_SEMAPHORE, "self", describe_limiter },
	{ "anyio/_backends/_asyncio.py", "__aexit__", 2, WAIT_TASKGROUP, "self", describe_anyio_group },
	{ "anyio/_backends/_asyncio.py", "receive", 2, WAIT_STREAM_READ, "self", describe_anyio_receive },
	{ "anyio/_backends/_asyncio.py", "send", 1, WAIT_STREAM_WRITE, "self", describe_stream },
	{ "anyio/_backends/_asyncio.py", "wait_socket_readable", 1, WAIT_SOCKET, "sock", describe_socket },
	{ "anyio/_backends/_asyncio.py", "wait_socket_writable", 1, WAIT_SOCKET, "sock", describe_socket },
	{ "anyio/_backends/_asyncio.py", "run_sync_in_worker_thread", 0, WAIT_THREAD, "func", describe_worker_thread },
	{ "httpcore/_async/connection_pool.py", "handle_async_request", 4, WAIT_POOL, "self", describe_httpcore },
	{ "janus/__init__.py", "get", 1, WAIT_QUEUE_GET, "self", describe_janus },
	{ "janus/__init__.py", "put", 1, WAIT_QUEUE_PUT, "self", describe_janus },
	{ "janus/__init__.py", "join", 1, WAIT_QUEUE_JOIN, "self", describe_janus },
	{ "anyio/streams/memory.py", "receive", 2, WAIT_QUEUE_GET, "self", describe_memory_stream },
	{ "anyio/streams/memory.py", "send", 2, WAIT_QUEUE_PUT, "self", describe_memory_stream },
};
#define NRULES (sizeof rules / sizeof *rules)

static bool in_file(const char *path, const char *end)
{
	size_t n, m = strlen(end);
	if (!path)
		return false;
	n = strlen(path);
	return n >= m && strcmp(path + n - m, end) == 0 && (n == m || path[n - m - 1] == '/');
}

/* A row that names a file goes before one that does not. */
static size_t find(const struct code_folders *folders, const struct code *c)
{
	bool asyncio = code_owner(folders, c->file) == CODE_ASYNCIO;
	size_t any = 0;
	for (size_t i = 0; c->name && i < NRULES; i++) {
		if (strcmp(c->name, rules[i].function) != 0)
			continue;
		if (rules[i].file && strncmp(rules[i].file, "asyncio/", 8) == 0 && !asyncio)
			continue;
		if (rules[i].file && in_file(c->file, rules[i].file))
			return i + 1;
		if (!rules[i].file)
			any = i + 1;
	}
	return any;
}

const struct wait_rule *wait_rule_of(struct walk *w, const struct code *c)
{
	uint64_t i;
	if (!map_get(&w->rules, c->addr, &i)) {
		i = find(&w->s->folders, c);
		if (!map_set(&w->rules, c->addr, i))
			w->nomem = true;
	}
	return i ? &rules[i - 1] : NULL;
}

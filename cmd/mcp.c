/* mcp: the read-only commands as tools of the Model Context Protocol, on standard input and
 * output: JSON-RPC 2.0, a message a line (modelcontextprotocol.io, transport "stdio").
 *
 * Each call runs this program again with --json, one after the other, so that a look that
 * fails, hangs or is cancelled is a process that ends. While one runs, messages are read. */
#include "cmd/command.h"
#include "cmd/mcp_page.h"
#include "cmd/mcp_tools.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_BYTES ((size_t)1 << 20)
#define ANSWER_BYTES ((size_t)64 << 20)
#define WAITING_CALLS 64

enum rpc_error { RPC_PARSE = -32700, RPC_REQUEST = -32600, RPC_METHOD = -32601, RPC_PARAMS = -32602 };

/* The newest first; a client that asks for another one is offered that. */
static const char *const versions[] = { "2025-11-25", "2025-06-18", "2024-11-05" };

struct request { struct json_value *message; };

struct mcp {
	struct out out;          /* to the client */
	struct strbuf line;      /* read, not a whole message yet */
	bool skipping;           /* the rest of a line that is too long */
	struct VEC(struct request) waiting;
	struct json_value *called; /* whose command runs, or NULL */
	pid_t pid;
	int from;                /* its output */
	struct strbuf answer;
	/* The last look, for its other pages: its command line, and what it said. */
	struct strbuf asked;
	struct json_value *look;
};

/* ---- what is sent ---- */

static void send_line(struct mcp *m)
{
	strbuf_char(&m->out.b, '\n');
	out_flush(&m->out);
}

/* The id of a request as it was written, which is a string or a number. */
static void begin(struct mcp *m, const struct json_value *request)
{
	const struct json_value *id = json_get(request, "id");
	strbuf_str(&m->out.b, "{\"jsonrpc\":\"2.0\",\"id\":");
	json_write(&m->out.b, id);
}

static void send_error(struct mcp *m, const struct json_value *request, enum rpc_error code, const char *message)
{
	struct json j = { .out = &m->out };
	begin(m, request);
	strbuf_fmt(&m->out.b, ",\"error\":{\"code\":%d,\"message\":", code);
	json_str(&j, message);
	strbuf_str(&m->out.b, "}}");
	send_line(m);
}

/* The outcome of a tool: text, which is JSON but for failures of our own. */
static void send_text(struct mcp *m, const struct json_value *request, const char *text, bool failed)
{
	struct json j = { .out = &m->out };
	begin(m, request);
	strbuf_str(&m->out.b, ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
	json_str(&j, text);
	strbuf_fmt(&m->out.b, "}],\"isError\":%s}}", failed ? "true" : "false");
	send_line(m);
}

static void send_err(struct mcp *m, const struct json_value *request, err_t e)
{
	if (err_code(e) == E_NOTFOUND)
		send_error(m, request, RPC_PARAMS, e->msg);
	else
		send_text(m, request, e->msg, true);
	err_free(e);
}

/* ---- requests ---- */

static void initialize(struct mcp *m, const struct json_value *request)
{
	struct json j = { .out = &m->out };
	const char *asked = json_get_str(json_get(json_get(request, "params"), "protocolVersion"));
	const char *version = versions[0];
	for (size_t i = 0; asked && i < sizeof versions / sizeof *versions; i++)
		if (strcmp(asked, versions[i]) == 0)
			version = versions[i];
	begin(m, request);
	strbuf_str(&m->out.b, ",\"result\":{\"protocolVersion\":");
	json_str(&j, version);
	strbuf_str(&m->out.b, ",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"asyncmon\",\"version\":\""
			      ASYNCMON_VERSION "\"},\"instructions\":");
	j.comma = false;
	json_str(&j, "Looks at the asyncio tasks of running Python processes and of core dumps, from outside, and changes "
		     "nothing in them. To find out why a program hangs ask \"why\" and \"check\" first, then \"ps\" with "
		     "group-by, then \"where\" for single tasks. A long answer comes in pages: go on with \"next\" as offset.");
	strbuf_str(&m->out.b, "}}");
	send_line(m);
}

static void list_tools(struct mcp *m, const struct json_value *request)
{
	struct json j = { .out = &m->out };
	begin(m, request);
	strbuf_str(&m->out.b, ",\"result\":{\"tools\":");
	mcp_tools_list(&j);
	strbuf_str(&m->out.b, "}}");
	send_line(m);
}

static void send_page(struct mcp *m, const struct json_value *request)
{
	struct strbuf b = { 0 };
	int64_t offset = 0;
	json_get_int(json_get(json_get(json_get(request, "params"), "arguments"), "offset"), &offset);
	err_t e = mcp_page(&b, m->look, offset > 0 ? (size_t)offset : 0);
	if (e)
		send_err(m, request, e);
	else
		send_text(m, request, b.s, json_get(m->look, "error") != NULL);
	strbuf_free(&b);
}

/* Runs the command; its output comes by m->from. */
static err_t start(struct mcp *m, char **argv)
{
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC))
		return err_errno(E_IO, errno, "pipe");
	pid_t parent = getpid();
	m->pid = fork();
	if (m->pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0 || dup2(null, 0) < 0 || dup2(pipes[1], 1) < 0 || dup2(null, 2) < 0)
			_exit(127);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent)
			execv("/proc/self/exe", argv);
		_exit(127);
	}
	int errnum = errno;
	close(pipes[1]);
	if (m->pid < 0) {
		close(pipes[0]);
		return err_errno(E_IO, errnum, "fork");
	}
	m->from = pipes[0];
	strbuf_clear(&m->answer);
	return NULL;
}

/* Begins a call, or answers it at once; true where its command runs and `request` is kept. */
static bool call_tool(struct mcp *m, struct json_value *request)
{
	const struct json_value *params = json_get(request, "params"), *arguments = json_get(params, "arguments");
	const struct json_value *offset = json_get(arguments, "offset");
	const char *tool = json_get_str(json_get(params, "name"));
	struct mcp_words words = { 0 };
	struct strbuf asked = { 0 };
	int64_t from = 0;
	if (!tool || (arguments && !json_is_object(arguments)) || (offset && (!json_get_int(offset, &from) || from < 0))) {
		send_error(m, request, RPC_PARAMS, "a call names a tool, and its arguments are an object; offset is a number");
		return false;
	}
	err_t e = mcp_tools_words(tool, arguments, &words);
	for (size_t i = 0; !e && i + 1 < words.n; i++)
		strbuf_add(&asked, words.v[i], strlen(words.v[i]) + 1);
	if (!e && asked.failed)
		e = ERR_NOMEM;
	bool known = from && m->look && asked.len == m->asked.len && memcmp(asked.s, m->asked.s, asked.len) == 0;
	if (!e && !known)
		e = start(m, words.v);
	bool runs = !e && !known;
	if (e)
		send_err(m, request, e);
	else if (known)
		send_page(m, request);
	if (runs) {
		m->called = request;
		strbuf_free(&m->asked);
		m->asked = asked;
		asked = (struct strbuf){ 0 };
	}
	strbuf_free(&asked);
	mcp_words_free(&words);
	return runs;
}

/* The command has ended, or said too much. */
static void finish(struct mcp *m, bool too_much)
{
	int status;
	if (too_much)
		kill(m->pid, SIGTERM);
	close(m->from);
	while (waitpid(m->pid, &status, 0) < 0 && errno == EINTR)
		;
	json_read_free(m->look);
	m->look = NULL;
	err_t e = NULL;
	if (too_much)
		e = err_new(E_BADDATA, "the answer is larger than %zu MB: filter what is asked for", ANSWER_BYTES >> 20);
	else if (!m->answer.len)
		e = err_new(E_IO, "the command ended without an answer (%s %d)", WIFSIGNALED(status) ? "signal" : "status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	else
		e = json_read(m->answer.s, m->answer.len, &m->look);
	if (e)
		send_err(m, m->called, e);
	else
		send_page(m, m->called);
	strbuf_free(&m->answer);
	json_read_free(m->called);
	m->called = NULL;
}

/* ---- what comes ---- */

static bool same_id(const struct json_value *a, const struct json_value *b)
{
	struct strbuf x = { 0 }, y = { 0 };
	json_write(&x, a);
	json_write(&y, b);
	bool same = a && b && x.s && y.s && strcmp(x.s, y.s) == 0;
	strbuf_free(&x);
	strbuf_free(&y);
	return same;
}

/* The client no longer wants that answer: none is sent. */
static void cancelled(struct mcp *m, const struct json_value *message)
{
	const struct json_value *id = json_get(json_get(message, "params"), "requestId");
	if (m->called && same_id(id, json_get(m->called, "id"))) {
		int status;
		kill(m->pid, SIGTERM);
		close(m->from);
		while (waitpid(m->pid, &status, 0) < 0 && errno == EINTR)
			;
		json_read_free(m->called);
		m->called = NULL;
		strbuf_clear(&m->asked);
		return;
	}
	for (size_t i = 0; i < m->waiting.n; i++)
		if (same_id(id, json_get(m->waiting.v[i].message, "id"))) {
			json_read_free(m->waiting.v[i].message);
			memmove(&m->waiting.v[i], &m->waiting.v[i + 1], (m->waiting.n - i - 1) * sizeof *m->waiting.v);
			m->waiting.n--;
			return;
		}
}

static void wait_for_turn(struct mcp *m, struct json_value *request)
{
	if (m->waiting.n < WAITING_CALLS && vec_push(&m->waiting, (struct request){ request }))
		return;
	send_text(m, request, "too many calls wait already", true);
	json_read_free(request);
}

/* One message, which it takes. */
static void hear(struct mcp *m, struct json_value *message)
{
	const char *method = json_get_str(json_get(message, "method"));
	if (!json_get(message, "id")) {
		if (!json_is_object(message) || !method)
			send_error(m, NULL, RPC_REQUEST, "this is no request");
		else if (strcmp(method, "notifications/cancelled") == 0)
			cancelled(m, message);
	} else if (!method) {
		/* An answer: nothing was asked of the client. */
	} else if (strcmp(method, "tools/call") == 0) {
		wait_for_turn(m, message);
		return;
	} else if (strcmp(method, "initialize") == 0) {
		initialize(m, message);
	} else if (strcmp(method, "tools/list") == 0) {
		list_tools(m, message);
	} else if (strcmp(method, "ping") == 0) {
		begin(m, message);
		strbuf_str(&m->out.b, ",\"result\":{}}");
		send_line(m);
	} else {
		send_error(m, message, RPC_METHOD, "there is no such method here");
	}
	json_read_free(message);
}

static void hear_line(struct mcp *m, const char *text, size_t n)
{
	struct json_value *message;
	if (strspn(text, " \t\r") >= n)
		return;
	err_t e = json_read(text, n, &message);
	if (e)
		send_error(m, NULL, RPC_PARSE, e->msg);
	else
		hear(m, message);
	err_free(e);
}

/* False at the end of input. */
static bool hear_input(struct mcp *m)
{
	char buf[4096];
	ssize_t got = read(0, buf, sizeof buf);
	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN);
	for (const char *p = buf, *end = buf + got; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p)), *until = stop ? stop : end;
		if (!m->skipping)
			strbuf_add(&m->line, p, (size_t)(until - p));
		if (m->line.len > LINE_BYTES || m->line.failed) {
			strbuf_free(&m->line);
			send_error(m, NULL, RPC_PARSE, "this message is too long");
			m->skipping = true;
		}
		if (stop && !m->skipping && m->line.len)
			hear_line(m, m->line.s, m->line.len);
		if (stop) {
			strbuf_clear(&m->line);
			m->skipping = false;
		}
		p = stop ? stop + 1 : end;
	}
	return true;
}

static void hear_command(struct mcp *m)
{
	char buf[1 << 13];
	ssize_t got = read(m->from, buf, sizeof buf);
	if (got < 0 && errno == EINTR)
		return;
	if (got > 0)
		strbuf_add(&m->answer, buf, (size_t)got);
	if (got <= 0 || m->answer.len > ANSWER_BYTES || m->answer.failed)
		finish(m, got > 0);
}

static void next_call(struct mcp *m)
{
	while (!m->called && m->waiting.n) {
		struct json_value *request = m->waiting.v[0].message;
		memmove(m->waiting.v, m->waiting.v + 1, --m->waiting.n * sizeof *m->waiting.v);
		if (!call_tool(m, request))
			json_read_free(request);
	}
}

static int mcp_run(struct call *c)
{
	struct mcp m = { .out = { .fd = 1 } };
	(void)c;
	/* What was asked before the input ended is answered still. */
	for (bool open = true; (open || m.called || m.waiting.n) && !m.out.errnum; next_call(&m)) {
		struct pollfd p[] = { { .fd = open ? 0 : -1, .events = POLLIN },
				      { .fd = m.called ? m.from : -1, .events = POLLIN } };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			hear_command(&m);
		if (p[0].revents)
			open = hear_input(&m);
	}
	if (m.called) {
		kill(m.pid, SIGTERM);
		waitpid(m.pid, NULL, 0);
		close(m.from);
	}
	int status = m.out.errnum ? STATUS_ATTACH : STATUS_FINE;
	for (size_t i = 0; i < m.waiting.n; i++)
		json_read_free(m.waiting.v[i].message);
	vec_free(&m.waiting);
	json_read_free(m.called);
	json_read_free(m.look);
	strbuf_free(&m.line);
	strbuf_free(&m.answer);
	strbuf_free(&m.asked);
	out_free(&m.out);
	return status;
}

const struct command cmd_mcp = {
	.name = "mcp",
	.arguments = "",
	.summary = "the read-only commands as tools for AI assistants",
	.description = "Serves the Model Context Protocol on standard input and output: ps, tree, where, why, check, "
		       "stacktrace, flame, ps-terminated and where-terminated are tools, with their options as arguments. "
		       "Answers are the JSON of --json, in pages of some 32 kB. Nothing that acts on a target is among "
		       "them. It is started by the client: \"command\": \"asyncmon\", \"args\": [\"mcp\"].",
	.flags = CMD_NO_SESSION,
	.run = mcp_run,
};

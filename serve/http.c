#include "serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/drop.h"
#include "serve/files.h"
#include "serve/form.h"
#include "serve/http_reply.h"
#include "serve/wire.h"

#define CONNECTIONS 64
#define IDLE_S 15u
/* From a connection's start, or the end of its last request, to the end of a request. */
#define REQUEST_S 60.0
#define ANSWER_NS 30000000000ll
#define MEMORY (32u << 10)
#define STACK (256u << 10)
#define BODY_MAX 4096

struct server {
	const struct entry *entry;
	int channel;
	pthread_mutex_t asking;
	uint32_t seq;
	pthread_mutex_t watching;
	struct { int fd; double since; } open[CONNECTIONS];
};

/* A request, from its first header to its end. */
struct request {
	struct strbuf body;
	bool too_long;
	struct form form;
};

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* ---- connections that take too long ---- */

static void watch_connection(struct server *s, int fd, bool ended)
{
	size_t at = CONNECTIONS;
	pthread_mutex_lock(&s->watching);
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (s->open[i].fd == fd || (at == CONNECTIONS && s->open[i].fd < 0))
			at = i;
	if (at < CONNECTIONS) {
		s->open[at].fd = ended ? -1 : fd;
		s->open[at].since = now_seconds();
	}
	pthread_mutex_unlock(&s->watching);
}

static int socket_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	return i ? i->connect_fd : -1;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **socket_ctx, enum MHD_ConnectionNotificationCode code)
{
	(void)socket_ctx;
	watch_connection(ctx, socket_of(c), code == MHD_CONNECTION_NOTIFY_CLOSED);
}

static void end_slow(struct server *s)
{
	double now = now_seconds();
	pthread_mutex_lock(&s->watching);
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (s->open[i].fd >= 0 && now - s->open[i].since > REQUEST_S)
			shutdown(s->open[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->watching);
}

/* ---- who may come in ---- */

static bool is_for_programs(const char *path)
{
	return strcmp(path, "/metrics") == 0 || strncmp(path, "/api/", 5) == 0;
}

/* The token was right: the page again, without it in the URL, and with the cookie. */
static enum MHD_Result let_in(struct server *s, struct MHD_Connection *c, const char *path, const struct form *f)
{
	struct strbuf b = { 0 };
	char cookie[128];
	form_location(&b, path, f, "token");
	snprintf(cookie, sizeof cookie, "%s=%s; HttpOnly; SameSite=Strict; Path=/", s->entry->cookie_name, s->entry->cookie);
	enum MHD_Result r = b.failed ? MHD_NO : http_redirect(c, b.s, cookie);
	strbuf_free(&b);
	return r;
}

/* True: it was answered, with *r. */
static bool turned_away(struct server *s, struct MHD_Connection *c, const char *path, bool post,
			const struct form *f, enum MHD_Result *r)
{
	const char *host = header(c, "Host"), *token = form_value(f, "token");
	const char *site = header(c, "Sec-Fetch-Site");
	if (!entry_host(s->entry, host))
		*r = http_error(c, 421, "This server does not go by the name that the request has in Host. "
				"Use its address, or start it with --host NAME.");
	else if (!entry_origin(header(c, "Origin"), host) || (post && site && strcmp(site, "same-origin") != 0))
		*r = http_error(c, 403, "This request comes from a page of another site.");
	else if (entry_cookie(s->entry, header(c, "Cookie")) || (!post && entry_bearer(s->entry, header(c, "Authorization"))))
		return false;
	else if (!post && secret_equal(s->entry->token, token) && is_for_programs(path))
		return false;
	else if (!post && secret_equal(s->entry->token, token))
		*r = let_in(s, c, path, f);
	else
		*r = http_error(c, 401, "Open the URL that asyncmon serve printed when it started: it has the token.");
	return true;
}

/* ---- requests ---- */

static enum MHD_Result ask(struct server *s, struct MHD_Connection *c, struct asked *a)
{
	struct reply r = { 0 };
	const char *accept = header(c, "Accept");
	a->openmetrics = accept && strstr(accept, "application/openmetrics-text");
	a->until = now_ns() + ANSWER_NS;
	pthread_mutex_lock(&s->asking);
	/* 0 is what one begun anew says. */
	a->seq = ++s->seq ? s->seq : ++s->seq;
	enum reply_got got = now_ns() >= a->until ? REPLY_LATE
		: asked_send(s->channel, a) ? reply_receive(s->channel, a->seq, &r, a->until) : REPLY_LOST;
	pthread_mutex_unlock(&s->asking);
	enum MHD_Result out;
	if (got == REPLY_LATE)
		out = http_error(c, 504, "The look at the target takes too long.");
	else if (got == REPLY_LOST)
		out = http_error(c, 503, "The look at the target failed. Try again.");
	else if (r.location[0])
		out = http_redirect(c, r.location, NULL);
	else
		out = http_reply(c, &r);
	strbuf_free(&r.body);
	return out;
}

static enum MHD_Result file(struct MHD_Connection *c, const struct served_file *f)
{
	struct reply r = { .status = 200, .etag = f->etag };
	snprintf(r.type, sizeof r.type, "%s", f->type);
	strbuf_add(&r.body, f->bytes, f->n);
	enum MHD_Result out = r.body.failed ? MHD_NO : http_reply(c, &r);
	strbuf_free(&r.body);
	return out;
}

/* The fields of what is asked for, without those that are ours. */
static void fields_of(const struct form *f, struct asked *a)
{
	for (size_t i = 0; i < f->n && a->n < WIRE_FIELDS; i++)
		if (strcmp(f->v[i].name, "token") != 0 && strcmp(f->v[i].name, "form") != 0)
			a->v[a->n++] = f->v[i];
}

static enum MHD_Result answer(struct server *s, struct MHD_Connection *c, const char *path, bool post, struct request *q)
{
	enum MHD_Result r = MHD_NO;
	struct asked a = { .path = path, .post = post };
	if (turned_away(s, c, path, post, &q->form, &r))
		return r;
	if (post && !secret_equal(s->entry->form, form_value(&q->form, "form")))
		return http_error(c, 403, "The form is of an earlier run of the server. Load the page again.");
	const struct served_file *f = post ? NULL : file_find(path);
	if (f)
		return f->n ? file(c, f) : http_error(c, 404, "This was not there when asyncmon was built.");
	fields_of(&q->form, &a);
	return ask(s, c, &a);
}

static bool is_form(struct MHD_Connection *c)
{
	static const char type[] = "application/x-www-form-urlencoded";
	const char *given = header(c, "Content-Type");
	return given && strncasecmp(given, type, sizeof type - 1) == 0;
}

static enum MHD_Result take_query(void *ctx, enum MHD_ValueKind kind, const char *name, size_t n, const char *value,
				  size_t m)
{
	(void)kind;
	form_add(ctx, name, n, value ? value : "", value ? m : 0);
	return MHD_YES;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *path, const char *method,
			      const char *version, const char *data, size_t *n, void **own)
{
	struct request *q = *own;
	bool post = strcmp(method, "POST") == 0;
	(void)version;
	if (!q) {
		*own = calloc(1, sizeof *q);
		return *own ? MHD_YES : MHD_NO;
	}
	if (*n) {
		q->too_long |= !post || q->body.len + *n > BODY_MAX;
		if (!q->too_long)
			strbuf_add(&q->body, data, *n);
		*n = 0;
		return MHD_YES;
	}
	if (!post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return http_error(c, 405, "GET, HEAD and POST are what this server knows.");
	if (q->too_long || q->body.failed)
		return http_error(c, 413, "The request has a body that is too long.");
	if (post && !is_form(c))
		return http_error(c, 415, "A form is what may be sent here.");
	if (post)
		form_parse(&q->form, q->body.s ? q->body.s : "");
	else
		MHD_get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, take_query, &q->form);
	if (q->form.bad)
		return http_error(c, 400, "The request has too many fields, or bytes in them that are no text.");
	return answer(ctx, c, path, post, q);
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **own, enum MHD_RequestTerminationCode code)
{
	struct request *q = *own;
	(void)code;
	watch_connection(ctx, socket_of(c), false);
	if (!q)
		return;
	form_free(&q->form);
	strbuf_free(&q->body);
	free(q);
	*own = NULL;
}

/* What the library says of requests may hold their secrets. */
static void say_nothing(void *ctx, const char *fmt, va_list ap)
{
	(void)ctx;
	(void)fmt;
	(void)ap;
}

/* SIGINT of a terminal reaches all of us; who started us ends us then. */
static void wait_for_end(struct server *s, const sigset_t *end)
{
	const struct timespec second = { 1, 0 };
	while (sigtimedwait(end, NULL, &second) != SIGTERM)
		end_slow(s);
}

err_t http_run(const struct http_opts *o)
{
	static struct server s = { .asking = PTHREAD_MUTEX_INITIALIZER, .watching = PTHREAD_MUTEX_INITIALIZER };
	s.entry = o->entry;
	s.channel = o->channel;
	for (size_t i = 0; i < CONNECTIONS; i++)
		s.open[i].fd = -1;
	sigset_t end;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	TRY(drop_rights());
	struct MHD_Daemon *d = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL, NULL, handle, &s,
		MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
		MHD_OPTION_LISTEN_SOCKET, o->listener,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, &s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, &s,
		MHD_OPTION_END);
	if (!d)
		return err_new(E_IO, "the HTTP server did not start");
	wait_for_end(&s, &end);
	MHD_stop_daemon(d);
	return NULL;
}

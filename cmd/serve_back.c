/* The process of `serve` that looks: takes what is asked for from the channel, one after the
 * other, and answers. */
#include "cmd/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/hands.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "serve/files.h"
#include "show/html_page.h"
#include "show/json_types.h"

static const struct { const char *path; void (*answer)(struct watches *, const struct asked *, struct reply *); } routes[] = {
	{ "/api/", serve_api },
	{ "/metrics", serve_metrics },
	{ "/", serve_pages },
};
#define ROUTES (sizeof routes / sizeof *routes)

int http_status_of(err_t e)
{
	switch (err_code(e)) {
	case E_OK:
		return 200;
	case E_USAGE:
		return 400;
	case E_NOTFOUND:
	case E_UNSUPPORTED:
		return 404;
	case E_GONE:
	case E_NOPROC:
		return 410;
	default:
		return 502;
	}
}

static void error_json(struct reply *r, err_t e)
{
	struct out out = { .fd = -1 };
	struct json j = { .out = &out };
	json_answer(&j);
	json_error(&j, e);
	json_object_end(&j);
	json_end(&j);
	strbuf_free(&r->body);
	r->body = out.b;
	snprintf(r->type, sizeof r->type, "application/json");
}

static void error_page(struct reply *r, err_t e)
{
	strbuf_clear(&r->body);
	html_error(&r->body, e->msg);
	snprintf(r->type, sizeof r->type, "text/html; charset=utf-8");
}

void reply_error(struct reply *r, const struct asked *a, err_t e)
{
	r->status = http_status_of(e);
	r->location[0] = '\0';
	if (strncmp(a->path, "/api/", 5) == 0)
		error_json(r, e);
	else
		error_page(r, e);
	err_free(e);
}

static void answer(struct watches *ws, const struct asked *a, struct reply *r)
{
	*r = (struct reply){ .status = 200 };
	watches_refresh(ws);
	if (a->post) {
		serve_act(ws, a, r);
		return;
	}
	size_t i = 0;
	while (i < ROUTES && strncmp(a->path, routes[i].path, strlen(routes[i].path)) != 0)
		i++;
	if (i < ROUTES)
		routes[i].answer(ws, a, r);
	else
		reply_error(r, a, err_new(E_NOTFOUND, "there is no such page"));
	if (r->body.failed || r->body.len > WIRE_BODY) {
		strbuf_free(&r->body);
		reply_error(r, a, err_new(E_USAGE, "the answer is too large: ask for less of it, as with head=1000"));
	}
	if (r->status == 200)
		r->etag = etag_of(r->body.s ? r->body.s : "", r->body.len);
}

/* The kernel does not give a call back that reads a target. The process ends, and another is
 * begun in its place. */
static int stuck(const char *message)
{
	fprintf(stderr, "asyncmon: %s\n", message);
	return STATUS_ATTACH;
}

void serve_back(const struct serve_opts *o, int channel, bool again)
{
	struct watches ws;
	struct reply none = { 0 };
	char *packet = malloc(WIRE_PACKET);
	err_t e = packet ? watches_start(&ws, o) : ERR_NOMEM;
	if (e) {
		err_free(e);
		return;
	}
	hang_watch(stuck);
	/* Whoever waits for an answer of one that was before us waits in vain. */
	if (again)
		reply_send(channel, 0, &none);
	while (true) {
		struct asked a;
		struct reply r;
		if (!asked_receive(channel, packet, &a))
			break;
		/* Above all no action that was given up long ago. */
		if (now_ns() >= a.until)
			continue;
		answer(&ws, &a, &r);
		bool sent = reply_send(channel, a.seq, &r);
		strbuf_free(&r.body);
		if (!sent)
			break;
	}
	watches_end(&ws);
	free(packet);
}

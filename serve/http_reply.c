#include "serve/http_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* Smaller bodies do not get smaller. */
#define COMPRESS_FROM 1024

/* What the browser may do with a page of ours: nothing that is not from here. */
static const struct { const char *name, *value; } always[] = {
	{ "Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
				     "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cache-Control", "private, no-cache" },
};

static enum MHD_Result queue(struct MHD_Connection *c, unsigned status, struct MHD_Response *m)
{
	if (!m)
		return MHD_NO;
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		MHD_add_response_header(m, always[i].name, always[i].value);
	enum MHD_Result r = MHD_queue_response(c, status, m);
	MHD_destroy_response(m);
	return r;
}

static struct MHD_Response *made(const char *bytes, size_t n)
{
	return MHD_create_response_from_buffer(n, (void *)(uintptr_t)(n ? bytes : ""), MHD_RESPMEM_MUST_COPY);
}

static bool takes_gzip(struct MHD_Connection *c)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept-Encoding");
	return accept && strstr(accept, "gzip") && !strstr(accept, "gzip;q=0");
}

/* The body compressed, or NULL. The caller frees it. */
static char *compressed(const struct strbuf *body, size_t *n)
{
	z_stream z = { 0 };
	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	uLong room = deflateBound(&z, body->len);
	char *out = malloc(room);
	z.next_in = (Bytef *)body->s;
	z.avail_in = (uInt)body->len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)room;
	if (out && deflate(&z, Z_FINISH) != Z_STREAM_END) {
		free(out);
		out = NULL;
	}
	*n = z.total_out;
	deflateEnd(&z);
	return out;
}

static struct MHD_Response *with_body(struct MHD_Connection *c, const struct reply *r)
{
	size_t n = 0;
	char *small = r->body.len >= COMPRESS_FROM && takes_gzip(c) ? compressed(&r->body, &n) : NULL;
	struct MHD_Response *m = small ? made(small, n) : made(r->body.s, r->body.len);
	if (m && small)
		MHD_add_response_header(m, "Content-Encoding", "gzip");
	free(small);
	if (m) {
		MHD_add_response_header(m, "Content-Type", r->type);
		MHD_add_response_header(m, "Vary", "Accept-Encoding, Cookie");
	}
	return m;
}

enum MHD_Result http_reply(struct MHD_Connection *c, const struct reply *r)
{
	char etag[32] = "";
	const char *has = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
	if (r->etag)
		snprintf(etag, sizeof etag, "W/\"%016llx\"", (unsigned long long)r->etag);
	bool same = r->status == 200 && etag[0] && has && strstr(has, etag);
	struct MHD_Response *m = same ? made(NULL, 0) : with_body(c, r);
	if (m && etag[0])
		MHD_add_response_header(m, "ETag", etag);
	return queue(c, same ? 304 : (unsigned)r->status, m);
}

enum MHD_Result http_error(struct MHD_Connection *c, unsigned status, const char *message)
{
	char text[1024];
	int n = snprintf(text, sizeof text,
			 "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>asyncmon</title><p>%s</p></html>\n",
			 message);
	struct MHD_Response *m = made(text, (size_t)n);
	if (m)
		MHD_add_response_header(m, "Content-Type", "text/html; charset=utf-8");
	if (m && status == 401)
		MHD_add_response_header(m, "WWW-Authenticate", "Bearer realm=\"asyncmon\"");
	if (m && status == 405)
		MHD_add_response_header(m, "Allow", "GET, HEAD, POST");
	return queue(c, status, m);
}

enum MHD_Result http_redirect(struct MHD_Connection *c, const char *location, const char *cookie)
{
	struct MHD_Response *m = made(NULL, 0);
	if (m)
		MHD_add_response_header(m, "Location", location);
	if (m && cookie)
		MHD_add_response_header(m, "Set-Cookie", cookie);
	return queue(c, 303, m);
}

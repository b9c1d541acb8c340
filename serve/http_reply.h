/* Answers as the HTTP library sends them: headers that every one has, ETags, compression. */
#ifndef ASYNCMON_SERVE_HTTP_REPLY_H
#define ASYNCMON_SERVE_HTTP_REPLY_H

#include <microhttpd.h>

#include "serve/wire.h"

/* r, or that the reader has it already. */
enum MHD_Result http_reply(struct MHD_Connection *c, const struct reply *r);
/* A page of one sentence. */
enum MHD_Result http_error(struct MHD_Connection *c, unsigned status, const char *message);
/* cookie: NULL, or one to set. */
enum MHD_Result http_redirect(struct MHD_Connection *c, const char *location, const char *cookie);

#endif

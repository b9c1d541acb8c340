/* The process that speaks HTTP. It knows of no target: what it does not answer itself (who
 * may come in, files that are built in) it asks for over a socket (serve/wire.h), bytes in,
 * bytes out. So what a browser sends is parsed without the rights that looking takes. */
#ifndef ASYNCMON_SERVE_HTTP_H
#define ASYNCMON_SERVE_HTTP_H

#include "serve/entry.h"

struct http_opts {
	int listener;            /* a socket that listens */
	int channel;             /* answers come from there */
	const struct entry *entry;
};

/* Serves until SIGTERM. Gives up rights first. */
err_t http_run(const struct http_opts *o);

#endif

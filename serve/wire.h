/* What passes between the process that speaks HTTP and the one that looks at targets, over
 * a pair of sockets of kind SOCK_SEQPACKET.
 *
 * A question is one packet. An answer is one packet with its head, others with its body, and
 * one that ends it. Each carries the question's number: where the one who answers was ended
 * amid an answer and begun anew, or an answer came too late, what is left of it in the
 * socket is told from the next. */
#ifndef ASYNCMON_SERVE_WIRE_H
#define ASYNCMON_SERVE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "base/url.h"

#define WIRE_PACKET 32768
#define WIRE_FIELDS 40
/* Bytes of a body, at most. */
#define WIRE_BODY (256u << 20)

/* What was asked for: a path, and the fields of its query, or of the form that was sent. */
struct asked {
	uint32_t seq;
	int64_t until;           /* now_ns(): nobody waits for an answer after that */
	bool post;
	bool openmetrics;        /* the reader takes OpenMetrics */
	const char *path;
	struct field v[WIRE_FIELDS];
	size_t n;
};

struct reply {
	int status;              /* of HTTP */
	char type[64];           /* Content-Type */
	char location[512];      /* where to go to instead, or "" */
	uint64_t etag;           /* 0: none */
	struct strbuf body;
};

/* The field's value, or NULL. Of several of that name the first. */
const char *asked_field(const struct asked *a, const char *name);

/* Sends it under that number; false: it is too long, or the other side is gone. */
bool asked_send(int fd, const struct asked *a);
/* Waits for one, whose strings lie in packet (of WIRE_PACKET bytes). False: the other side is gone. */
bool asked_receive(int fd, char *packet, struct asked *a);

bool reply_send(int fd, uint32_t seq, const struct reply *r);
enum reply_got { REPLY_WHOLE, REPLY_LATE, REPLY_LOST };
/* The answer to that question, up to a deadline (now_ns()). r->body is the caller's in any
 * case. REPLY_LOST: the other side is gone or sent what is no answer. */
enum reply_got reply_receive(int fd, uint32_t seq, struct reply *r, int64_t deadline);

#endif

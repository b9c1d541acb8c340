/* Buffered output to a descriptor, or to memory. Writers append to `b` and call
 * out_tick() now and then, which passes on what has gathered.
 *
 * The first failed write is kept in errnum; what is written after it is dropped,
 * so that writers need not look. The descriptor stays the caller's. */
#ifndef ASYNCMON_BASE_OUT_H
#define ASYNCMON_BASE_OUT_H

#include "base/strbuf.h"

struct out {
	struct strbuf b;
	int fd;      /* -1: stays in b */
	int errnum;  /* of the first write that failed, else 0 */
};

void out_flush(struct out *o);
void out_free(struct out *o);

static inline void out_tick(struct out *o)
{
	if (o->b.len >= 1 << 16 && o->fd >= 0)
		out_flush(o);
}

#endif

#include "base/out.h"

#include <errno.h>
#include <unistd.h>

void out_flush(struct out *o)
{
	if (o->fd < 0)
		return;
	for (size_t done = 0; done < o->b.len && !o->errnum;) {
		ssize_t n = write(o->fd, o->b.s + done, o->b.len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			o->errnum = errno;
	}
	if (o->b.failed && !o->errnum)
		o->errnum = ENOMEM;
	strbuf_clear(&o->b);
}

void out_free(struct out *o)
{
	strbuf_free(&o->b);
}

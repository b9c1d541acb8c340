/* Copying a process's memory into an image: which pages are there, and getting
 * many of them in few calls.
 *
 * A copy list is made and pre-faulted before the stop, run during it, and applied
 * to the image (copy_apply) after it, so that the pause holds nothing but the copy.
 * Lists point into the image's buffers; they are void once it is reshaped. */
#ifndef ASYNCMON_ATTACH_COPY_H
#define ASYNCMON_ATTACH_COPY_H

#include <sys/types.h>
#include <sys/uio.h>

#include "attach/image.h"
#include "base/map.h"

struct copy_list {
	struct iovec *local, *remote; /* in step: same lengths */
	size_t n, cap;
	uint64_t bytes;
	bool failed;                  /* memory was out while adding */
};

/* Adds pages [start, end) as far as the image has ranges for them. Pages that were
 * added right before, and end where these begin, are one piece with them. */
void copy_add(struct copy_list *c, struct image *img, uint64_t start, uint64_t end);
void copy_clear(struct copy_list *c);
void copy_free(struct copy_list *c);
/* Makes the kernel give our buffers their pages now. */
void copy_prefault(const struct copy_list *c);
/* Reads all of it from the process of thread tid. Pages that cannot be read go into
 * `bad`. E_GONE, E_PERM. */
err_t copy_run(const struct copy_list *c, pid_t tid, struct map *bad);
/* Marks what was read as filled. */
void copy_apply(const struct copy_list *c, struct image *img, const struct map *bad);

/* A growing list of address spans. */
struct spans {
	struct image_span *v;
	size_t n, cap;
	bool failed;
};
void spans_add(struct spans *s, uint64_t start, uint64_t end);
uint64_t spans_bytes(const struct spans *s);
/* Adds the pages of [start, end) that exist, in memory or swapped out; pages that
 * were never touched are left out. fd: /proc/PID/pagemap. */
err_t spans_add_present(struct spans *s, int fd, uint64_t start, uint64_t end);

#endif

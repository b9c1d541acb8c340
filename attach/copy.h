/* Copying a process's memory into an image: which pages are there, and getting
 * many of them in few calls.
 *
 * A copy list is made and pre-faulted before the stop, run during it, and applied
 * to the image (copy_apply) after it, so that the pause holds nothing but the copy.
 * Lists point into the image's buffers; they are void once it is reshaped.
 *
 * Hands work it off (copy_hand), from the front on; when they are told that it is late
 * they stop, and what was read until then is right. */
#ifndef ASYNCMON_ATTACH_COPY_H
#define ASYNCMON_ATTACH_COPY_H

#include <sys/types.h>
#include <sys/uio.h>

#include "attach/hands.h"
#include "attach/image.h"
#include "base/map.h"
#include "base/vec.h"

struct process;

struct iovecs VEC(struct iovec);
struct copy_list {
	struct iovecs local, remote;  /* in step: as many, of the same lengths */
	uint64_t bytes;
	bool failed;                  /* memory was out while adding */
	uint32_t *done;               /* of each chunk, how many bytes from its start were read */
	uint64_t read;                /* bytes that were read, after copy_end() */
};

/* As many hands as help, four at most (memory is the limit then): while the target
 * stands still its processors have nothing else to do. */
#define COPY_HANDS_MAX 4
size_t copy_hands(void);

/* A list being run. Must outlive hands that are lost. */
struct copy_run {
	struct copy_list *list;
	struct process *p;
	_Atomic uint64_t next;        /* bytes of the list that were taken */
	struct map bad[COPY_HANDS_MAX]; /* pages that could not be read */
	err_t e[COPY_HANDS_MAX];
};

/* Adds those pages of [start, end) that the image has ranges for: mappings may have come
 * and gone there since it was chosen. Pages that were added right before, and end where
 * these begin, are one piece with them. */
void copy_add(struct copy_list *c, struct image *img, uint64_t start, uint64_t end);
void copy_clear(struct copy_list *c);
void copy_free(struct copy_list *c);
/* Makes the kernel give our buffers their pages now. */
void copy_prefault(const struct copy_list *c);
/* For hands_run(): copy_begin() before, copy_end() when all are in. Pages that cannot
 * be read go into `bad`; list->read says how far it came. E_GONE, E_PERM. */
err_t copy_begin(struct copy_run *run, struct copy_list *c, struct process *p);
void copy_hand(void *run, size_t i);
err_t copy_end(struct copy_run *run, struct map *bad);
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
/* Whether that is quick here, so that it may be done while a target stands still. */
bool spans_quick(int fd);

#endif

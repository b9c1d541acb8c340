/* Between the two sides of an opener (attach/opener.h). */
#ifndef ASYNCMON_ATTACH_OPENER_WORK_H
#define ASYNCMON_ATTACH_OPENER_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "attach/rights.h"

/* A question: this, the path with its NUL, and the directory's descriptor if it is below one. */
struct opener_head { uint64_t turn, copy_up_to; bool below; };
/* The answer, and a descriptor unless error is set. */
struct opener_answer { uint64_t turn; int error; struct stat st; };
#define OPENER_NOT_REGULAR (-1) /* an error that has no errno */

/* With one descriptor (-1: none). */
bool opener_send(int sock, struct iovec *iov, size_t n, int fd);
/* Bytes received, 0 on failure and at the end. *fd: -1 if none came. */
size_t opener_receive(int sock, void *buf, size_t size, int *fd);

/* What the forked process does: answers until the other side is gone. Calls nothing that
 * allocates: other threads may have held the allocator's lock. */
_Noreturn void opener_work(int sock, pid_t parent, const struct rights *r);

#endif

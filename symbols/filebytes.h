/* A file's bytes, read by pread as they are asked for, so that one that shrinks meanwhile
 * ends in a short read (a mapping of it would end in SIGBUS).
 *
 * Memory that is touched first costs ten times what the call costs that fills it. So what
 * is asked for here and there comes in pieces, of half a kilobyte or a little more than was
 * asked for, which lie close together; only where there are many of one block, or much is
 * asked for, come whole blocks, at their own places in an area as large as the file.
 *
 * Pointers live as long as the struct filebytes. */
#ifndef ASYNCMON_SYMBOLS_FILEBYTES_H
#define ASYNCMON_SYMBOLS_FILEBYTES_H

#include "base/err.h"
#include "base/map.h"

struct piece;

struct filebytes {
	int fd;
	uint64_t size;
	uint8_t *area;           /* size bytes, reserved; NULL: no block was needed whole yet */
	uint8_t *blocks;         /* of each block: how many pieces there are, or that it is whole */
	struct piece *all;       /* the pieces */
	struct map pieces;       /* place in the file → the last one that holds it */
};

/* Takes the descriptor over, also when it fails: E_BADDATA for what is no file of bytes,
 * smaller than `least` or beyond 16 GiB. */
err_t filebytes_open(struct filebytes *f, int fd, uint64_t least);
/* Also of one that was closed, or has a descriptor of -1 and nothing else. */
void filebytes_close(struct filebytes *f);

/* Bytes [offset, offset+len) side by side, aligned as in the file (up to 16); NULL when they are not there. */
const void *filebytes_at(struct filebytes *f, uint64_t offset, uint64_t len);
/* The same, and how much is known before and behind it at that pointer, in bytes. */
const void *filebytes_near(struct filebytes *f, uint64_t offset, uint64_t len, uint64_t *before, uint64_t *behind);
/* Into memory of the caller's: for what is read once. */
bool filebytes_copy(const struct filebytes *f, uint64_t offset, uint64_t len, void *to);

#endif

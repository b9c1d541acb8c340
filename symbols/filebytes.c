#include "symbols/filebytes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/oom.h"
#include "base/pages.h"

#define SIZE_LIMIT (16ull << 30)
#define BLOCK 4096u
#define GRAIN 256u             /* pieces begin at multiples of it */
#define PIECE 512u             /* bytes read at least */
#define SMALL 4096u            /* bytes asked for at most to have them as a piece */
#define BLOCK_PIECES 8u        /* pieces of one block, before all of it is read */
#define WHOLE 0xffu

struct piece {
	struct piece *next;
	uint64_t start, end; /* offsets */
	_Alignas(16) uint8_t bytes[];
};
_Static_assert(sizeof(struct piece) % 16 == 0, "bytes are aligned as in the file");

err_t filebytes_open(struct filebytes *f, int fd, uint64_t least)
{
	struct stat st;
	*f = (struct filebytes){ .fd = fd };
	if (fstat(fd, &st) != 0 || st.st_size <= 0 || (uint64_t)st.st_size < least || (uint64_t)st.st_size > SIZE_LIMIT) {
		filebytes_close(f);
		return err_new(E_BADDATA, "not a file of a size that can be read");
	}
	f->size = (uint64_t)st.st_size;
	f->blocks = oom_check(calloc(f->size / BLOCK + 1, 1));
	if (f->blocks)
		return NULL;
	filebytes_close(f);
	return ERR_NOMEM;
}

void filebytes_close(struct filebytes *f)
{
	if (f->area)
		munmap(f->area, f->size);
	free(f->blocks);
	map_free(&f->pieces);
	for (struct piece *p = f->all, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct filebytes){ .fd = -1 };
}

static bool inside(const struct filebytes *f, uint64_t offset, uint64_t len)
{
	return f->blocks && offset <= f->size && len <= f->size - offset;
}

static bool read_at(const struct filebytes *f, uint64_t offset, uint64_t len, uint8_t *to)
{
	for (uint64_t done = 0; done < len;) {
		ssize_t r = pread(f->fd, to + done, len - done, (off_t)(offset + done));
		if (r <= 0)
			return false;
		done += (uint64_t)r;
	}
	return true;
}

bool filebytes_copy(const struct filebytes *f, uint64_t offset, uint64_t len, void *to)
{
	return inside(f, offset, len) && read_at(f, offset, len, to);
}

static bool reserve(struct filebytes *f)
{
	if (f->area)
		return true;
	void *p = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	f->area = oom_check(p == MAP_FAILED ? NULL : p);
	return f->area;
}

/* Blocks first to last, those that are missing side by side in one call. */
static bool fetch(struct filebytes *f, uint64_t first, uint64_t last)
{
	if (!reserve(f))
		return false;
	for (uint64_t b = first; b <= last;) {
		uint64_t end = b;
		while (end <= last && f->blocks[end] != WHOLE)
			end++;
		if (end == b) {
			b++;
			continue;
		}
		uint64_t off = b * BLOCK, stop = end * BLOCK < f->size ? end * BLOCK : f->size;
		pages_populate(f->area + off, stop - off);
		if (!read_at(f, off, stop - off, f->area + off))
			return false;
		memset(f->blocks + b, WHOLE, end - b);
		b = end;
	}
	return true;
}

static bool all_whole(const struct filebytes *f, uint64_t first, uint64_t last)
{
	while (first <= last && f->blocks[first] == WHOLE)
		first++;
	return first > last;
}

static struct piece *known_piece(const struct filebytes *f, uint64_t offset, uint64_t len)
{
	uint64_t known;
	if (!map_get(&f->pieces, offset / GRAIN + 1, &known))
		return NULL;
	struct piece *p = (struct piece *)(uintptr_t)known;
	return offset + len <= p->end ? p : NULL;
}

static struct piece *read_piece(struct filebytes *f, uint64_t offset, uint64_t len)
{
	uint64_t start = offset / GRAIN * GRAIN, end = (offset + len + GRAIN - 1) / GRAIN * GRAIN;
	if (end < start + PIECE)
		end = start + PIECE;
	if (end > f->size)
		end = f->size;
	struct piece *p = oom_check(malloc(sizeof *p + (end - start)));
	if (!p || !read_at(f, start, end - start, p->bytes)) {
		free(p);
		return NULL;
	}
	*p = (struct piece){ f->all, start, end };
	f->all = p;
	for (uint64_t at = start; at < end; at += GRAIN)
		if (!map_set(&f->pieces, at / GRAIN + 1, (uint64_t)(uintptr_t)p))
			return NULL;
	f->blocks[start / BLOCK]++;
	return p;
}

const void *filebytes_near(struct filebytes *f, uint64_t offset, uint64_t len, uint64_t *before, uint64_t *behind)
{
	if (!inside(f, offset, len))
		return NULL;
	uint64_t first = offset / BLOCK, last = (offset + (len ? len - 1 : 0)) / BLOCK;
	if (!all_whole(f, first, last)) {
		struct piece *p = len > SMALL ? NULL : known_piece(f, offset, len);
		if (!p && len <= SMALL && f->blocks[first] < BLOCK_PIECES)
			p = read_piece(f, offset, len);
		if (p) {
			*before = offset - p->start;
			*behind = p->end - offset - len;
			return p->bytes + *before;
		}
		if (!fetch(f, first, last))
			return NULL;
	}
	uint64_t end = (last + 1) * BLOCK < f->size ? (last + 1) * BLOCK : f->size;
	*before = offset - first * BLOCK;
	*behind = end - offset - len;
	return f->area + offset;
}

const void *filebytes_at(struct filebytes *f, uint64_t offset, uint64_t len)
{
	uint64_t before, behind;
	return filebytes_near(f, offset, len, &before, &behind);
}

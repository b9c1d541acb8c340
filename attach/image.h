/* An image: a target's memory as bytes at addresses, some of them unknown.
 *
 * A range is a run of adjacent mappings with one buffer of the same size behind
 * it, so that an object lies in one piece wherever it begins. A mapping of 64 GB or more
 * is a range of its own; one that we have no address space for is left out. A bitmap says
 * which pages of the buffer are filled. An absent page is asked of `fill`, which
 * may know it (a live process that is being looked at, an ELF file behind a
 * core) or not; a page it does not know is unknown, never zeros.
 *
 * Pointers given by image_at() live as long as the image. One thread at a time. */
#ifndef ASYNCMON_ATTACH_IMAGE_H
#define ASYNCMON_ATTACH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

#define IMAGE_PAGE 4096u

struct image_span { uint64_t start, end; };

struct image_range {
	uint64_t start, end;    /* page-aligned; ranges are sorted and apart */
	uint8_t *bytes;         /* end - start bytes, reserved; filled where `have` says */
	uint64_t *have;         /* one bit a page */
	uint64_t *ahead;        /* one bit a page, for the maker's use: read, but not asked for yet */
};

struct image {
	struct image_range *ranges;
	size_t nranges;
	/* Fills pages [addr, addr+len) of r; gives how many bytes from addr on are
	 * now right (a multiple of the page size, possibly more than len when it
	 * read ahead, 0: unknown). NULL: nothing more can be known. */
	size_t (*fill)(void *ctx, struct image_range *r, uint64_t addr, size_t len);
	void *fill_ctx;
	uint64_t misses;        /* image_at() calls that met an unknown page in a known range */
	uint64_t first_miss;    /* the address of the first of them */
	uint64_t filled;        /* bytes filled so far */
	/* Mappings that could not be reserved here, and reads that met one of them. */
	struct image_span *left_out;
	size_t nleft_out;
	uint64_t left_out_reads;
	struct image_range *last;
};

/* Bytes [addr, addr+len) in one piece, or NULL when any of them is unknown.
 * No alignment is promised. Any addr and len are allowed. */
static inline const void *image_at(struct image *img, uint64_t addr, size_t len);
/* The same, past the case that image_at() settles itself. */
const void *image_find(struct image *img, uint64_t addr, size_t len);
/* The range that holds addr, or NULL. */
struct image_range *image_range_at(struct image *img, uint64_t addr);
/* The first range that ends behind addr, or NULL. */
struct image_range *image_range_from(const struct image *img, uint64_t addr);
/* Copies len bytes into buf; false when any is unknown. */
bool image_read(struct image *img, uint64_t addr, void *buf, size_t len);
/* The NUL-terminated string at addr, at most max bytes with its NUL, or NULL. */
const char *image_str(struct image *img, uint64_t addr, size_t max);

/* Almost every read is of a filled page of the range that was read last. */
static inline const void *image_at(struct image *img, uint64_t addr, size_t len)
{
	const struct image_range *r = img->last;
	if (r && addr >= r->start && addr < r->end && len <= r->end - addr) {
		size_t page = (addr - r->start) / IMAGE_PAGE;
		if (addr % IMAGE_PAGE + len <= IMAGE_PAGE && r->have[page / 64] >> (page % 64) & 1)
			return r->bytes + (addr - r->start);
	}
	return image_find(img, addr, len);
}

#define IMAGE_READER(name, type) \
	static inline bool image_##name(struct image *img, uint64_t addr, type *v) \
	{ \
		const void *p = image_at(img, addr, sizeof *v); \
		if (!p) \
			return false; \
		memcpy(v, p, sizeof *v); \
		return true; \
	}
IMAGE_READER(u8, uint8_t)
IMAGE_READER(u16, uint16_t)
IMAGE_READER(u32, uint32_t)
IMAGE_READER(i32, int32_t)
IMAGE_READER(u64, uint64_t)
IMAGE_READER(i64, int64_t)
#undef IMAGE_READER

/* For makers of images. Ranges are given in any order, must not overlap; adjacent
 * ones become one, huge ones stay alone. Buffers are reserved, not touched. */
err_t image_init(struct image *img, const struct image_span *spans, size_t n);
void image_free(struct image *img);
/* No ranges any more, but what they held stays ours: somebody may yet write there. */
void image_leave(struct image *img);
/* Marks pages of [addr, addr+len) as filled; whole pages only. */
void image_mark(struct image_range *r, uint64_t addr, size_t len);
/* Makes the pages of [addr, addr+len) that lie in ranges unknown again (whole pages). */
void image_forget(struct image *img, uint64_t addr, size_t len);
/* Gives img other ranges. Pages that the old ones had stay filled where the new
 * ones hold their address; every pointer into the image is invalid after it. */
err_t image_reshape(struct image *img, const struct image_span *spans, size_t n);
/* For `fill`: which unknown pages around addr, within [low, high), are worth reading
 * along with it: [*from, *to), at least addr's own. */
void image_around(const struct image_range *r, uint64_t low, uint64_t high, uint64_t addr,
		  uint64_t *from, uint64_t *to);
/* For tests and small makers: stores bytes at addr (inside one range). */
bool image_put(struct image *img, uint64_t addr, const void *bytes, size_t len);

#endif

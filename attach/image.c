#include "attach/image.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A string's or object's bytes are copied or compared by callers at once; nothing
 * in a CPython process that asyncmon reads is larger than this in one piece. */
#define PIECE_MAX (1ull << 40)
#define LEFT_OUT_FROM (1ull << 30)

static int span_order(const void *a, const void *b)
{
	const struct image_span *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Two bits a page. Those of a large range are mapped, so that what is never looked at
 * of it costs nothing. */
#define BITS_MAPPED_FROM (64u << 10)

static size_t bits_size(uint64_t size)
{
	return 2 * ((size / IMAGE_PAGE + 63) / 64) * sizeof(uint64_t);
}

static uint64_t *bits_new(uint64_t size)
{
	size_t n = bits_size(size);
	if (n < BITS_MAPPED_FROM)
		return calloc(1, n);
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void bits_free(uint64_t *bits, uint64_t size)
{
	if (bits_size(size) < BITS_MAPPED_FROM)
		free(bits);
	else if (bits)
		munmap(bits, bits_size(size));
}

static err_t range_init(struct image_range *r, uint64_t start, uint64_t end)
{
	size_t size = end - start, words = (size / IMAGE_PAGE + 63) / 64;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		/* Reserved address space of a size that we cannot have ourselves: left out. */
		return size > LEFT_OUT_FROM ? ERR_NOTFOUND : ERR_NOMEM;
	uint64_t *bits = bits_new(size);
	if (!bits) {
		munmap(p, size);
		return ERR_NOMEM;
	}
	*r = (struct image_range){ start, end, p, bits, bits + words };
	return NULL;
}

static void ranges_free(struct image_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ranges[i].bytes)
			munmap(ranges[i].bytes, ranges[i].end - ranges[i].start);
		bits_free(ranges[i].have, ranges[i].end - ranges[i].start);
	}
	free(ranges);
}

err_t image_init(struct image *img, const struct image_span *spans, size_t n)
{
	*img = (struct image){ 0 };
	struct image_span *s = malloc((n ? n : 1) * sizeof *s);
	img->ranges = calloc(n ? n : 1, sizeof *img->ranges);
	if (!s || !img->ranges) {
		free(s);
		image_free(img);
		return ERR_NOMEM;
	}
	if (n)
		memcpy(s, spans, n * sizeof *s);
	qsort(s, n, sizeof *s, span_order);
	err_t e = NULL;
	for (size_t i = 0; i < n && !e;) {
		uint64_t start = s[i].start, end = s[i].end;
		for (i++; i < n && s[i].start <= end; i++)
			end = s[i].end > end ? s[i].end : end;
		if (end > start && end - start < PIECE_MAX)
			e = range_init(&img->ranges[img->nranges], start, end);
		else
			continue;
		if (!e)
			img->nranges++;
		else if (e == ERR_NOTFOUND)
			e = NULL;
	}
	free(s);
	if (e)
		image_free(img);
	return e;
}

void image_free(struct image *img)
{
	ranges_free(img->ranges, img->nranges);
	*img = (struct image){ 0 };
}

void image_leave(struct image *img)
{
	for (size_t i = 0; i < img->nranges; i++) {
		struct image_range *r = &img->ranges[i];
		madvise(r->bytes, r->end - r->start, MADV_DONTNEED);
		r->bytes = NULL;
	}
	ranges_free(img->ranges, img->nranges);
	img->ranges = NULL;
	img->nranges = 0;
	img->last = NULL;
}

static bool has(const struct image_range *r, size_t page)
{
	return r->have[page / 64] >> (page % 64) & 1;
}

/* Moves what `from` has of [start, end) into `to`. The pages themselves are moved,
 * not their bytes: a range of a gigabyte that grew by one page costs little. */
static bool pages_move(struct image_range *to, struct image_range *from,
		       uint64_t start, uint64_t end)
{
	void *dst = to->bytes + (start - to->start);
	void *src = from->bytes + (start - from->start);
	if (mremap(src, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED, dst) ==
	    MAP_FAILED)
		return false;
	for (uint64_t a = start; a < end; a += IMAGE_PAGE)
		if (has(from, (a - from->start) / IMAGE_PAGE))
			image_mark(to, a, IMAGE_PAGE);
	return true;
}

static bool range_inherit(struct image_range *to, struct image_range *from)
{
	if (to->start == from->start && to->end == from->end) {
		struct image_range kept = *from;
		*from = *to;
		*to = kept;
		return true;
	}
	uint64_t start = to->start > from->start ? to->start : from->start;
	uint64_t end = to->end < from->end ? to->end : from->end;
	return start >= end || pages_move(to, from, start, end);
}

err_t image_reshape(struct image *img, const struct image_span *spans, size_t n)
{
	struct image next;
	TRY(image_init(&next, spans, n));
	bool moved = true;
	for (size_t i = 0, k = 0; i < next.nranges && k < img->nranges && moved;) {
		moved = range_inherit(&next.ranges[i], &img->ranges[k]);
		if (next.ranges[i].end <= img->ranges[k].end)
			i++;
		else
			k++;
	}
	struct image_range *old = img->ranges;
	size_t nold = img->nranges;
	img->ranges = next.ranges;
	img->nranges = next.nranges;
	img->last = NULL;
	ranges_free(old, nold);
	return moved ? NULL : ERR_NOMEM;
}

struct image_range *image_range_from(const struct image *img, uint64_t addr)
{
	size_t lo = 0, hi = img->nranges;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (img->ranges[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < img->nranges ? &img->ranges[lo] : NULL;
}

struct image_range *image_range_at(struct image *img, uint64_t addr)
{
	struct image_range *r = img->last;
	if (r && addr >= r->start && addr < r->end)
		return r;
	r = image_range_from(img, addr);
	return r && addr >= r->start ? img->last = r : NULL;
}

static bool fill_pages(struct image *img, struct image_range *r, size_t page, size_t last)
{
	for (; page <= last; page++) {
		if (has(r, page))
			continue;
		uint64_t addr = r->start + page * (uint64_t)IMAGE_PAGE;
		size_t got = img->fill ? img->fill(img->fill_ctx, r, addr, IMAGE_PAGE) : 0;
		if (got == 0) {
			if (!img->misses++)
				img->first_miss = addr;
			return false;
		}
		img->filled += got;
		image_mark(r, addr, got);
	}
	return true;
}

const void *image_find(struct image *img, uint64_t addr, size_t len)
{
	struct image_range *r = image_range_at(img, addr);
	if (!r || len > r->end - addr)
		return NULL;
	size_t page = (addr - r->start) / IMAGE_PAGE;
	size_t last = (addr - r->start + (len ? len - 1 : 0)) / IMAGE_PAGE;
	if ((!has(r, page) || page != last) && !fill_pages(img, r, page, last))
		return NULL;
	return r->bytes + (addr - r->start);
}

bool image_read(struct image *img, uint64_t addr, void *buf, size_t len)
{
	const void *p = image_at(img, addr, len);
	if (p && len)
		memcpy(buf, p, len);
	return p != NULL;
}

const char *image_str(struct image *img, uint64_t addr, size_t max)
{
	for (size_t len = 0; len < max;) {
		/* Page by page, for the string may end just before an unknown one. */
		size_t step = IMAGE_PAGE - (addr + len) % IMAGE_PAGE;
		if (step > max - len)
			step = max - len;
		const char *p = image_at(img, addr + len, step);
		if (!p)
			return NULL;
		if (memchr(p, '\0', step))
			return p - len;
		len += step;
	}
	return NULL;
}

void image_mark(struct image_range *r, uint64_t addr, size_t len)
{
	size_t page = (addr - r->start) / IMAGE_PAGE;
	size_t end = page + len / IMAGE_PAGE, all = (r->end - r->start) / IMAGE_PAGE;
	for (; page < end && page < all; page++)
		r->have[page / 64] |= 1ull << (page % 64);
}

static void bits_clear(uint64_t *bits, size_t from, size_t to)
{
	while (from < to) {
		if (from % 64 == 0 && to - from >= 64) {
			size_t words = (to - from) / 64;
			memset(bits + from / 64, 0, words * sizeof *bits);
			from += words * 64;
		} else {
			bits[from / 64] &= ~(1ull << (from % 64));
			from++;
		}
	}
}

void image_forget(struct image *img, uint64_t addr, size_t len)
{
	uint64_t stop = len > UINT64_MAX - addr ? UINT64_MAX : addr + len;
	for (size_t i = 0; i < img->nranges; i++) {
		struct image_range *r = &img->ranges[i];
		uint64_t a = addr > r->start ? addr : r->start;
		uint64_t b = stop < r->end ? stop : r->end;
		if (a >= b)
			continue;
		bits_clear(r->have, (a - r->start) / IMAGE_PAGE, (b - r->start) / IMAGE_PAGE);
		bits_clear(r->ahead, (a - r->start) / IMAGE_PAGE, (b - r->start) / IMAGE_PAGE);
	}
}

/* Reading ahead: one page costs a call (1 µs), and each page more the fault of our
 * buffer. So it pays only where much is asked for: in a window of which a quarter was
 * asked for already, the rest is read at once. */
#define AHEAD (16 * IMAGE_PAGE)
#define AHEAD_FROM 4

static bool untouched(const struct image_range *r, uint64_t addr)
{
	size_t page = (addr - r->start) / IMAGE_PAGE;
	return !has(r, page) && !(r->ahead[page / 64] >> (page % 64) & 1);
}

void image_around(const struct image_range *r, uint64_t low, uint64_t high, uint64_t addr,
		  uint64_t *from, uint64_t *to)
{
	uint64_t start = addr & ~(uint64_t)(AHEAD - 1), end = start + AHEAD;
	low = low > start ? low : start;
	low = low > r->start ? low : r->start;
	high = high < end ? high : end;
	high = high < r->end ? high : r->end;
	unsigned asked = 0;
	for (uint64_t a = low; a < high; a += IMAGE_PAGE)
		asked += has(r, (a - r->start) / IMAGE_PAGE);
	*from = addr;
	*to = addr + IMAGE_PAGE;
	if (asked < AHEAD_FROM)
		return;
	while (*from > low && untouched(r, *from - IMAGE_PAGE))
		*from -= IMAGE_PAGE;
	while (*to < high && untouched(r, *to))
		*to += IMAGE_PAGE;
}

bool image_put(struct image *img, uint64_t addr, const void *bytes, size_t len)
{
	struct image_range *r = image_range_at(img, addr);
	if (!r || len > r->end - addr)
		return false;
	memcpy(r->bytes + (addr - r->start), bytes, len);
	uint64_t first = addr & ~(uint64_t)(IMAGE_PAGE - 1);
	uint64_t end = (addr + len + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
	image_mark(r, first, end - first);
	return true;
}

#include "attach/image.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Neighbours are joined, for an object may lie across the border of two. A mapping of this
 * size is a reservation (LMDB, CUDA, sanitizers, V8): it stands alone, so that what becomes
 * of it is nothing to the heap beside it. */
#define ALONE_FROM (64ull << 30)
/* A range of this size that we have no address space for is left out; without a smaller
 * one nothing useful could be said. */
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
	uint64_t *bits = p == MAP_FAILED ? NULL : bits_new(size);
	if (!bits) {
		if (p != MAP_FAILED)
			munmap(p, size);
		return size > LEFT_OUT_FROM ? ERR_NOTFOUND : ERR_NOMEM;
	}
	/* A core dump of ours is none of the target's memory. */
	madvise(p, size, MADV_DONTDUMP);
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

/* The spans in order, as runs: neighbours joined, huge ones alone. Gives how many. */
static size_t join(struct image_span *s, size_t n)
{
	size_t k = 0;
	qsort(s, n, sizeof *s, span_order);
	for (size_t i = 0; i < n; i++) {
		uint64_t size = s[i].end > s[i].start ? s[i].end - s[i].start : 0;
		struct image_span *run = k ? &s[k - 1] : NULL;
		if (!size)
			continue;
		if (run && s[i].start <= run->end && size < ALONE_FROM && run->end - run->start < ALONE_FROM)
			run->end = s[i].end > run->end ? s[i].end : run->end;
		else
			s[k++] = s[i];
	}
	return k;
}

/* Takes over from `old` what is the same there, so that nothing is reserved twice. */
static void inherit_same(struct image *img, const struct image_span *runs, size_t n, struct image *old)
{
	for (size_t i = 0, k = 0; i < n && k < old->nranges;) {
		struct image_range *r = &old->ranges[k];
		if (r->start == runs[i].start && r->end == runs[i].end) {
			img->ranges[i] = *r;
			r->bytes = NULL;
			r->have = NULL;
		}
		if (r->start <= runs[i].start)
			k++;
		else
			i++;
	}
}

/* Ranges for those runs that have none yet; small ones first, so that a huge one does not
 * take the address space that they need. */
static err_t ranges_make(struct image *img, const struct image_span *runs, size_t n)
{
	for (int huge = 0; huge < 2; huge++) {
		for (size_t i = 0; i < n; i++) {
			uint64_t size = runs[i].end - runs[i].start;
			if (img->ranges[i].bytes || (size > LEFT_OUT_FROM) != huge)
				continue;
			err_t e = range_init(&img->ranges[i], runs[i].start, runs[i].end);
			if (e && e != ERR_NOTFOUND)
				return e;
		}
	}
	return NULL;
}

/* Moves the runs without a range to the list of those that were left out. */
static err_t leave_out(struct image *img, const struct image_span *runs, size_t n)
{
	size_t missing = 0;
	for (size_t i = 0; i < n; i++)
		missing += !img->ranges[i].bytes;
	img->left_out = missing ? malloc(missing * sizeof *img->left_out) : NULL;
	if (missing && !img->left_out)
		return ERR_NOMEM;
	img->nranges = 0;
	for (size_t i = 0; i < n; i++) {
		if (img->ranges[i].bytes)
			img->ranges[img->nranges++] = img->ranges[i];
		else
			img->left_out[img->nleft_out++] = runs[i];
	}
	return NULL;
}

/* img gets ranges for the spans; those that `old` has too are taken from there. */
static err_t image_make(struct image *img, const struct image_span *spans, size_t n, struct image *old)
{
	*img = (struct image){ 0 };
	struct image_span *runs = malloc((n ? n : 1) * sizeof *runs);
	img->ranges = calloc(n ? n : 1, sizeof *img->ranges);
	if (!runs || !img->ranges) {
		free(runs);
		free(img->ranges);
		img->ranges = NULL;
		return ERR_NOMEM;
	}
	if (n)
		memcpy(runs, spans, n * sizeof *runs);
	img->nranges = n = join(runs, n);
	inherit_same(img, runs, n, old);
	err_t e = ranges_make(img, runs, n);
	if (!e)
		e = leave_out(img, runs, n);
	free(runs);
	if (e)
		image_free(img);
	return e;
}

err_t image_init(struct image *img, const struct image_span *spans, size_t n)
{
	struct image none = { 0 };
	return image_make(img, spans, n, &none);
}

void image_free(struct image *img)
{
	ranges_free(img->ranges, img->nranges);
	free(img->left_out);
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
	size_t last = (end - from->start) / IMAGE_PAGE;
	for (size_t page = (start - from->start) / IMAGE_PAGE; page < last; page++) {
		if (page % 64 == 0 && !from->have[page / 64])
			page += 63;
		else if (has(from, page))
			image_mark(to, from->start + page * (uint64_t)IMAGE_PAGE, IMAGE_PAGE);
	}
	return true;
}

static bool range_inherit(struct image_range *to, struct image_range *from)
{
	if (!from->bytes) /* it was taken over as it is */
		return true;
	uint64_t start = to->start > from->start ? to->start : from->start;
	uint64_t end = to->end < from->end ? to->end : from->end;
	return start >= end || pages_move(to, from, start, end);
}

err_t image_reshape(struct image *img, const struct image_span *spans, size_t n)
{
	struct image next;
	err_t e = image_make(&next, spans, n, img);
	bool moved = !e;
	for (size_t i = 0, k = 0; moved && i < next.nranges && k < img->nranges;) {
		moved = range_inherit(&next.ranges[i], &img->ranges[k]);
		if (next.ranges[i].end <= img->ranges[k].end)
			i++;
		else
			k++;
	}
	ranges_free(img->ranges, img->nranges);
	free(img->left_out);
	img->ranges = next.ranges;
	img->nranges = next.nranges;
	img->left_out = next.left_out;
	img->nleft_out = next.nleft_out;
	img->last = NULL;
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

static bool left_out(const struct image *img, uint64_t addr)
{
	for (size_t i = 0; i < img->nleft_out; i++)
		if (addr >= img->left_out[i].start && addr < img->left_out[i].end)
			return true;
	return false;
}

const void *image_find(struct image *img, uint64_t addr, size_t len)
{
	struct image_range *r = image_range_at(img, addr);
	if (!r || len > r->end - addr) {
		img->left_out_reads += left_out(img, addr);
		return NULL;
	}
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

/* Many words of a mapped bitmap are given back rather than written: most were never touched. */
static void words_clear(uint64_t *words, size_t n)
{
	char *from = (char *)words, *to = (char *)(words + n);
	char *whole = (char *)(((uintptr_t)from + IMAGE_PAGE - 1) & ~(uintptr_t)(IMAGE_PAGE - 1));
	char *end = (char *)((uintptr_t)to & ~(uintptr_t)(IMAGE_PAGE - 1));
	if (n * sizeof *words < BITS_MAPPED_FROM || madvise(whole, (size_t)(end - whole), MADV_DONTNEED) != 0)
		whole = end = to;
	memset(from, 0, (size_t)(whole - from));
	memset(end, 0, (size_t)(to - end));
}

static void bits_clear(uint64_t *bits, size_t from, size_t to)
{
	while (from < to) {
		if (from % 64 == 0 && to - from >= 64) {
			size_t words = (to - from) / 64;
			words_clear(bits + from / 64, words);
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
	struct image_range *r = image_range_from(img, addr), *end = img->ranges + img->nranges;
	for (; r && r < end && r->start < stop; r++) {
		uint64_t a = addr > r->start ? addr : r->start;
		uint64_t b = stop < r->end ? stop : r->end;
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

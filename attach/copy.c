#include "attach/copy.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/process.h"
#include "base/descriptors.h"
#include "base/pages.h"

#define HUGE (2u << 20)

static void copy_piece(struct copy_list *c, uint8_t *to, uint64_t from, size_t len)
{
	struct iovecs *local = &c->local, *remote = &c->remote;
	if (local->n) {
		struct iovec *l = &local->v[local->n - 1], *r = &remote->v[remote->n - 1];
		if ((uint8_t *)l->iov_base + l->iov_len == to &&
		    (uintptr_t)r->iov_base + r->iov_len == from) {
			l->iov_len += len;
			r->iov_len += len;
			c->bytes += len;
			return;
		}
	}
	if (!vec_reserve(local, 1) || !vec_reserve(remote, 1)) {
		c->failed = true;
		return;
	}
	vec_push(local, (struct iovec){ to, len });
	vec_push(remote, (struct iovec){ (void *)(uintptr_t)from, len });
	c->bytes += len;
}

void copy_add(struct copy_list *c, struct image *img, uint64_t start, uint64_t end)
{
	while (start < end) {
		struct image_range *r = image_range_from(img, start);
		if (!r || r->start >= end)
			return;
		start = start < r->start ? r->start : start;
		uint64_t stop = end < r->end ? end : r->end;
		copy_piece(c, r->bytes + (start - r->start), start, stop - start);
		start = stop;
	}
}

void copy_clear(struct copy_list *c)
{
	c->local.n = c->remote.n = 0;
	c->bytes = c->read = 0;
	c->failed = false;
}

void copy_free(struct copy_list *c)
{
	vec_free(&c->local);
	vec_free(&c->remote);
	free(c->done);
	*c = (struct copy_list){ 0 };
}

/* Each hand takes the next chunk when it is done with one, so that one that gets no
 * processor holds nobody up for long. A call reads less than a chunk, so that one that
 * has to fetch its pages from a disk notices soon that it is late. */
#define CHUNK (4u << 20)
#define CALL (256u << 10)
struct worker {
	const struct copy_list *list;
	_Atomic uint64_t *next;
	size_t i, skip;             /* where in the list `at` is */
	uint64_t at;
};

/* The iovecs of the next call, within the share. */
#define BATCH_MAX 256
struct batch {
	struct iovec local[BATCH_MAX], remote[BATCH_MAX];
	size_t n;
};

static void batch_fill(struct batch *b, const struct copy_list *c, size_t i, size_t skip,
		       uint64_t room)
{
	for (b->n = 0; b->n < BATCH_MAX && i < c->local.n && room; b->n++, i++, skip = 0) {
		size_t len = c->local.v[i].iov_len - skip;
		len = len > room ? room : len;
		b->local[b->n] = (struct iovec){ (char *)c->local.v[i].iov_base + skip, len };
		b->remote[b->n] = (struct iovec){ (char *)c->remote.v[i].iov_base + skip, len };
		room -= len;
	}
}

/* Moves (i, skip) on by n bytes. */
static void list_step(const struct copy_list *c, size_t *i, size_t *skip, uint64_t n)
{
	while (*i < c->local.n && n >= c->local.v[*i].iov_len - *skip) {
		n -= c->local.v[*i].iov_len - *skip;
		*skip = 0;
		++*i;
	}
	*skip += n;
}

/* The end of the next chunk, which begins at w->at; 0 when none is left. */
static uint64_t take_chunk(struct worker *w)
{
	uint64_t at = atomic_fetch_add(w->next, CHUNK);
	if (at >= w->list->bytes)
		return 0;
	list_step(w->list, &w->i, &w->skip, at - w->at);
	w->at = at;
	return w->list->bytes - at < CHUNK ? w->list->bytes : at + CHUNK;
}

static void did(struct worker *w, uint64_t n)
{
	w->at += n;
	list_step(w->list, &w->i, &w->skip, n);
}

size_t copy_hands(void)
{
	cpu_set_t cpus;
	size_t n = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (size_t)CPU_COUNT(&cpus) : 1;
	return n > COPY_HANDS_MAX ? COPY_HANDS_MAX : n ? n : 1;
}

err_t copy_begin(struct copy_run *run, struct copy_list *c, struct process *p)
{
	*run = (struct copy_run){ .list = c, .p = p };
	free(c->done);
	c->done = calloc(c->bytes / CHUNK + 1, sizeof *c->done);
	c->read = 0;
	return c->done ? NULL : ERR_NOMEM;
}

void copy_hand(void *arg, size_t me)
{
	struct copy_run *run = arg;
	struct worker w = { .list = run->list, .next = &run->next };
	struct batch b;
	uint64_t end;
	while (!hands_late() && (end = take_chunk(&w)) != 0) {
		uint64_t start = w.at;
		while (w.at < end) {
			batch_fill(&b, w.list, w.i, w.skip, end - w.at < CALL ? end - w.at : CALL);
			ssize_t got = process_readv(run->p, b.local, b.remote, b.n);
			if (hands_late())
				return;
			if (got < 0 && errno == EFAULT && b.n) {
				/* Only the first page of the rest is to blame for sure. */
				map_set(&run->bad[me], (uintptr_t)b.remote[0].iov_base, 1);
				got = IMAGE_PAGE;
			} else if (got <= 0) {
				int err = got < 0 ? errno : ESRCH;
				run->e[me] = errno_is_ours(err) ? err_ours(err, "reading the process") : err == ESRCH
					? err_new(E_GONE, "the process ended while it was read")
					: err_errno(E_PERM, err, "reading the process");
				return;
			}
			did(&w, (uint64_t)got);
			run->list->done[start / CHUNK] = (uint32_t)(w.at - start);
		}
	}
}

err_t copy_end(struct copy_run *run, struct map *bad)
{
	err_t e = NULL;
	for (size_t i = 0; i < COPY_HANDS_MAX; i++) {
		struct map *m = &run->bad[i];
		for (size_t k = 0; m->slots && k <= m->mask; k++)
			if (m->slots[2 * k])
				map_set(bad, m->slots[2 * k], 1);
		map_free(m);
		if (e)
			err_free(run->e[i]);
		else
			e = run->e[i];
	}
	for (uint64_t at = 0; at < run->list->bytes; at += CHUNK)
		run->list->read += run->list->done[at / CHUNK];
	return e;
}

static void prefault(char *at, size_t len)
{
	if (len >= HUGE) {
		uintptr_t from = ((uintptr_t)at + HUGE - 1) & ~(uintptr_t)(HUGE - 1);
		uintptr_t to = ((uintptr_t)at + len) & ~(uintptr_t)(HUGE - 1);
		madvise((void *)from, to - from, MADV_HUGEPAGE);
	}
	if (pages_populate(at, len))
		return;
	for (size_t k = 0; k < len; k += IMAGE_PAGE)
		*(volatile char *)(at + k) = at[k];
}

static void *work_prefault(void *arg)
{
	struct worker *w = arg;
	for (uint64_t end; (end = take_chunk(w)) != 0;) {
		while (w->at < end) {
			const struct iovec *l = &w->list->local.v[w->i];
			size_t len = l->iov_len - w->skip;
			len = len > end - w->at ? end - w->at : len;
			prefault((char *)l->iov_base + w->skip, len);
			did(w, len);
		}
	}
	return NULL;
}

void copy_prefault(const struct copy_list *c)
{
	struct worker w[COPY_HANDS_MAX];
	size_t n = copy_hands(), chunks = c->bytes / CHUNK;
	n = n > chunks ? chunks : n;
	_Atomic uint64_t next = 0;
	pthread_t threads[COPY_HANDS_MAX];
	bool started[COPY_HANDS_MAX] = { 0 };
	for (size_t i = 0; i < COPY_HANDS_MAX; i++)
		w[i] = (struct worker){ .list = c, .next = &next };
	for (size_t i = 1; i < n; i++)
		started[i] = pthread_create(&threads[i], NULL, work_prefault, &w[i]) == 0;
	work_prefault(&w[0]);
	for (size_t i = 1; i < n; i++)
		if (started[i])
			pthread_join(threads[i], NULL);
}

/* One piece of the list, `at` bytes from its start: as much of it as was read. */
static void apply_piece(const struct copy_list *c, struct image_range *r, uint64_t addr, uint64_t at,
			uint64_t len, const struct map *bad)
{
	while (len) {
		uint64_t in = at % CHUNK, done = c->done[at / CHUNK];
		uint64_t part = CHUNK - in < len ? CHUNK - in : len;
		uint64_t good = done <= in ? 0 : done - in < part ? done - in : part;
		if (bad->n == 0 && good)
			image_mark(r, addr, good);
		for (uint64_t k = 0; bad->n && k < good; k += IMAGE_PAGE)
			if (!map_get(bad, addr + k, NULL))
				image_mark(r, addr + k, IMAGE_PAGE);
		addr += part;
		at += part;
		len -= part;
	}
}

void copy_apply(const struct copy_list *c, struct image *img, const struct map *bad)
{
	uint64_t at = 0;
	for (size_t i = 0; c->done && i < c->local.n; at += c->remote.v[i++].iov_len) {
		uint64_t addr = (uintptr_t)c->remote.v[i].iov_base;
		struct image_range *r = image_range_at(img, addr);
		if (r)
			apply_piece(c, r, addr, at, c->remote.v[i].iov_len, bad);
	}
	img->filled += c->read;
}

void spans_add(struct spans *s, uint64_t start, uint64_t end)
{
	if (s->n && s->v[s->n - 1].end == start) {
		s->v[s->n - 1].end = end;
		return;
	}
	if (!vec_push(s, (struct image_span){ start, end }))
		s->failed = true;
}

uint64_t spans_bytes(const struct spans *s)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < s->n; i++)
		sum += s->v[i].end - s->v[i].start;
	return sum;
}

/* PAGEMAP_SCAN, Linux 6.7: runs of pages by kind, ten times as fast as a word a
 * page. Not in Debian 12's headers. */
struct scan_region { uint64_t start, end, categories; };
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)

static bool scan_regions(struct spans *s, int fd, uint64_t start, uint64_t end)
{
	struct scan_region got[256];
	struct scan_arg arg = {
		.size = sizeof arg, .start = start, .end = end,
		.vec = (uintptr_t)got, .vec_len = sizeof got / sizeof *got,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED,
	};
	while (arg.start < end) {
		hang_begin(arg.start);
		int n = ioctl(fd, SCAN_IOCTL, &arg);
		hang_end();
		if (n < 0)
			return false;
		for (int i = 0; i < n; i++)
			spans_add(s, got[i].start, got[i].end);
		if (arg.walk_end <= arg.start)
			break;
		arg.start = arg.walk_end;
	}
	return true;
}

static err_t scan_words(struct spans *s, int fd, uint64_t start, uint64_t end)
{
	uint64_t words[1024];
	while (start < end) {
		size_t want = (end - start) / IMAGE_PAGE;
		if (want > sizeof words / sizeof *words)
			want = sizeof words / sizeof *words;
		hang_begin(start);
		ssize_t got = pread(fd, words, want * sizeof *words,
				    (off_t)(start / IMAGE_PAGE * sizeof *words));
		hang_end();
		if (got == 0) /* nobody uses that address space any more */
			return err_new(E_GONE, "the process has ended or became another program");
		if (got < (ssize_t)sizeof *words)
			return errno_is_ours(errno) ? err_ours(errno, "pagemap") : err_errno(E_PERM, errno, "pagemap");
		size_t n = (size_t)got / sizeof *words;
		for (size_t i = 0; i < n; i++, start += IMAGE_PAGE)
			if (words[i] >> 62) /* bit 63: present, 62: swapped */
				spans_add(s, start, start + IMAGE_PAGE);
	}
	return NULL;
}

err_t spans_add_present(struct spans *s, int fd, uint64_t start, uint64_t end)
{
	struct spans before = *s;
	uint64_t tail = s->n ? s->v[s->n - 1].end : 0;
	if (!scan_regions(s, fd, start, end)) {
		s->n = before.n;
		if (s->n)
			s->v[s->n - 1].end = tail;
		TRY(scan_words(s, fd, start, end));
	}
	return s->failed ? ERR_NOMEM : NULL;
}

bool spans_quick(int fd)
{
	struct spans some = { 0 };
	bool quick = scan_regions(&some, fd, 0, IMAGE_PAGE);
	free(some.v);
	return quick;
}

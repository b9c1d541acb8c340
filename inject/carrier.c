/* The place where Python picks up a short text: its queue of pending calls, written while
 * the target stands still, in an order that is right whenever we die.
 *
 * Python 3.14 and later offer a slot for debuggers (PEP 768), which takes the path of a
 * script. It is not used: a file that both we and the target can reach has to be made
 * somewhere, its folder may be another one than it seems (a mount of the target's user),
 * and it would stay if we were killed. The queue needs memory alone. */
#include "inject/inject.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/act.h"
#include "inject/headroom.h"

/* A text in the target's memory begins so, by which a later one knows the place. */
#define MARK "#asyncmon\n"
#define BIT_CALLS_TO_DO (1u << 2)        /* _PY_CALLS_TO_DO_BIT, 3.13+ */
#define THREADS_MAX 65536
#define MUTEX_LOCKED 1u                  /* _Py_LOCKED */

struct inject_carrier {
	const struct inject_site *site;
	int32_t entry;           /* which call of the queue it is */
	uint64_t room;
};

static err_t put(struct target *t, uint64_t addr, const void *p, size_t n)
{
	return target_write(t, addr, p, n);
}

static err_t put_i32(struct target *t, uint64_t addr, int32_t v)
{
	return put(t, addr, &v, sizeof v);
}

static bool get_i32(struct target *t, uint64_t addr, int32_t *v)
{
	return target_peek(t, addr, v, sizeof *v);
}

static err_t set_bits(struct target *t, uint64_t addr, uint32_t bits)
{
	uint32_t v;
	if (!target_peek(t, addr, &v, sizeof v))
		return err_at(E_GONE, addr, "an eval breaker could not be read");
	v |= bits;
	return put(t, addr, &v, sizeof v);
}

static bool lock_is_free(struct target *t, const struct inject_site *s)
{
	uint64_t lock;
	uint32_t sem;
	uint8_t mutex;
	uint64_t at = s->queue.addr + (uint64_t)s->queue.lock;
	if (s->queue.mutex)
		return target_peek(t, at, &mutex, 1) && !(mutex & MUTEX_LOCKED);
	/* A PyThread lock is a POSIX semaphore whose count is 1 while nobody holds it. */
	return target_peek(t, at, &lock, sizeof lock) && target_peek(t, lock, &sem, sizeof sem) && sem == 1;
}

static uint64_t call_at(const struct inject_site *s, int32_t i)
{
	return s->queue.addr + (uint64_t)s->queue.calls + (uint64_t)i * (uint64_t)s->queue.call_size;
}

/* Does any waiting call read text from this place? */
static bool place_in_use(struct target *t, const struct inject_site *s, uint64_t room, uint32_t len,
			 int32_t first, int32_t last)
{
	for (int32_t i = first; i != last; i = (i + 1) % s->queue.ncalls) {
		uint64_t call[2];
		if (!target_peek(t, call_at(s, i), call, sizeof call) ||
		    (call[1] >= room && call[1] < room + len))
			return true;
	}
	return false;
}

/* Bytes behind a library's data that are zero, or hold an older text of ours that has run. */
static err_t find_room(struct target *t, const struct inject_site *s, size_t len, int32_t first,
		       int32_t last, uint64_t *room)
{
	char buf[4096];
	bool waits = false;
	for (size_t i = 0; i < s->nrooms; i++) {
		uint32_t n = s->rooms[i].len;
		if (n < len || n > sizeof buf || !target_peek(t, s->rooms[i].addr, buf, n))
			continue;
		bool ours = memcmp(buf, MARK, sizeof MARK - 1) == 0, zero = true;
		for (uint32_t k = 0; k < n && zero; k++)
			zero = buf[k] == 0;
		if (!zero && !ours)
			continue;
		*room = s->rooms[i].addr;
		if (!place_in_use(t, s, *room, n, first, last))
			return NULL;
		waits = true;
	}
	if (waits)
		return err_new(E_BUSY, "code that was put there before still waits to be run, and no thread of it looks for work");
	return err_new(E_UNSUPPORTED, "no unused bytes for %zu characters were found in the target", len);
}

/* The queue's own words, from the count to the last index: changed in a copy and written
 * at once, so that it is whole at any instant, also by the rules that only a debug build
 * checks (places not in use are zero). */
struct queue {
	uint8_t bytes[8192];   /* 3.13's, the largest, takes 7,232 */
	uint64_t addr;
	size_t len;
	const struct inject_site *s;
	int32_t first, last, count;
};

static int32_t word(const struct queue *q, int32_t offset)
{
	int32_t v;
	memcpy(&v, q->bytes + (offset - q->s->queue.count), sizeof v);
	return v;
}

static void set_word(struct queue *q, int32_t offset, int32_t v)
{
	memcpy(q->bytes + (offset - q->s->queue.count), &v, sizeof v);
}

static err_t queue_read(struct target *t, const struct inject_site *s, struct queue *q)
{
	int32_t end = s->queue.first > s->queue.last ? s->queue.first : s->queue.last;
	q->s = s;
	q->addr = s->queue.addr + (uint64_t)s->queue.count;
	q->len = (size_t)(end + 4 - s->queue.count);
	if (s->queue.calls < s->queue.count || end < s->queue.calls + s->queue.ncalls * s->queue.call_size ||
	    q->len > sizeof q->bytes || !target_peek(t, q->addr, q->bytes, q->len))
		return err_at(E_BADDATA, q->addr, "the queue of pending calls cannot be read");
	q->first = word(q, s->queue.first);
	q->last = word(q, s->queue.last);
	q->count = word(q, s->queue.count);
	if (q->first < 0 || q->last < 0 || q->first >= s->queue.ncalls || q->last >= s->queue.ncalls)
		return err_at(E_BADDATA, q->addr, "the queue of pending calls is not as it should be");
	return NULL;
}

static err_t queue_store(struct target *t, struct queue *q, int32_t entry, const uint64_t call[3],
			 int32_t last, int32_t count)
{
	const struct inject_site *s = q->s;
	memcpy(q->bytes + (s->queue.calls - s->queue.count) + entry * s->queue.call_size, call,
	       (size_t)s->queue.call_size);
	set_word(q, s->queue.last, last);
	set_word(q, s->queue.count, count);
	return put(t, q->addr, q->bytes, q->len);
}

static err_t set_breakers(struct target *t, const struct inject_site *s)
{
	if (!s->queue.mutex)
		return put_i32(t, s->breaker, 1);
	uint64_t ts = s->threads.head;
	for (int n = 0; n < THREADS_MAX && target_peek(t, ts, &ts, sizeof ts) && ts; n++) {
		TRY(set_bits(t, ts + (uint64_t)s->threads.breaker, BIT_CALLS_TO_DO));
		ts += (uint64_t)s->threads.next;
	}
	return NULL;
}

static err_t queue_write(struct target *t, struct inject_carrier *c, const char *text)
{
	const struct inject_site *s = c->site;
	struct queue q;
	TRY(queue_read(t, s, &q));
	int32_t next = (q.last + 1) % s->queue.ncalls;
	if (!lock_is_free(t, s) || next == q.first || (s->queue.mutex && q.count >= s->queue.max))
		return err_new(E_BUSY, "the queue of pending calls is locked or full");
	TRY(headroom_check(t, s));
	size_t len = strlen(text) + sizeof MARK;
	uint64_t room;
	TRY(find_room(t, s, len, q.first, q.last, &room));
	TRY(put(t, room, MARK, sizeof MARK - 1));
	TRY(put(t, room + sizeof MARK - 1, text, strlen(text) + 1));
	c->room = room;
	c->entry = q.last;
	TRY(queue_store(t, &q, q.last, (uint64_t[3]){ s->queue.function, room, 0 }, next,
			s->queue.mutex ? q.count + 1 : 1));
	return set_breakers(t, s);
}

static err_t queue_put(struct target *t, struct inject_carrier *c, const char *text)
{
	if (!c->site->queue.addr || !c->site->queue.function)
		return err_new(E_UNSUPPORTED, "the queue of pending calls was not found in the target");
	/* A call that the hook forbids would be an error without an exception. */
	if (c->site->care.audited)
		return err_new(E_UNSUPPORTED, "process %d has an audit hook (sys.addaudithook), which might forbid "
			       "what is put into it; this Python would then break off what it is at", (int)t->pid);
	TRY(target_stop(t));
	err_t e = queue_write(t, c, text);
	target_resume(t);
	return e;
}

/* An entry that is not the last cannot be taken out: its text becomes an empty one. */
static err_t queue_take_back(struct target *t, struct inject_carrier *c)
{
	const struct inject_site *s = c->site;
	uint64_t call[2];
	struct queue q;
	TRY(queue_read(t, s, &q));
	if (q.first == q.last || !target_peek(t, call_at(s, c->entry), call, sizeof call) || call[1] != c->room)
		return NULL;
	if (lock_is_free(t, s) && q.last == (c->entry + 1) % s->queue.ncalls)
		return queue_store(t, &q, c->entry, (uint64_t[3]){ 0 }, c->entry,
				   s->queue.mutex ? q.count - 1 : q.count);
	return put(t, c->room + sizeof MARK - 1, "", 1);
}

static void queue_end(struct target *t, struct inject_carrier *c)
{
	if (!c->room)
		return;
	err_t e = target_stop(t);
	if (!e)
		e = queue_take_back(t, c);
	err_free(e);
	target_resume(t);
}

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* A byte into a loop's self-pipe makes it turn once, as a signal would. */
static void wake(struct target *t, const struct inject_site *s)
{
	for (size_t i = 0; i < s->nwakes; i++) {
		int fd = (int)syscall(SYS_pidfd_getfd, target_pidfd(t), s->wakes[i], 0);
		if (fd < 0)
			continue;
		struct stat st;
		/* The number may mean another file by now. */
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			/* A full pipe wakes as well. */
		}
		close(fd);
	}
}

err_t carrier_put(struct target *t, const struct inject_site *site, const char *text,
		  struct inject_carrier **out)
{
	struct inject_carrier *c = calloc(1, sizeof *c);
	if (!c)
		return ERR_NOMEM;
	c->site = site;
	err_t e = queue_put(t, c, text);
	if (e) {
		free(c);
		/* What is in the way may be left by one that was killed before it woke the loop. */
		if (err_code(e) == E_BUSY)
			wake(t, site);
		return e;
	}
	wake(t, site);
	*out = c;
	return NULL;
}

bool carrier_taken(struct target *t, const struct inject_carrier *c)
{
	const struct inject_site *s = c->site;
	int32_t first, last;
	uint64_t call[2];
	if (!get_i32(t, s->queue.addr + (uint64_t)s->queue.first, &first) ||
	    !get_i32(t, s->queue.addr + (uint64_t)s->queue.last, &last) ||
	    !target_peek(t, call_at(s, c->entry), call, sizeof call))
		return false;
	int32_t waits = (last - first + s->queue.ncalls) % s->queue.ncalls;
	int32_t place = (c->entry - first + s->queue.ncalls) % s->queue.ncalls;
	return place >= waits || call[1] != c->room;
}

void carrier_end(struct target *t, struct inject_carrier *c, bool ran)
{
	if (!ran)
		queue_end(t, c);
	free(c);
}

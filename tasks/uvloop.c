/* uvloop: Cython classes without attributes, over libuv's structs. What is looked for is
 * told by its class among an object's own words, and a libuv handle by its first word,
 * which points back to the object (UVHandle._finish_init: handle.data = self). Sources:
 * uvloop/cbhandles.pxd, handles/handle.pxd; libuv's uv.h and uv/unix.h, whose handles
 * begin alike since 1.0: data, loop, type, close_cb, handle_queue[2], u[4],
 * next_closing, flags. */
#include "tasks/walk.h"

#include <string.h>

#define WORDS_MAX 256
#define BASES_MAX 16
#define TIMERS_MAX (1 << 20)

enum { UV_NAMED_PIPE = 7, UV_POLL = 8, UV_TCP = 12, UV_TIMER = 13, UV_TTY = 14 };
#define UV_TYPE 16
#define UV_FLAGS 88
#define UV_ACTIVE 4u         /* UV_HANDLE_ACTIVE, uv-common.h */
/* uv__io_t: cb, pending_queue[2], watcher_queue[2], pevents, events, fd. */
#define IO_FD 48
#define STREAM_IO 136        /* after write_queue_size, alloc_cb, read_cb, two requests */
#define POLL_IO 104          /* after poll_cb */
#define TIMER_TIMEOUT 128    /* after timer_cb and three words of the heap's */

static bool is_class(struct walk *w, const struct type_info *t, const char *name)
{
	for (int depth = 0; t && depth < BASES_MAX; depth++, t = type_at(&w->r, t->base))
		if (strcmp(t->name, name) == 0)
			return true;
	return false;
}

/* The i-th word of obj where it can be an object's address, else 0. */
static uint64_t word(struct walk *w, uint64_t obj, int64_t i)
{
	uint64_t p = field_at(&w->r, obj, (int32_t)(8 * i));
	return p && p % 8 == 0 && image_range_at(w->r.img, p) ? p : 0;
}

static int64_t words_of(struct walk *w, uint64_t obj)
{
	const struct type_info *t = object_type(&w->r, obj);
	int64_t n = t ? t->basicsize / 8 : 0;
	return n < WORDS_MAX ? n : WORDS_MAX;
}

uint64_t uvloop_member(struct walk *w, uint64_t obj, const char *class)
{
	int64_t n = words_of(w, obj);
	for (int64_t i = 2; i < n; i++) {
		uint64_t p = word(w, obj, i);
		const struct type_info *t = p ? object_type(&w->r, p) : NULL;
		if (t && is_class(w, t, class))
			return p;
	}
	return 0;
}

/* Loop.__cinit__: self.uvloop.data = self. */
uint64_t uvloop_handle(struct walk *w, uint64_t loop)
{
	const struct type_info *t = object_type(&w->r, loop);
	int64_t n = words_of(w, loop);
	if (!t || !is_class(w, t, "uvloop.loop.Loop"))
		return 0;
	for (int64_t i = 2; i < n; i++) {
		uint64_t p = word(w, loop, i), data;
		if (p && p != loop && image_u64(w->r.img, p, &data) && data == loop)
			return p;
	}
	return 0;
}

static uint64_t uv_handle(struct walk *w, uint64_t obj, uint32_t *type)
{
	const struct type_info *t = object_type(&w->r, obj);
	if (!t || !is_class(w, t, "uvloop.loop.UVHandle"))
		return 0;
	int64_t n = words_of(w, obj);
	for (int64_t i = 2; i < n; i++) {
		uint64_t p = word(w, obj, i), data;
		if (p && p != obj && image_u64(w->r.img, p, &data) && data == obj &&
		    image_u32(w->r.img, p + UV_TYPE, type))
			return p;
	}
	return 0;
}

int uvloop_fd(struct walk *w, uint64_t obj)
{
	uint32_t type;
	int32_t fd;
	uint64_t h = uv_handle(w, obj, &type), io;
	if (!h)
		return -1;
	if (type == UV_TCP || type == UV_NAMED_PIPE || type == UV_TTY)
		io = h + STREAM_IO;
	else if (type == UV_POLL)
		io = h + POLL_IO;
	else
		return -1;
	return image_i32(w->r.img, io + IO_FD, &fd) && fd >= 0 && fd < 1 << 30 ? fd : -1;
}

double uvloop_when(struct walk *w, uint64_t timer)
{
	uint32_t type, flags;
	uint64_t ms, h = uv_handle(w, timer, &type);
	if (!h || type != UV_TIMER || !image_u32(w->r.img, h + UV_FLAGS, &flags) || !(flags & UV_ACTIVE) ||
	    !image_u64(w->r.img, h + TIMER_TIMEOUT, &ms) || ms > 1ull << 53)
		return __builtin_nan("");
	return (double)ms / 1e3;
}

/* A TimerHandle's words: the callback first, a tuple of arguments, the UVTimer. */
static void timer_handle(struct walk *w, struct loop *l, uint64_t handle,
			 void (*timer)(struct walk *, struct loop *, double, uint64_t, uint64_t))
{
	uint64_t uv = uvloop_member(w, handle, "uvloop.loop.UVTimer"), callback = 0, args = 0;
	double when = uv ? uvloop_when(w, uv) : __builtin_nan("");
	if (when != when)
		return;
	int64_t n = words_of(w, handle);
	for (int64_t i = 2; i < n && !args; i++) {
		uint64_t p = word(w, handle, i);
		enum type_kind kind = p ? object_kind(&w->r, p) : KIND_OTHER;
		if (kind == KIND_TUPLE && callback)
			args = p;
		else if (!callback && p && p != uv && object_type(&w->r, p) && kind != KIND_TUPLE)
			callback = p;
	}
	timer(w, l, when, callback, args);
}

/* Loop._timers: the set whose members are TimerHandles. */
void uvloop_timers(struct walk *w, struct loop *l,
		   void (*timer)(struct walk *, struct loop *, double when, uint64_t callback, uint64_t args))
{
	const struct type_info *t = object_type(&w->r, l->id), *kt;
	int64_t n = words_of(w, l->id);
	struct set_iter it;
	uint64_t key;
	if (!t || !is_class(w, t, "uvloop.loop.Loop"))
		return;
	for (int64_t i = 2; i < n; i++) {
		uint64_t set = word(w, l->id, i);
		if (!set || object_kind(&w->r, set) != KIND_SET || !set_begin(&w->r, set, &it))
			continue;
		for (int k = 0; set_next(&w->r, &it, &key); k++) {
			if (k == TIMERS_MAX) {
				w->cut_lists++;
				break;
			}
			kt = object_type(&w->r, key);
			if (!kt || !is_class(w, kt, "uvloop.loop.TimerHandle"))
				break;
			if (k == 0)
				l->timers = it.used;
			timer_handle(w, l, key, timer);
		}
	}
}

/* A Handle made of a Python callable: new_Handle() has it among the handle's words. */
static uint64_t callable_of(struct walk *w, uint64_t handle)
{
	int64_t n = words_of(w, handle);
	for (int64_t i = 2; i < n; i++) {
		uint64_t p = word(w, handle, i);
		enum type_kind kind = p ? object_kind(&w->r, p) : KIND_OTHER;
		if (kind == KIND_FUNCTION || kind == KIND_METHOD || kind == KIND_CFUNCTION)
			return p;
	}
	return 0;
}

/* Loop._signal_handlers: the dict of Handles by small numbers. */
size_t uvloop_signals(struct walk *w, uint64_t loop, struct uvloop_signal *out, size_t max)
{
	const struct type_info *t = object_type(&w->r, loop);
	int64_t n = words_of(w, loop), number;
	size_t found = 0;
	struct dict_iter it;
	uint64_t key, value;
	if (!t || !is_class(w, t, "uvloop.loop.Loop"))
		return 0;
	for (int64_t i = 2; i < n; i++) {
		uint64_t dict = word(w, loop, i);
		if (!dict || object_kind(&w->r, dict) != KIND_DICT || !dict_begin(&w->r, dict, &it))
			continue;
		while (found < max && dict_next(&w->r, &it, &key, &value)) {
			const struct type_info *vt = object_type(&w->r, value);
			if (!int_at(&w->r, key, &number) || number < 1 || number > 64 || !vt ||
			    !is_class(w, vt, "uvloop.loop.Handle"))
				break;
			out[found] = (struct uvloop_signal){ (int)number, callable_of(w, value) };
			found += out[found].callable != 0;
		}
	}
	return found;
}

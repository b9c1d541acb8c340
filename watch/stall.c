#include "watch/stall.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/syscalls.h"
#include "query/shape.h"

/* Of more major faults a stall is told to have waited for pages. */
#define FAULTS_MANY 16

static bool named(const struct thread_frame *f, const char *name)
{
	const char *dot = f->function ? strrchr(f->function, '.') : NULL;
	return f->kind == FRAME_PYTHON && f->function && strcmp(dot ? dot + 1 : f->function, name) == 0;
}

static bool of_uvloop(const struct thread_frame *f)
{
	return f->kind == FRAME_NATIVE && f->module && strstr(f->module, "/uvloop/");
}

static bool runs_handle(const struct thread_frame *f)
{
	const char *end = f->file ? strstr(f->file, "asyncio/events.py") : NULL;
	return end && !end[sizeof "asyncio/events.py" - 1] && named(f, "_run");
}

/* Where what the loop runs begins: the first frame of Python's further in than the loop's
 * own. All of it where there is none of the loop's. */
static size_t step_begin(const struct thread_frame *f, size_t n)
{
	size_t from = 0, uv = n;
	for (size_t i = 0; i < n; i++) {
		if (named(&f[i], "_run_once"))
			from = i + 1;
		if (of_uvloop(&f[i]) && uv == n)
			uv = i + 1;
	}
	if (!from && uv < n)
		from = uv;
	size_t i = from;
	while (from && i < n && (f[i].kind == FRAME_NATIVE || runs_handle(&f[i])))
		i++;
	return i < n ? i : from;
}

void stall_look_make(struct stall_look *l, const struct hold *h, const struct snapshot *s)
{
	*l = (struct stall_look){ .snap = s };
	for (size_t i = 0; s && i < s->nthreads; i++) {
		const struct thread_stack *t = &s->threads[i];
		if (t->tid == h->of.thread)
			l->thread = t;
		else if (t->gil == 1)
			l->owner = t;
	}
	if (!l->thread)
		return;
	size_t from = step_begin(l->thread->frames, l->thread->nframes);
	l->frames = l->thread->frames + from;
	l->nframes = l->thread->nframes - from;
	for (size_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].state == TASK_RUNNING && s->tasks[i].loop == h->of.loop)
			l->task = &s->tasks[i];
}

const struct thread_frame *stall_place(const struct stall_look *l)
{
	for (size_t i = l->nframes; i-- > 0;)
		if (l->frames[i].kind == FRAME_PYTHON)
			return &l->frames[i];
	return NULL;
}

bool stall_looks_alike(const struct stall_look *a, const struct stall_look *b)
{
	if (a->nframes != b->nframes || a->task != b->task)
		return false;
	for (size_t i = 0; i < a->nframes; i++) {
		const struct thread_frame *x = &a->frames[i], *y = &b->frames[i];
		if (x->kind != y->kind || x->line != y->line || x->address != y->address ||
		    strcmp(x->function ? x->function : "", y->function ? y->function : "") != 0)
			return false;
	}
	return true;
}

static void add_place(struct strbuf *b, const char *before, const struct thread_frame *f)
{
	if (!f)
		return;
	strbuf_str(b, before);
	shape_place(b, f->function, f->file, f->line);
}

static void say_call(struct strbuf *b, const struct hold *h)
{
	const struct hold_call *most = NULL;
	for (size_t i = 0; i < h->ncalls; i++)
		if (!most || h->calls[i].seconds > most->seconds)
			most = &h->calls[i];
	if (!most)
		return;
	const char *name = syscall_name(most->number);
	if (name)
		strbuf_str(b, name);
	else
		strbuf_fmt(b, "system call %ld", most->number);
	if (most->fd >= 0)
		strbuf_fmt(b, " on descriptor %d", most->fd);
	if (most->on[0])
		strbuf_fmt(b, " (%s)", most->on);
}

static void say_owner(struct strbuf *b, const struct stall_look *l)
{
	if (!l->owner) {
		strbuf_str(b, "another thread has it");
		return;
	}
	strbuf_fmt(b, "thread %d", (int)l->owner->tid);
	if (l->owner->title || l->owner->name)
		strbuf_fmt(b, " (%s)", l->owner->title ? l->owner->title : l->owner->name);
	strbuf_str(b, " has it");
	for (size_t i = l->owner->nframes; i-- > 0;)
		if (l->owner->frames[i].kind == FRAME_PYTHON) {
			add_place(b, ", in ", &l->owner->frames[i]);
			return;
		}
}

/* The outermost function of C that Python's last frame called, which is what the library
 * offers by that name. */
static void say_native(struct strbuf *b, const struct stall_look *l)
{
	const struct thread_frame *inner = l->nframes ? &l->frames[l->nframes - 1] : NULL;
	if (!inner || inner->kind != FRAME_NATIVE)
		return;
	const char *slash = inner->module ? strrchr(inner->module, '/') : NULL;
	strbuf_str(b, inner->function ? inner->function : "C code");
	if (inner->module)
		strbuf_fmt(b, " of %s", slash ? slash + 1 : inner->module);
}

void stall_detail(struct strbuf *b, const struct stall *s)
{
	const struct hold *h = &s->hold;
	const struct thread_frame *at = stall_place(&s->first);
	size_t from = b->len;
	const char *by = ", called by ";
	switch (hold_state(h)) {
	case HOLD_PYTHON:
		by = "in ";
		break;
	case HOLD_NATIVE:
		say_native(b, &s->first);
		break;
	case HOLD_SYSCALL:
		say_call(b, h);
		break;
	case HOLD_GIL:
		say_owner(b, &s->first);
		by = "; wanted by ";
		break;
	case HOLD_GC:
		strbuf_str(b, "garbage collection");
		by = ", begun in ";
		break;
	case HOLD_STOPPED:
		strbuf_str(b, "by a signal, as SIGSTOP");
		by = ", in ";
		break;
	case HOLD_THROTTLED:
		strbuf_fmt(b, "its control group had used up its processor time for %.0f ms of it", h->parts[PART_STARVED] * 1e3);
		by = ", in ";
		break;
	case HOLD_STARVED:
		strbuf_str(b, "ready to go on, but no processor was free for it");
		break;
	default:
		break;
	}
	add_place(b, b->len > from ? by : "in ", at);
	if (hold_state(h) < HOLD_THROTTLED && h->parts[PART_STARVED] > hold_seconds(h) / 4)
		strbuf_fmt(b, "%sno processor was free for it for %.0f ms", b->len > from ? "; " : "",
			   h->parts[PART_STARVED] * 1e3);
	if (h->major_faults >= FAULTS_MANY)
		strbuf_fmt(b, "%s%llu times it waited for a page to be read from a disk or swap (major faults)",
			   b->len > from ? "; " : "", (unsigned long long)h->major_faults);
}

bool stall_sum_add(struct stall_sum *s, const struct hold *h)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		double *v = realloc(s->seconds, room * sizeof *v);
		if (!v)
			return false;
		s->seconds = v;
		s->room = room;
	}
	s->seconds[s->n++] = hold_seconds(h);
	s->held += hold_seconds(h);
	s->states[hold_state(h)]++;
	return true;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

void stall_sum_sort(struct stall_sum *s)
{
	if (s->n)
		qsort(s->seconds, s->n, sizeof *s->seconds, by_size);
}

double stall_sum_percentile(const struct stall_sum *s, double percent)
{
	if (!s->n)
		return NAN;
	size_t i = (size_t)ceil(percent / 100 * (double)s->n);
	return s->seconds[i ? i - 1 : 0];
}

void stall_sum_free(struct stall_sum *s)
{
	free(s->seconds);
	*s = (struct stall_sum){ 0 };
}

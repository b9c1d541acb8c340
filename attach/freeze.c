/* One instant of a living process: stop, copy, let go.
 *
 * All that takes time happens while the target runs: what to copy is decided, our
 * buffers get their pages, what was not read before is read once, every thread is
 * seized. Between the first interrupt and the last detach there is the copy, and what
 * could only be known then.
 *
 * The thread that holds the target stopped does nothing that could hang: hands read,
 * and it waits for them until the time is up. */
#include "attach/process.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "attach/guard.h"
#include "base/clock.h"
#include "base/descriptors.h"

/* How far around a missed page the next attempt looks where nothing else is asked for:
 * CPython's objects made close in time lie close in one arena. */
#define MISSED_AROUND (64u << 10)

/* Lost hands may still point here: then it is never freed. */
struct freeze {
	struct process *p;
	struct freeze_opts o;
	struct copy_list list, stacks;
	struct copy_run run;
	struct spans wanted, present;
	struct hands *hands;
	bool quick;              /* what exists can be asked for while the target stands still */
	bool unread;             /* more is copied than was looked at before */
	bool out;                /* hands did not come back in time */
	bool shown;              /* the image has what was copied */
	bool failed;             /* the look while the target stood */
	bool spoilt;             /* and what was read beyond that may be of a later instant */
	err_t planned;           /* of plan_again() */
	struct strbuf left;   /* text of mappings that a lost hand may yet write to */
};

static int by_start(const void *a, const void *b)
{
	const struct image_span *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* What was asked for, as spans in order; pages that cannot change are left out. */
static err_t plan_wanted(struct freeze *f)
{
	struct process *p = f->p;
	struct map *w = &p->wanted;
	struct spans *out = &f->wanted;
	uint64_t around = f->o.around ? f->o.around : MISSED_AROUND;
	for (size_t i = 0; w->slots && i <= w->mask; i++) {
		uint64_t page = w->slots[2 * i];
		const struct mapping *m = page ? target_mapping(&p->t, page) : NULL;
		if (!m || !mapping_visible(m) || !mapping_mutable(m))
			continue;
		uint64_t start = page, end = page + IMAGE_PAGE;
		if (w->slots[2 * i + 1] == PAGE_MISSED) {
			f->unread = true;
			start &= ~(around - 1);
			end = start + around;
			start = start < m->start ? m->start : start;
			end = end > m->end ? m->end : end;
		}
		spans_add(out, start, end);
	}
	if (out->failed)
		return ERR_NOMEM;
	if (out->n)
		qsort(out->v, out->n, sizeof *out->v, by_start);
	return NULL;
}

/* Small writable parts of files are taken whole: what was never touched of them
 * is the file's content, not zeros. */
#define FILE_PART_MAX (4u << 20)

static err_t plan_present(struct process *p, struct spans *out)
{
	int fd = process_pagemap(p);
	if (fd < 0 && errno_is_ours(errno))
		return err_ours(errno, "pagemap");
	/* The process has ended, or only the thread that it is asked for by. */
	bool ended = fd < 0 && (errno == ENOENT || errno == ESRCH);
	if (ended) {
		TRY(process_check_space(p));
		TRY(process_sync_threads(p));
		fd = process_pagemap(p);
	}
	if (ended && fd < 0)
		return err_new(E_GONE, "process %d has ended", (int)p->t.pid);
	for (size_t i = 0; i < p->t.nmappings; i++) {
		const struct mapping *m = &p->t.mappings[i];
		if (!mapping_private(m))
			continue;
		if (m->inode && m->end - m->start <= FILE_PART_MAX)
			spans_add(out, m->start, m->end);
		else
			TRY(spans_add_present(out, fd, m->start, m->end));
	}
	return out->failed ? ERR_NOMEM : NULL;
}

/* What was asked for first, should there be no time for all; then what else there is.
 * Both are sorted; spans of `first` may overlap. */
static err_t list_make(struct process *p, const struct spans *first, const struct spans *rest,
		       struct copy_list *list)
{
	uint64_t done = 0;
	copy_clear(list);
	for (size_t i = 0; i < first->n; i++) {
		uint64_t start = first->v[i].start < done ? done : first->v[i].start;
		if (start >= first->v[i].end)
			continue;
		copy_add(list, &p->img, start, first->v[i].end);
		done = first->v[i].end;
	}
	for (size_t i = 0, k = 0; i < rest->n; i++) {
		uint64_t at = rest->v[i].start, end = rest->v[i].end;
		while (at < end) {
			while (k < first->n && first->v[k].end <= at)
				k++;
			bool met = k < first->n && first->v[k].start < end;
			uint64_t stop = !met ? end : first->v[k].start > at ? first->v[k].start : at;
			copy_add(list, &p->img, at, stop);
			at = met ? first->v[k].end : end;
		}
	}
	return list->failed ? ERR_NOMEM : NULL;
}

static err_t plan(struct freeze *f)
{
	f->present.n = 0;
	if (f->o.whole)
		TRY(plan_present(f->p, &f->present));
	return list_make(f->p, &f->wanted, &f->present, &f->list);
}

/* While the target stands still: pages and mappings that came since the plan. Where
 * that takes long, what came is missed, and the next attempt knows of it. */
static err_t plan_again(struct freeze *f)
{
	if (!f->o.whole || !f->quick)
		return NULL;
	TRY(process_sync_maps(f->p, NULL));
	return plan(f);
}

/* fs_base: 0 unknown. most: bytes. */
static void plan_stack(struct freeze *f, uint64_t sp, uint64_t fs_base, uint64_t most)
{
	const struct mapping *m = target_mapping(&f->p->t, sp);
	if (!m || !mapping_visible(m))
		return;
	/* 128 bytes below the stack pointer are the function's own (System V), where they exist. */
	uint64_t start = (sp - 128) & ~(uint64_t)(IMAGE_PAGE - 1), end = m->end;
	start = start > m->start ? start : m->start;
	/* A thread's descriptor is above its stack, at fs_base. glibc 2.42 and later leaves
	 * no gap between stacks: what is further up is another thread's. */
	if (fs_base > sp && fs_base < end)
		end = (fs_base | (IMAGE_PAGE - 1)) + 1;
	if (end - start > most + IMAGE_PAGE)
		end = (start + most + IMAGE_PAGE) & ~(uint64_t)(IMAGE_PAGE - 1);
	copy_add(&f->stacks, &f->p->img, start, end);
}

static err_t plan_stacks(struct freeze *f)
{
	struct stop *s = &f->p->stop;
	copy_clear(&f->stacks);
	for (size_t i = 0; i < s->n && f->o.stack_bytes; i++)
		if (s->v[i].have_regs)
			plan_stack(f, s->v[i].regs.rsp, s->v[i].regs.fs_base, f->o.stack_bytes);
	return f->stacks.failed ? ERR_NOMEM : NULL;
}

/* Gives our buffers the pages where stacks will likely be copied to. */
#define STACK_GUESS (32u << 10)
static void prefault_stacks(struct freeze *f)
{
	for (size_t i = 0; i < f->p->t.nthreads && f->o.stack_bytes; i++) {
		uint64_t sp = proc_stack_pointer(f->p->t.threads[i].tid);
		if (sp)
			plan_stack(f, sp, 0, STACK_GUESS);
	}
	copy_prefault(&f->stacks);
}

/* A thread that stands still, to read through; the one we had may have ended. */
static err_t pick_thread(struct process *p)
{
	for (size_t i = 0; i < p->stop.n; i++) {
		if (p->stop.v[i].phase == HELD_STOPPED || p->stop.v[i].phase == HELD_ASLEEP) {
			p->mem_tid = p->stop.v[i].tid;
			if (process_same_space(p))
				return NULL;
			return err_new(E_GONE, "process %d became another program (exec)", (int)p->t.pid);
		}
	}
	return err_new(E_GONE, "process %d has ended", (int)p->t.pid);
}

static void hand_plan(void *arg, size_t i)
{
	struct freeze *f = arg;
	(void)i;
	f->planned = pick_thread(f->p);
	if (!f->planned)
		f->planned = plan_again(f);
}

static err_t planned(struct freeze *f)
{
	err_t e = f->planned;
	f->planned = NULL;
	return e;
}

static err_t run_list(struct freeze *f, struct copy_list *list, int64_t deadline)
{
	if (f->out || list->local.n == 0)
		return NULL;
	TRY(copy_begin(&f->run, list, f->p));
	f->out = !hands_run(f->hands, COPY_HANDS_MAX, copy_hand, &f->run, deadline);
	return f->out ? NULL : copy_end(&f->run, &f->p->bad);
}

static void show(struct freeze *f)
{
	if (f->shown)
		return;
	copy_apply(&f->stacks, &f->p->img, &f->p->bad);
	copy_apply(&f->list, &f->p->img, &f->p->bad);
	f->shown = true;
}

static void hand_look(void *arg, size_t i)
{
	struct freeze *f = arg;
	(void)i;
	f->o.look(f->o.look_arg);
}

/* What the target did since the plan was made is found where it stands. */
static void look_held(struct freeze *f)
{
	int64_t end = now_ns() + f->o.look_ns;
	if (!f->o.look || f->out || f->list.read < f->list.bytes)
		return;
	show(f);
	f->failed = !hands_run(f->hands, 1, hand_look, f, end < f->p->deadline ? end : f->p->deadline);
	/* Where none got a processor nothing was read beyond the copy, which is as good as before. */
	f->out = f->spoilt = f->failed && hands_began(f->hands);
}

/* On the tracer thread. */
static err_t copy_held(void *arg)
{
	struct freeze *f = arg;
	struct process *p = f->p;
	f->out = !hands_run(f->hands, 1, hand_plan, f, p->deadline);
	if (f->out)
		return NULL;
	TRY(planned(f));
	stop_regs(&p->stop);
	TRY(plan_stacks(f));
	TRY(run_list(f, &f->stacks, p->deadline));
	TRY(run_list(f, &f->list, p->deadline));
	look_held(f);
	return NULL;
}

static err_t copy_and_release(void *arg)
{
	struct freeze *f = arg;
	err_t e = copy_held(f);
	stop_release(&f->p->stop);
	return e;
}

/* Threads as they were at the stop: registers, and those that came meanwhile. */
static err_t take_threads(struct process *p)
{
	size_t n = 0;
	struct thread *ts = calloc(p->stop.n, sizeof *ts);
	if (!ts)
		return ERR_NOMEM;
	for (size_t i = 0; i < p->stop.n; i++) {
		const struct held *h = &p->stop.v[i];
		if (!h->seen)
			continue;
		struct thread *th = &ts[n++];
		*th = (struct thread){ .tid = h->tid, .ns_tid = h->tid };
		size_t k = 0;
		while (k < p->t.nthreads && p->t.threads[k].tid != h->tid)
			k++;
		if (k < p->t.nthreads) {
			*th = p->t.threads[k];
		} else {
			struct proc_status st;
			if (proc_status_read(h->tid, &st)) {
				th->ns_tid = st.ns_tid;
				memcpy(th->comm, st.name, sizeof th->comm);
				th->state = st.state;
			}
		}
		th->have_regs = h->have_regs;
		th->regs = h->regs;
		th->fs_base = h->have_regs ? h->regs.fs_base : 0;
	}
	free(p->t.threads);
	p->t.threads = ts;
	p->t.nthreads = n;
	return NULL;
}

/* A lost hand's call may yet write to the image, or to the text of the mappings: they get
 * other memory. */
static void leave_memory(struct freeze *f)
{
	struct process *p = f->p;
	image_leave(&p->img);
	f->left = p->maps_next;
	p->maps_next = (struct strbuf){ 0 };
	p->maps.len = 0;
}

/* The target runs, and hands did not come back in time. */
static err_t settle(struct freeze *f, bool *lost)
{
	struct process *p = f->p;
	uint64_t at = 0;
	f->out = false;
	*lost = !hands_settle(f->hands, &at);
	if (*lost) {
		const struct mapping *m = target_mapping(&p->t, at);
		leave_memory(f);
		return err_at(E_BUSY, at, "reading process %d does not come back (at 0x%llx%s%s): memory that nobody "
			      "serves (userfaultfd), or a file or swap that does not answer; the process was let go",
			      (int)p->t.pid, (unsigned long long)at, m && *m->path ? ", " : "", m ? m->path : "");
	}
	if (f->spoilt)
		process_forget(p);
	else if (f->run.list)
		return copy_end(&f->run, &p->bad);
	return planned(f);
}

static err_t freeze_stopped(struct freeze *f, struct freeze_stats *st)
{
	struct process *p = f->p;
	err_t e;
	if (p->tracer) {
		/* Between target_stop() and target_resume(): the pause is the caller's. */
		e = tracer_run(p->tracer, copy_held, f);
	} else {
		e = process_hold(p, f->o.pause_ns, copy_and_release, f);
		process_let_go(p);
		st->paused_us = p->paused_ns / 1000;
		st->stop_us = (p->stop.halted - p->stop.began) / 1000;
	}
	st->was_stopped = p->stop.was_stopped;
	return e ? e : take_threads(p);
}

/* Without a stop there is no hurry, but an end there must be. */
#define RUNNING_NS 30000000000ll

static err_t freeze_running(struct freeze *f, struct freeze_stats *st)
{
	st->paused_us = st->stop_us = -1;
	TRY(process_check_space(f->p));
	return run_list(f, &f->list, now_ns() + RUNNING_NS);
}

/* Reads what will be copied once while the target runs. Pages that are swapped out, or that
 * a hypervisor has not shown to us yet, take their time now and not in the pause. */
static err_t warm(struct freeze *f, bool *lost)
{
	int64_t end = now_ns() + f->o.pause_ns;
	err_t e = run_list(f, &f->stacks, end);
	if (!e && f->unread)
		e = run_list(f, &f->list, end);
	if (!e && f->out)
		e = settle(f, lost);
	map_free(&f->p->bad);
	copy_clear(&f->stacks);
	return e;
}

static err_t freeze_by(struct freeze *f, struct freeze_stats *st, bool *lost)
{
	struct process *p = f->p;
	f->unread = f->o.whole;
	TRY(plan_wanted(f));
	f->quick = f->o.whole && spans_quick(process_pagemap(p));
	TRY(plan(f));
	/* A page that was looked at is there since then. */
	if (f->unread)
		copy_prefault(&f->list);
	prefault_stacks(f);
	TRY(hands_start(copy_hands(), &f->hands));
	/* A target that is held already would stand still for that too. */
	err_t e = f->o.no_pause || p->tracer ? NULL : warm(f, lost);
	if (!e)
		e = f->o.no_pause ? freeze_running(f, st) : freeze_stopped(f, st);
	if (f->out && !e)
		e = settle(f, lost);
	hands_end(f->hands);
	if (e)
		return e;
	show(f);
	st->look_failed = f->failed;
	st->bytes = f->list.read + f->stacks.read;
	st->left = f->list.bytes + f->stacks.bytes - st->bytes;
	p->frozen = !f->o.no_pause;
	p->whole = f->quick && p->frozen && !st->left;
	st->threads = (unsigned)p->t.nthreads;
	return NULL;
}

err_t process_freeze(struct target *t, const struct freeze_opts *o, struct freeze_stats *st)
{
	struct process *p = process_of(t);
	bool lost = false;
	*st = (struct freeze_stats){ .paused_us = -1, .stop_us = -1 };
	guard_start(); /* by a child of the one that opened it, again */
	p->frozen = p->whole = false;
	p->img.misses = 0;
	map_free(&p->bad);
	TRY(process_check_space(p));
	TRY(process_sync_maps(p, NULL));
	TRY(process_sync_threads(p));
	process_forget(p);
	p->copied = true;
	struct freeze *f = calloc(1, sizeof *f);
	if (!f)
		return ERR_NOMEM;
	f->p = p;
	f->o = *o;
	err_t e = freeze_by(f, st, &lost);
	process_pagemap_close(p);
	if (lost)
		return e;
	err_free(f->planned);
	copy_free(&f->list);
	copy_free(&f->stacks);
	free(f->wanted.v);
	free(f->present.v);
	free(f);
	return e;
}

uint64_t process_whole_size(struct target *t)
{
	struct process *p = process_of(t);
	struct spans s = { 0 };
	err_free(plan_present(p, &s));
	process_pagemap_close(p);
	uint64_t sum = spans_bytes(&s);
	free(s.v);
	return sum;
}

/* One instant of a living process: stop, copy, let go.
 *
 * All that takes time happens while the target runs: what to copy is decided, our
 * buffers get their pages, every thread is seized. Between the first interrupt and
 * the last detach there is the copy, and what could only be known then. */
#include "attach/act.h"
#include "attach/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "attach/refuse.h"

/* How far around a missed page the next attempt looks where nothing else is asked for:
 * CPython's objects made close in time lie close in one arena. */
#define MISSED_AROUND (64u << 10)

struct freeze {
	struct process *p;
	const struct freeze_opts *o;
	struct copy_list list, stacks;
	struct spans wanted, present;
};

static int by_start(const void *a, const void *b)
{
	const struct image_span *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* What was asked for, as spans in order; pages that cannot change are left out. */
static err_t plan_wanted(struct process *p, uint64_t around, struct spans *out)
{
	struct map *w = &p->wanted;
	around = around ? around : MISSED_AROUND;
	for (size_t i = 0; w->slots && i <= w->mask; i++) {
		uint64_t page = w->slots[2 * i];
		const struct mapping *m = page ? target_mapping(&p->t, page) : NULL;
		if (!m || !mapping_visible(m) || !mapping_mutable(m))
			continue;
		uint64_t start = page, end = page + IMAGE_PAGE;
		if (w->slots[2 * i + 1] == PAGE_MISSED) {
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
	for (size_t i = 0; i < p->t.nmappings; i++) {
		const struct mapping *m = &p->t.mappings[i];
		if (!mapping_private(m))
			continue;
		if (m->inode && m->end - m->start <= FILE_PART_MAX)
			spans_add(out, m->start, m->end);
		else
			TRY(spans_add_present(out, p->pagemap_fd, m->start, m->end));
	}
	return out->failed ? ERR_NOMEM : NULL;
}

/* The union of two sorted lists of spans, as pieces to copy. */
static err_t list_union(struct process *p, const struct spans *a, const struct spans *b,
			struct copy_list *list)
{
	uint64_t done = 0;
	copy_clear(list);
	for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
		bool first = k == b->n || (i < a->n && a->v[i].start <= b->v[k].start);
		struct image_span s = first ? a->v[i++] : b->v[k++];
		if (s.start < done)
			s.start = done;
		if (s.start >= s.end)
			continue;
		copy_add(list, &p->img, s.start, s.end);
		done = s.end;
	}
	return list->failed ? ERR_NOMEM : NULL;
}

static err_t plan(struct freeze *f)
{
	f->present.n = 0;
	if (f->o->whole)
		TRY(plan_present(f->p, &f->present));
	return list_union(f->p, &f->wanted, &f->present, &f->list);
}

static void forget_mutable(struct process *p)
{
	for (size_t i = 0; i < p->t.nmappings; i++)
		if (mapping_mutable(&p->t.mappings[i]))
			image_forget(&p->img, p->t.mappings[i].start,
				     p->t.mappings[i].end - p->t.mappings[i].start);
}

/* While the target stands still: pages and mappings that came since the plan. */
static err_t plan_again(struct freeze *f)
{
	if (!f->o->whole)
		return NULL;
	TRY(process_sync_maps(f->p, NULL));
	return plan(f);
}

static err_t copy_stacks(struct freeze *f)
{
	struct process *p = f->p;
	copy_clear(&f->stacks);
	for (size_t i = 0; i < p->stop.n && f->o->stack_bytes; i++) {
		const struct held *h = &p->stop.v[i];
		/* 128 bytes below the stack pointer are the function's own (System V). */
		uint64_t sp = h->have_regs ? h->regs.rsp - 128 : 0;
		const struct mapping *m = h->have_regs ? target_mapping(&p->t, sp) : NULL;
		if (!m || !mapping_visible(m))
			continue;
		uint64_t start = sp & ~(uint64_t)(IMAGE_PAGE - 1), end = m->end;
		if (end - start > f->o->stack_bytes + IMAGE_PAGE)
			end = (start + f->o->stack_bytes + IMAGE_PAGE) & ~(uint64_t)(IMAGE_PAGE - 1);
		copy_add(&f->stacks, &p->img, start, end);
	}
	return f->stacks.failed ? ERR_NOMEM : copy_run(&f->stacks, p->mem_tid, &p->bad);
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

static err_t copy_halted(struct freeze *f)
{
	TRY(pick_thread(f->p));
	TRY(plan_again(f));
	TRY(copy_run(&f->list, f->p->mem_tid, &f->p->bad));
	stop_regs(&f->p->stop);
	return copy_stacks(f);
}

static err_t copy_and_release(void *arg)
{
	struct freeze *f = arg;
	err_t e = copy_halted(f);
	stop_release(&f->p->stop);
	return e;
}

static err_t copy_held(void *arg)
{
	return copy_halted(arg);
}

struct hold {
	struct process *p;
	int64_t patience_ns;
	err_t (*then)(void *);
	void *arg;
};

static err_t halt_then(void *arg)
{
	struct hold *h = arg;
	TRY(stop_seize(&h->p->stop));
	TRY(stop_halt(&h->p->stop, h->patience_ns));
	return h->then ? h->then(h->arg) : NULL;
}

static void let_go(struct process *p)
{
	tracer_end(p->tracer);
	p->tracer = NULL;
	stop_await_free(&p->stop);
}

/* One tracer at a time: another asyncmon lets go within milliseconds. */
#define TURNS 30
#define TURN_NS 10000000

static bool wait_for_turn(err_t e, int *turns)
{
	if ((err_code(e) != E_TRACED && err_code(e) != E_PERM) || ++*turns > TURNS)
		return false;
	nanosleep(&(struct timespec){ .tv_nsec = TURN_NS }, NULL);
	return true;
}

/* Halts the process and does `then` on the tracer thread. A thread that does not
 * halt must not hold up the others for long: let them all run, and try again with
 * more patience, 2 seconds in all. On success the tracer is still there. */
static err_t hold(struct process *p, err_t (*then)(void *), void *arg)
{
	static const int patience_ms[] = { 100, 400, 1500 };
	err_t e = NULL;
	int turns = 0;
	for (size_t i = 0; i < sizeof patience_ms / sizeof *patience_ms; i++) {
		struct hold h = { p, patience_ms[i] * 1000000ll, then, arg };
		err_free(e);
		TRY(tracer_start(&p->tracer));
		stop_begin(&p->stop, p->t.pid, p->task_dir);
		e = tracer_run(p->tracer, halt_then, &h);
		if (!e)
			return NULL;
		let_go(p);
		if (wait_for_turn(e, &turns)) {
			i--;
			continue;
		}
		if (err_code(e) != E_BUSY)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
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

static err_t freeze_stopped(struct freeze *f, struct freeze_stats *st)
{
	struct process *p = f->p;
	if (p->tracer) {
		/* Between target_stop() and target_resume(): the pause is the caller's. */
		TRY(tracer_run(p->tracer, copy_held, f));
	} else {
		TRY(hold(p, copy_and_release, f));
		let_go(p);
		st->paused_us = (p->stop.released - p->stop.began) / 1000;
		st->stop_us = (p->stop.halted - p->stop.began) / 1000;
	}
	st->was_stopped = p->stop.was_stopped;
	return take_threads(p);
}

static err_t freeze_running(struct freeze *f, struct freeze_stats *st)
{
	st->paused_us = st->stop_us = -1;
	if (!process_same_space(f->p))
		return err_new(E_GONE, "process %d has ended", (int)f->p->t.pid);
	return copy_run(&f->list, f->p->mem_tid, &f->p->bad);
}

err_t process_freeze(struct target *t, const struct freeze_opts *o, struct freeze_stats *st)
{
	struct process *p = process_of(t);
	struct freeze f = { .p = p, .o = o };
	*st = (struct freeze_stats){ .paused_us = -1, .stop_us = -1 };
	p->frozen = p->whole = false;
	p->img.misses = 0;
	map_free(&p->bad);
	if (!process_same_space(p))
		return err_new(E_GONE, "process %d has ended or became another program (exec)", (int)t->pid);
	TRY(process_sync_maps(p, NULL));
	TRY(process_sync_threads(p));
	forget_mutable(p);
	err_t e = plan_wanted(p, o->around, &f.wanted);
	if (!e)
		e = plan(&f);
	if (!e) {
		copy_prefault(&f.list);
		e = o->no_pause ? freeze_running(&f, st) : freeze_stopped(&f, st);
	}
	if (!e) {
		copy_apply(&f.list, &p->img, &p->bad);
		copy_apply(&f.stacks, &p->img, &p->bad);
		p->frozen = !o->no_pause;
		p->whole = o->whole && p->frozen;
		st->bytes = f.list.bytes + f.stacks.bytes;
		st->threads = (unsigned)t->nthreads;
	}
	copy_free(&f.list);
	copy_free(&f.stacks);
	free(f.wanted.v);
	free(f.present.v);
	return e;
}

uint64_t process_whole_size(struct target *t)
{
	struct process *p = process_of(t);
	struct spans s = { 0 };
	err_free(plan_present(p, &s));
	uint64_t sum = spans_bytes(&s);
	free(s.v);
	return sum;
}

static err_t release(void *arg)
{
	stop_release(arg);
	return NULL;
}

err_t target_stop(struct target *t)
{
	struct process *p = process_of(t);
	if (t->kind != TARGET_PROCESS)
		return err_new(E_UNSUPPORTED, "a core dump cannot be acted on");
	if (p->tracer)
		return NULL;
	TRY(hold(p, NULL, NULL));
	err_t e = pick_thread(p);
	if (e)
		target_resume(t);
	return e;
}

void target_resume(struct target *t)
{
	struct process *p = process_of(t);
	if (t->kind != TARGET_PROCESS || !p->tracer)
		return;
	err_free(tracer_run(p->tracer, release, &p->stop));
	let_go(p);
}

err_t target_write(struct target *t, uint64_t addr, const void *buf, size_t len)
{
	struct process *p = process_of(t);
	if (t->kind != TARGET_PROCESS || !p->tracer)
		return err_new(E_UNSUPPORTED, "only a stopped process is written to");
	struct iovec l = { (void *)(uintptr_t)buf, len }, r = { (void *)(uintptr_t)addr, len };
	ssize_t put = process_vm_writev(p->mem_tid, &l, 1, &r, 1, 0);
	if (put == (ssize_t)len)
		return NULL;
	return err_at(put < 0 && errno == ESRCH ? E_GONE : E_BADDATA, addr,
		      "%zu bytes at 0x%llx of process %d could not be written",
		      len, (unsigned long long)addr, (int)t->pid);
}

bool target_peek(struct target *t, uint64_t addr, void *buf, size_t len)
{
	return t->kind == TARGET_PROCESS && process_read(process_of(t), addr, buf, len) == len;
}

int target_pidfd(const struct target *t)
{
	return t->kind == TARGET_PROCESS ? ((const struct process *)t)->pidfd : -1;
}

/* What a waiting task waits for. The inner frames of its await stack say it where they
 * are a library's own (waits_rules.c, over the object in their local `self` or the
 * like); else the awaited future does, by its class and by whom its callbacks report
 * to. What fits nothing is a `future`: wrong is worse than unknown. */
#include "tasks/waits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CALLBACKS_MAX 16

int64_t items_in(struct reader *r, uint64_t obj)
{
	enum type_kind kind = object_kind(r, obj);
	if (kind == KIND_DEQUE)
		return (int64_t)field_at(r, obj, r->l->var_size);
	if (kind == KIND_SET)
		return (int64_t)field_at(r, obj, r->l->set_used);
	int64_t n = seq_len(r, obj);
	return n >= 0 ? n : dict_len(r, obj);
}

const char *class_of(struct waiting *x, uint64_t obj)
{
	const struct type_info *t = object_type(&x->w->r, obj);
	return t ? type_short_name(&x->w->r, t) : "object";
}

static void add_tasks(struct waiting *x, const struct addrs *a)
{
	x->wait->ntasks = a->n;
	x->wait->tasks = walk_keep(x->w, a->v, &x->wait->ntasks, sizeof *a->v);
}

static bool one_task(struct waiting *x, uint64_t task)
{
	if (!is_task(object_kind(&x->w->r, task)))
		return false;
	add_tasks(x, &(struct addrs){ &task, 1, 1 });
	return true;
}

/* Up to 3.11 wait_for() awaits a future of its own, which the real one completes. */
bool describe_wait_for(struct waiting *x)
{
	if (!is_future(object_kind(&x->w->r, x->thing)))
		return false;
	return by_future(x, x->thing);
}

/* wait_for() whose time is over: until what it cancelled has ended. */
bool describe_cancelled(struct waiting *x)
{
	if (!by_future(x, x->thing))
		return false;
	x->wait->detail = "cancelled, until it ends";
	return true;
}

/* as_completed(): one of several, which arrive in a queue of its own. Up to 3.12 the
 * futures are known to their callbacks only: walk_waits_finish(). */
bool describe_as_completed(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t self = local_get(r, x->frame, "self"), todo = attr_get(r, self, "_todo");
	uint64_t done = local_get(r, x->frame, "done");
	if (!todo && !attr_get(r, done, "_getters"))
		return false;
	x->thing = x->timer = todo ? self : done;
	x->wait->id = x->thing;
	if (todo) {
		tasks_among(x, todo);
		x->wait->left = items_in(r, todo);
		x->wait->detail = arena_fmt(x->w->arena, "the next of %lld", (long long)x->wait->left);
	}
	return true;
}

void wait_thread(struct waiting *x, pid_t thread)
{
	size_t n = x->wait->nthreads;
	pid_t *v = thread ? arena_array(x->w->arena, n + 1, sizeof *v) : NULL;
	if (!v)
		return;
	if (n)
		memcpy(v, x->wait->threads, n * sizeof *v);
	v[n] = thread;
	x->wait->threads = v;
	x->wait->nthreads = n + 1;
}

static bool describe_job(struct waiting *x, uint64_t source)
{
	const struct job *job = walk_job(x->w, source);
	if (!job)
		return false;
	const struct executor *e = &x->w->s->executors[job->executor];
	const char *name = job->name ? job->name : "a function";
	x->wait->kind = WAIT_EXECUTOR;
	x->wait->id = e->id;
	x->wait->total = e->max_workers;
	if (e->busy >= 0 && e->max_workers >= e->busy)
		x->wait->left = e->max_workers - e->busy;
	wait_thread(x, job->thread);
	if (job->running || e->busy < 0)
		x->wait->detail = arena_fmt(x->w->arena, "%s() in %s", name, e->kind);
	else
		x->wait->detail = arena_fmt(x->w->arena, "%s() needs a worker of %s: %lld of %lld busy, %lld queued",
					    name, e->kind, (long long)e->busy, (long long)e->max_workers,
					    (long long)e->queued);
	return true;
}

/* A future that stands for a concurrent.futures.Future (asyncio.wrap_future): of an
 * executor, of a task in another loop, or of some other thread. */
static bool by_concurrent(struct waiting *x, uint64_t source)
{
	struct walk *w = x->w;
	if (describe_job(x, source))
		return true;
	uint64_t callbacks = attr_get(&w->r, source, "_done_callbacks");
	int64_t n = seq_len(&w->r, callbacks);
	if (n < 0)
		return false;
	for (int64_t i = 0; i < n && i < CALLBACKS_MAX; i++) {
		uint64_t cb = seq_item(&w->r, callbacks, i);
		if (object_kind(&w->r, cb) != KIND_FUNCTION ||
		    !str_is(&w->r, field_at(&w->r, cb, w->r.l->function_name), "_call_check_cancel"))
			continue;
		uint64_t task = closure_get(w, cb, "source");
		if (!one_task(x, task))
			continue;
		x->wait->kind = WAIT_TASK;
		x->wait->id = task;
		x->wait->detail = "in another loop";
		return true;
	}
	x->wait->kind = WAIT_FUTURE;
	x->wait->id = source;
	x->wait->detail = "of another thread";
	return true;
}

bool describe_call(struct waiting *x)
{
	struct walk *w = x->w;
	if (!by_future(x, x->t->fut_waiter) || x->wait->kind != WAIT_EXECUTOR) {
		const char *name = callable_name(w, local_get(&w->r, x->frame, "func"));
		x->wait->kind = WAIT_EXECUTOR;
		x->wait->id = x->t->fut_waiter;
		x->wait->detail = name ? arena_fmt(w->arena, "%s() in a thread", name) : NULL;
	}
	return true;
}

uint64_t future_source(struct walk *w, uint64_t f)
{
	struct callback_iter it;
	uint64_t cb;
	callbacks_begin(w, f, &it);
	for (int n = 0; n < CALLBACKS_MAX && callbacks_next(w, &it, &cb); n++) {
		if (object_kind(&w->r, cb) != KIND_FUNCTION)
			continue;
		uint64_t name = field_at(&w->r, cb, w->r.l->function_name);
		uint64_t module = field_at(&w->r, cb, w->r.l->function_module);
		if (str_is(&w->r, name, "_call_check_cancel") && str_is(&w->r, module, "asyncio.futures"))
			return closure_get(w, cb, "source");
	}
	return 0;
}

static bool by_callbacks(struct waiting *x, uint64_t f)
{
	uint64_t source = future_source(x->w, f);
	return source && by_concurrent(x, source);
}

bool by_future(struct waiting *x, uint64_t f)
{
	struct reader *r = &x->w->r;
	enum type_kind kind = object_kind(r, f);
	x->timer = x->timer ? x->timer : f;
	x->wait->id = f;
	if (is_task(kind)) {
		x->wait->kind = WAIT_TASK;
		return one_task(x, f);
	}
	if (by_gather(x, f) || by_shield(x, f) || by_callbacks(x, f))
		return true;
	x->wait->kind = is_future(kind) ? WAIT_FUTURE : WAIT_UNKNOWN;
	return true;
}

/* The outermost of the inner frames that has a rule which holds. */
static bool by_frames(struct waiting *x, size_t n)
{
	struct walk *w = x->w;
	for (size_t out = n < WAIT_REACH_MAX ? n : WAIT_REACH_MAX; out-- > 0;) {
		const struct pyframe *f = &w->chain.v[n - 1 - out];
		const struct wait_rule *rule = f->code ? wait_rule_of(w, f->code) : NULL;
		if (!rule || out > rule->reach)
			continue;
		x->frame = f;
		x->thing = rule->local ? local_get(&w->r, f, rule->local) : 0;
		x->wait->kind = rule->kind;
		x->wait->id = x->thing ? x->thing : x->t->fut_waiter;
		if (!rule->describe || rule->describe(x))
			return true;
	}
	return false;
}

static void sooner(struct waiting *x, uint64_t whom)
{
	double d = walk_deadline(x->w, whom), known = x->wait->deadline_in;
	if (!isnan(d) && (isnan(known) || d < known))
		x->wait->deadline_in = d;
}

static struct wait unknown_wait(const struct task *t)
{
	return (struct wait){
		.kind = WAIT_FUTURE, .id = t->fut_waiter, .fd = -1, .deadline_in = NAN, .total = -1, .left = -1,
	};
}

void walk_wait(struct walk *w, struct task *t)
{
	struct wait *wait = arena_alloc(w->arena, sizeof *wait);
	if (!wait) {
		w->nomem = true;
		return;
	}
	*wait = unknown_wait(t);
	struct waiting x = { .w = w, .t = t, .wait = wait };
	/* Future.__await__ of the pure-Python class is a frame of its own. */
	size_t n = w->chain.n;
	while (n && (!w->chain.v[n - 1].code || !w->chain.v[n - 1].code->file ||
		     (strstr(w->chain.v[n - 1].code->file, "/futures.py") &&
		      code_owner(&w->s->folders, w->chain.v[n - 1].code->file) == CODE_ASYNCIO)))
		n--;
	/* A task awaited directly is that, whatever the frame. */
	bool direct = is_task(object_kind(&w->r, t->fut_waiter));
	if (direct || (!by_frames(&x, n) && !describe_cython(&x))) {
		*wait = unknown_wait(t);
		x.thing = x.timer = 0;
		by_future(&x, t->fut_waiter);
	}
	sooner(&x, t->fut_waiter);
	sooner(&x, t->id);
	sooner(&x, x.thing);
	sooner(&x, x.timer);
	t->wait = wait;
}

/* Waits of as_completed() whose tasks only the other direction tells. */
void walk_waits_finish(struct walk *w)
{
	struct snapshot *s = w->s;
	for (size_t i = 0; i < s->ntasks && !w->nomem; i++) {
		struct task *t = &s->tasks[i];
		if (!t->wait || t->wait->kind != WAIT_WAIT || t->wait->ntasks || t->wait->detail)
			continue;
		struct addrs a = { 0 };
		for (size_t k = 0; k < s->ntasks; k++)
			for (size_t b = 0; b < s->tasks[k].nawaited_by; b++)
				if (s->tasks[k].awaited_by[b] == t->id)
					addrs_add(&a, s->tasks[k].id);
		struct wait *wait = arena_dup(w->arena, t->wait, sizeof *wait);
		if (wait) {
			wait->ntasks = a.n;
			wait->tasks = walk_keep(w, a.v, &wait->ntasks, sizeof *a.v);
			wait->left = (int64_t)a.n;
			wait->detail = arena_fmt(w->arena, "the next of %zu", a.n);
			t->wait = wait;
		}
		free(a.v);
	}
}

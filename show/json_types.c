#include "show/json_types.h"

#include <math.h>

#include "base/signals.h"

static void kstr(struct json *j, const char *k, const char *v) { json_key(j, k); json_str(j, v); }
static void kint(struct json *j, const char *k, int64_t v) { json_key(j, k); json_int(j, v); }
static void kid(struct json *j, const char *k, uint64_t v) { json_key(j, k); json_id(j, v); }
static void kbool(struct json *j, const char *k, bool v) { json_key(j, k); json_bool(j, v); }
static void kdouble(struct json *j, const char *k, double v) { json_key(j, k); json_double(j, v); }

/* An integer for which a negative value means unknown. */
static void kcount(struct json *j, const char *k, int64_t v)
{
	json_key(j, k);
	if (v < 0)
		json_null(j);
	else
		json_int(j, v);
}

/* A thread's id, for which 0 means unknown. */
static void ktid(struct json *j, const char *k, pid_t v)
{
	kcount(j, k, v ? v : -1);
}

void json_answer(struct json *j)
{
	json_object(j);
	kint(j, "format", 1);
}

void json_error(struct json *j, err_t e)
{
	json_key(j, "error");
	json_object(j);
	kstr(j, "code", err_code_name(e->code));
	kstr(j, "message", e->msg);
	json_object_end(j);
}

void json_head(struct json *j, const struct snapshot *s)
{
	json_key(j, "target");
	json_object(j);
	kstr(j, "kind", snapshot_source_name(s->source));
	ktid(j, "pid", s->pid);
	kstr(j, "exe", s->exe);
	kstr(j, "python", s->python);
	kbool(j, "free_threaded", s->free_threaded);
	kstr(j, "layout", s->layout);
	kbool(j, "agent", s->agent);
	kcount(j, "paused_us", s->paused_us);
	json_key(j, "taken_at");
	/* A core does not say when it was written. */
	json_instant(j, s->source == SNAPSHOT_OF_CORE ? NAN : s->taken_at);
	json_object_end(j);
	kbool(j, "complete", s->complete);
	json_key(j, "notes");
	json_array(j);
	for (size_t i = 0; i < s->nnotes; i++)
		json_str(j, s->notes[i]);
	json_array_end(j);
}

void json_loops(struct json *j, const struct snapshot *s)
{
	json_array(j);
	for (size_t i = 0; i < s->nloops; i++) {
		const struct loop *l = &s->loops[i];
		json_object(j);
		kid(j, "id", l->id);
		kstr(j, "type", l->type);
		ktid(j, "thread", l->thread);
		kbool(j, "running", l->running);
		kbool(j, "copied", l->copied);
		kcount(j, "ready", l->ready);
		kcount(j, "timers", l->timers);
		kcount(j, "interpreter", l->interpreter);
		json_object_end(j);
	}
	json_array_end(j);
}

void json_ids(struct json *j, const uint64_t *ids, size_t n)
{
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_id(j, ids[i]);
	json_array_end(j);
}

static void locals(struct json *j, const struct frame *f)
{
	json_key(j, "locals");
	json_array(j);
	for (size_t i = 0; i < f->nlocals; i++) {
		json_object(j);
		kstr(j, "name", f->locals[i].name);
		kstr(j, "type", f->locals[i].type);
		kstr(j, "value", f->locals[i].value);
		json_object_end(j);
	}
	json_array_end(j);
}

/* Those of the i-th frame; *next is the first that may be one. */
static void contexts(struct json *j, const struct stack *st, size_t i, size_t *next)
{
	if (!st->contexts) {
		json_null(j);
		return;
	}
	json_array(j);
	for (; *next < st->ncontexts && st->contexts[*next].frame == i; ++*next) {
		const struct context *c = &st->contexts[*next];
		json_object(j);
		kid(j, "id", c->id);
		kstr(j, "type", c->type);
		kstr(j, "mode", c->entering ? "entering" : "inside");
		kbool(j, "sync", c->sync);
		json_key(j, "line");
		json_positive(j, c->line);
		json_object_end(j);
	}
	json_array_end(j);
}

void json_stack(struct json *j, const struct stack *st)
{
	size_t context = 0;
	json_array(j);
	for (size_t i = 0; i < st->n; i++) {
		const struct frame *f = st->frames[i];
		json_object(j);
		kstr(j, "function", f->function);
		kstr(j, "file", f->file);
		json_key(j, "line");
		json_positive(j, f->line);
		json_key(j, "contexts");
		contexts(j, st, i, &context);
		if (f->nlocals)
			locals(j, f);
		json_object_end(j);
	}
	json_array_end(j);
}

void json_ref(struct json *j, const struct task_ref *r)
{
	if (!r) {
		json_null(j);
		return;
	}
	json_object(j);
	kid(j, "id", r->id);
	kcount(j, "serial", r->serial);
	kstr(j, "name", r->name);
	kbool(j, "remembered", !r->forgotten);
	json_object_end(j);
}

void json_chain(struct json *j, const struct chain_link *chain, size_t n)
{
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		json_object(j);
		json_key(j, "task");
		json_ref(j, &chain[i].task);
		json_key(j, "stack");
		json_stack(j, &chain[i].stack);
		json_object_end(j);
	}
	json_array_end(j);
}

void json_created(struct json *j, const struct created *c)
{
	if (!c) {
		json_null(j);
		return;
	}
	json_object(j);
	json_key(j, "at");
	json_instant(j, c->at);
	kdouble(j, "age", c->age);
	json_key(j, "by");
	json_ref(j, c->has_by ? &c->by : NULL);
	json_key(j, "stack");
	json_stack(j, &c->stack);
	json_object_end(j);
}

/* The child whose end a task group was told of. */
static void because(struct json *j, const struct cancel *c)
{
	json_key(j, "because");
	if (!c->because_ended) {
		json_null(j);
		return;
	}
	json_object(j);
	json_key(j, "task");
	json_ref(j, &c->because);
	json_key(j, "exception");
	json_exception(j, c->because_failed);
	json_object_end(j);
}

void json_cancels(struct json *j, const struct cancel *c, size_t n)
{
	json_array(j);
	for (size_t i = 0; i < n; i++, c++) {
		json_object(j);
		json_key(j, "at");
		json_instant(j, c->at);
		json_key(j, "by");
		json_ref(j, c->has_by ? &c->by : NULL);
		kstr(j, "origin", cancel_origin_name(c->origin));
		kstr(j, "signal", c->signal ? signal_name(c->signal) : NULL);
		because(j, c);
		kstr(j, "message", c->message);
		json_key(j, "stack");
		json_stack(j, &c->stack);
		json_object_end(j);
	}
	json_array_end(j);
}

/* How deep exceptions are nested: by the snapshot's own bound on one's tree. */
void json_exception(struct json *j, const struct exception *e)
{
	if (!e) {
		json_null(j);
		return;
	}
	json_object(j);
	kstr(j, "type", e->type);
	kstr(j, "message", e->message);
	kstr(j, "repr", e->repr);
	json_key(j, "notes");
	json_array(j);
	for (size_t i = 0; i < e->nnotes; i++)
		json_str(j, e->notes[i]);
	json_array_end(j);
	json_key(j, "cause");
	json_exception(j, e->cause);
	json_key(j, "context");
	json_exception(j, e->context);
	kbool(j, "suppress_context", e->suppressed);
	json_key(j, "exceptions");
	json_array(j);
	for (size_t i = 0; i < e->nexceptions; i++)
		json_exception(j, e->exceptions[i]);
	json_array_end(j);
	json_key(j, "stack");
	json_stack(j, &e->stack);
	kbool(j, "cut", e->more);
	json_object_end(j);
}

void json_holder(struct json *j, const struct holder *h)
{
	if (!h) {
		json_null(j);
		return;
	}
	json_object(j);
	kid(j, "task", h->task);
	json_key(j, "thread");
	if (h->thread)
		json_int(j, h->thread);
	else
		json_null(j);
	kid(j, "generator", h->generator);
	json_key(j, "object");
	if (h->object) {
		json_object(j);
		kid(j, "id", h->object);
		kstr(j, "type", h->object_type);
		json_object_end(j);
	} else {
		json_null(j);
	}
	kstr(j, "function", h->place ? h->place->function : NULL);
	kstr(j, "file", h->place ? h->place->file : NULL);
	json_key(j, "line");
	json_positive(j, h->place ? h->place->line : 0);
	json_key(j, "since_line");
	json_positive(j, h->since);
	json_object_end(j);
}

static void holders(struct json *j, const struct holder *v, size_t n)
{
	if (!v) {
		json_null(j);
		return;
	}
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_holder(j, &v[i]);
	json_array_end(j);
}

void json_wait(struct json *j, const char *key, const struct wait *w)
{
	json_key(j, key);
	if (!w) {
		json_null(j);
		return;
	}
	json_object(j);
	kstr(j, "kind", wait_kind_name(w->kind));
	kid(j, "id", w->id);
	kstr(j, "detail", w->detail);
	json_key(j, "tasks");
	json_ids(j, w->tasks, w->ntasks);
	json_key(j, "holders");
	holders(j, w->holders, w->nholders);
	json_key(j, "wakers");
	holders(j, w->wakers, w->nwakers);
	kcount(j, "total", w->total);
	kcount(j, "left", w->left);
	kdouble(j, "deadline_in", w->deadline_in);
	kcount(j, "fd", w->fd);
	kstr(j, "peer", w->peer);
	json_key(j, "threads");
	json_array(j);
	for (size_t i = 0; i < w->nthreads; i++)
		json_int(j, w->threads[i]);
	json_array_end(j);
	json_object_end(j);
}

void json_thread_wait(struct json *j, const char *key, const struct thread_wait *w)
{
	json_key(j, key);
	if (!w) {
		json_null(j);
		return;
	}
	json_object(j);
	kstr(j, "kind", thread_wait_kind_name(w->kind));
	kid(j, "id", w->id);
	kstr(j, "what", w->what);
	kid(j, "task", w->task);
	kid(j, "loop", w->loop);
	ktid(j, "thread", w->thread);
	kbool(j, "timed", w->timed);
	json_key(j, "holders");
	holders(j, w->holders, w->nholders);
	json_object_end(j);
}

static void counts(struct json *j, const struct task_stats *s, bool known)
{
	kcount(j, "polls", known ? (int64_t)s->polls : -1);
	kdouble(j, "busy", known ? s->busy : NAN);
	kdouble(j, "longest_poll", known ? s->longest_poll : NAN);
}

/* What a task did before the agent came is unknown, and so is how much it did in all. */
void json_histogram(struct json *j, const char *key, const struct histogram *h)
{
	json_key(j, key);
	if (!h) {
		json_null(j);
		return;
	}
	json_object(j);
	kcount(j, "count", (int64_t)h->count);
	kdouble(j, "sum", h->sum);
	kdouble(j, "half_below", histogram_below(h, 0.5));
	kdouble(j, "p99_below", histogram_below(h, 0.99));
	json_key(j, "buckets");
	json_array(j);
	for (size_t i = 0; i < h->nbuckets; i++) {
		if (!h->buckets[i])
			continue;
		json_object(j);
		kdouble(j, "below", histogram_bound(h, i));
		kcount(j, "count", (int64_t)h->buckets[i]);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void stats(struct json *j, const struct task_stats *s, const struct histogram *h)
{
	json_key(j, "stats");
	if (!s) {
		json_null(j);
		return;
	}
	json_object(j);
	counts(j, s, !s->partial);
	json_key(j, "at_least");
	json_object(j);
	counts(j, s, true);
	json_object_end(j);
	json_histogram(j, "coroutine_steps", h);
	json_object_end(j);
}

void json_task(struct json *j, const struct task *t, bool open)
{
	json_object(j);
	kid(j, "id", t->id);
	kcount(j, "serial", t->serial);
	kstr(j, "name", t->name);
	kstr(j, "state", task_state_name(t->state));
	kstr(j, "coro", t->coro);
	kstr(j, "body", task_body(t));
	kstr(j, "type", t->type);
	kid(j, "loop", t->loop);
	ktid(j, "thread", t->thread);
	kint(j, "cancelling", t->cancelling);
	json_key(j, "awaited_by");
	json_ids(j, t->awaited_by, t->nawaited_by);
	json_wait(j, "waiting_on", t->wait);
	kid(j, "group", t->group);
	json_key(j, "stack");
	json_stack(j, &t->stack);
	json_key(j, "stack_beyond");
	json_str(j, t->stack.beyond);
	json_key(j, "created");
	json_created(j, t->created);
	json_key(j, "cancels");
	json_cancels(j, t->cancels, t->ncancels);
	stats(j, t->stats, t->steps);
	json_key(j, "exception");
	json_exception(j, t->exception);
	kbool(j, "persistent", t->persistent);
	if (!open)
		json_object_end(j);
}

void json_group(struct json *j, const struct group *g)
{
	json_object(j);
	kid(j, "id", g->id);
	kstr(j, "kind", g->kind);
	kstr(j, "name", g->name);
	kid(j, "owner", g->owner);
	json_key(j, "tasks");
	json_ids(j, g->tasks, g->ntasks);
	json_object_end(j);
}

static void thread_frame_json(struct json *j, const struct thread_frame *f)
{
	json_object(j);
	json_key(j, "kind");
	json_str(j, f->kind == FRAME_NATIVE ? "native" : "python");
	json_key(j, "function");
	json_str(j, f->function);
	json_key(j, "file");
	json_str(j, f->file);
	json_key(j, "line");
	json_positive(j, f->line);
	json_key(j, "module");
	json_str(j, f->module);
	json_key(j, "address");
	if (f->kind == FRAME_NATIVE && !f->address)
		json_str(j, "0x0"); /* called, by a NULL pointer */
	else
		json_id(j, f->address);
	json_key(j, "offset");
	json_id(j, f->offset);
	json_key(j, "signal");
	json_bool(j, f->signal);
	json_object_end(j);
}

void json_thread_frames(struct json *j, const struct thread_frame *frames, size_t n)
{
	json_array(j);
	for (size_t i = 0; i < n; i++)
		thread_frame_json(j, &frames[i]);
	json_array_end(j);
}

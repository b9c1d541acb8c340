/* From the agent's events to those of a trace. */
#include "watch/book.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trace {
	struct feed *feed;
	const struct snapshot *s;
	const struct selection *sel;
	struct book book;
	size_t unmet;            /* tasks of the look that the agent has not met yet */
	size_t ready;
	uint64_t lost;           /* said so far */
	trace_sink *sink;
	void *ctx;
	bool nomem;
};

static const char *const kinds[TRACE_KINDS] = {
	"created", "met", "named", "ready", "begun", "suspended", "cancel-requested", "ended", "lost",
};

const char *trace_kind_name(enum trace_kind k) { return kinds[k]; }

enum trace_kind trace_kind_find(const char *name, size_t n)
{
	enum trace_kind k = 0;
	while (k < TRACE_KINDS && (strlen(kinds[k]) != n || memcmp(kinds[k], name, n) != 0))
		k++;
	return k;
}

const char *trace_by_name(enum trace_by b)
{
	static const char *const names[] = { NULL, "task", "callback", "thread", "signal", "end" };
	return names[b];
}

const char *trace_on_name(enum trace_on o)
{
	static const char *const names[] = { NULL, "nothing", "future", "task", "done" };
	return names[o];
}

/* ---- what is known of tasks ---- */

static void judge(const struct trace *t, struct traced *k)
{
	const struct created made = { .stack = k->made_at ? *k->made_at : (struct stack){ 0 } };
	const struct subject x = {
		.name = k->name, .coro = k->coro, .state = TASK_WAITING, .created = k->made_at ? &made : NULL,
	};
	k->wanted = selection_matches(t->sel, &x);
}

static void set(struct trace *t, char **to, const char *text)
{
	char *copy = text && *text ? strdup(text) : NULL;
	t->nomem |= text && *text && !copy;
	if (!copy)
		return;
	free(*to);
	*to = copy;
}

static void set_ready(struct trace *t, struct traced *k, uint64_t at)
{
	if (!k->ready != !at)
		t->ready += at ? 1 : (size_t)-1;
	k->ready = at;
}

static struct traced *add(struct trace *t, uint64_t serial)
{
	struct traced *k = book_find(&t->book, serial);
	if (!k)
		k = book_add(&t->book, serial);
	t->nomem |= !k;
	return k;
}

static bool lives(const struct task *k)
{
	return k->state == TASK_RUNNING || k->state == TASK_RUNNABLE || k->state == TASK_WAITING;
}

static err_t take_look(struct trace *t)
{
	for (size_t i = 0; i < t->s->ntasks; i++) {
		const struct task *from = &t->s->tasks[i];
		if (!lives(from))
			continue;
		if (from->serial < 0) {
			t->unmet++;
			continue;
		}
		struct traced *k = add(t, (uint64_t)from->serial);
		if (!k)
			return ERR_NOMEM;
		k->id = from->id;
		k->loop = from->loop;
		set(t, &k->name, from->name);
		set(t, &k->coro, from->coro);
		k->made_at = from->created ? &from->created->stack : NULL;
		k->created = from->created ? feed_ns(t->feed, from->created->at) : 0;
		/* Since when they are is not known. */
		t->ready += from->state == TASK_RUNNABLE;
		k->ready = from->state == TASK_RUNNABLE ? UINT64_MAX : 0;
		judge(t, k);
	}
	for (size_t i = 0; i < t->s->ntasks; i++) {
		const struct task *from = &t->s->tasks[i], *on = snapshot_task(t->s, from->fut_waiter);
		struct traced *k = from->serial > 0 ? book_find(&t->book, (uint64_t)from->serial) : NULL;
		if (k && on && on->serial > 0)
			book_waits(&t->book, k, book_find(&t->book, (uint64_t)on->serial));
	}
	return t->nomem ? ERR_NOMEM : NULL;
}

err_t trace_begin(struct feed *f, const struct snapshot *s, const struct selection *sel, struct trace **out)
{
	struct trace *t = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	*t = (struct trace){ .feed = f, .s = s, .sel = sel };
	err_t e = take_look(t);
	if (e) {
		trace_end(t);
		return e;
	}
	feed_start(f, s->events_from);
	*out = t;
	return NULL;
}

void trace_end(struct trace *t)
{
	if (t)
		book_free(&t->book);
	free(t);
}

struct trace_counts trace_counts(const struct trace *t)
{
	return (struct trace_counts){ t->book.n + t->unmet, t->ready };
}

void trace_each(const struct trace *t, void (*fn)(void *ctx, const struct traced *task), void *ctx)
{
	for (size_t i = 0; t->book.buckets && i <= t->book.mask; i++)
		for (const struct traced *k = t->book.buckets[i]; k; k = k->hash_next)
			if (k->wanted)
				fn(ctx, k);
}

/* ---- one event ---- */

static struct task_ref ref(const struct trace *t, uint64_t serial)
{
	const struct traced *k = book_find(&t->book, serial);
	return (struct task_ref){ .serial = serial ? (int64_t)serial : -1, .id = k ? k->id : 0, .name = k ? k->name : NULL,
				  .forgotten = !k };
}

static double seconds(uint64_t from, uint64_t to)
{
	return from && from != UINT64_MAX && to >= from ? (double)(to - from) / 1e9 : NAN;
}

static void emit(struct trace *t, const struct trace_event *e)
{
	if (!e->task || e->task->wanted)
		t->sink(t->ctx, e);
}

static const char *given(const char *text) { return text && *text ? text : NULL; }

static void created(struct trace *t, struct traced *k, const struct feed_event *f, struct trace_event *e)
{
	bool met = e->kind == TRACE_MET;
	const struct task *seen = met ? snapshot_task(t->s, f->e.object) : NULL;
	k->id = f->e.object;
	k->loop = f->e.in ? f->e.in : seen ? seen->loop : 0;
	set(t, &k->name, *f->text[0] ? f->text[0] : seen ? seen->name : NULL);
	set(t, &k->coro, *f->text[1] ? f->text[1] : seen ? seen->coro : NULL);
	if (met) {
		t->unmet -= seen && seen->serial < 0 && t->unmet;
		judge(t, k);
		return;
	}
	e->eager = f->e.how & AGENT_EVENT_EAGER;
	k->created = f->e.at;
	k->by = f->e.by;
	k->made_at = feed_stack(t->feed, f->e.stack);
	e->stack = *k->made_at;
	e->by = f->e.by ? BY_TASK : BY_NOBODY;
	e->by_task = ref(t, f->e.by);
	set_ready(t, k, e->eager ? 0 : f->e.at);
	judge(t, k);
}

static void ready(struct trace *t, struct traced *k, const struct feed_event *f, struct trace_event *e)
{
	static const char *const how[] = { NULL, "result", "exception", "cancelled" };
	e->how = f->e.how < sizeof how / sizeof *how ? how[f->e.how] : NULL;
	e->by = f->e.by ? BY_TASK : k->tid && k->tid != f->e.tid ? BY_THREAD : BY_CALLBACK;
	e->by_task = ref(t, f->e.by);
	set_ready(t, k, f->e.at);
}

static void begun(struct trace *t, struct traced *k, const struct feed_event *f, struct trace_event *e)
{
	e->took = seconds(k->ready, f->e.at);
	set_ready(t, k, 0);
	book_waits(&t->book, k, NULL);
	k->begun = f->e.at;
	k->tid = f->e.tid;
	k->steps++;
}

static void suspended(struct trace *t, struct traced *k, const struct feed_event *f, struct trace_event *e)
{
	static const struct frame unknown = { .function = "?" };
	const struct frame *frames[FEED_FRAMES];
	e->took = seconds(k->begun, f->e.at);
	k->begun = 0;
	e->on = f->e.how == AGENT_ON_NOTHING  ? ON_NOTHING
		: f->e.how == AGENT_ON_DONE   ? ON_DONE
		: f->e.how != AGENT_ON_FUTURE ? ON_UNKNOWN
		: f->e.by		      ? ON_TASK : ON_FUTURE;
	e->on_id = f->e.object;
	e->on_task = ref(t, f->e.by);
	for (unsigned i = 0; i < f->nframes; i++) {
		const struct frame *frame = feed_frame(t->feed, f->frames[f->nframes - 1 - i]);
		frames[i] = frame ? frame : &unknown;
	}
	e->stack = (struct stack){ .frames = frames, .n = f->nframes };
	bool goes_on = e->on == ON_NOTHING || e->on == ON_DONE;
	set_ready(t, k, goes_on ? f->e.at : 0);
	book_waits(&t->book, k, e->on == ON_TASK ? book_find(&t->book, f->e.by) : NULL);
	emit(t, e);
}

static void cancel(struct trace *t, const struct feed_event *f, struct trace_event *e)
{
	uint64_t by = f->e.object;
	e->by = (by & 0xff) == AGENT_BY_SIGNAL ? BY_SIGNAL : by == AGENT_BY_END ? BY_END
		: f->e.by ? BY_TASK : BY_CALLBACK;
	e->signal = e->by == BY_SIGNAL ? (int)(by >> AGENT_SIGNAL_SHIFT & 0xff) : 0;
	e->by_task = ref(t, f->e.by);
	e->message = given(f->text[0]);
	e->stack = *feed_stack(t->feed, f->e.stack);
}

/* Those that wait for its end are ready by that. */
static void wake(struct trace *t, struct traced *k, const struct trace_event *end)
{
	while (k->first) {
		struct traced *w = k->first;
		book_waits(&t->book, w, NULL);
		if (w->ready)
			continue; /* it was told otherwise before, by a cancel */
		set_ready(t, w, end->ns);
		emit(t, &(struct trace_event){
			.kind = TRACE_READY, .ns = end->ns, .at = end->at, .task = w, .thread = end->thread,
			.by = BY_END, .by_task = ref(t, k->serial), .how = "end", .took = NAN, .lifetime = NAN,
		});
	}
}

static void ended(struct trace *t, struct traced *k, const struct feed_event *f, struct trace_event *e)
{
	e->took = seconds(k->begun, f->e.at);
	e->lifetime = seconds(k->created, f->e.at);
	e->destroyed = f->e.how == AGENT_DESTROYED;
	e->outcome = f->e.how == AGENT_FINISHED ? TASK_FINISHED : f->e.how == AGENT_CANCELLED ? TASK_CANCELLED : TASK_FAILED;
	e->type = given(f->text[0]);
	e->message = given(f->text[1]);
	set_ready(t, k, 0);
	emit(t, e);
	wake(t, k, e);
	book_drop(&t->book, k);
}

static void say_lost(struct trace *t, const struct feed_event *f)
{
	const struct feed_stats *st = feed_stats(t->feed);
	uint64_t lost = st->lost + st->unwritten;
	if (lost > t->lost)
		t->sink(t->ctx, &(struct trace_event){
			.kind = TRACE_LOST, .ns = f->e.at, .at = feed_time(t->feed, f->e.at), .lost = lost - t->lost,
			.took = NAN, .lifetime = NAN,
		});
	t->lost = lost;
}

static void one(void *ctx, const struct feed_event *f)
{
	static const enum trace_kind of[AGENT_EVENT_KINDS] = {
		[AGENT_EVENT_CREATED] = TRACE_CREATED, [AGENT_EVENT_MET] = TRACE_MET,
		[AGENT_EVENT_NAMED] = TRACE_NAMED, [AGENT_EVENT_READY] = TRACE_READY,
		[AGENT_EVENT_BEGUN] = TRACE_BEGUN, [AGENT_EVENT_SUSPENDED] = TRACE_SUSPENDED,
		[AGENT_EVENT_CANCEL] = TRACE_CANCEL, [AGENT_EVENT_ENDED] = TRACE_ENDED,
	};
	struct trace *t = ctx;
	say_lost(t, f);
	/* Those that agents give are positive in 64 bits with a sign. */
	struct traced *k = f->e.serial && f->e.serial <= INT64_MAX ? add(t, f->e.serial) : NULL;
	if (!k)
		return;
	struct trace_event e = {
		.kind = of[f->e.kind], .ns = f->e.at, .at = feed_time(t->feed, f->e.at), .task = k,
		.thread = feed_thread(t->feed, f->e.tid), .took = NAN, .lifetime = NAN,
	};
	switch (e.kind) {
	case TRACE_CREATED:
	case TRACE_MET: created(t, k, f, &e); break;
	case TRACE_NAMED: set(t, &k->name, f->text[0]); judge(t, k); break;
	case TRACE_READY: ready(t, k, f, &e); break;
	case TRACE_BEGUN: begun(t, k, f, &e); break;
	case TRACE_SUSPENDED: suspended(t, k, f, &e); return;
	case TRACE_CANCEL: cancel(t, f, &e); break;
	case TRACE_ENDED: ended(t, k, f, &e); return;
	default: return;
	}
	emit(t, &e);
}

err_t trace_read(struct trace *t, trace_sink *sink, void *ctx, bool *behind)
{
	t->sink = sink;
	t->ctx = ctx;
	TRY(feed_read(t->feed, one, t, behind));
	return t->nomem ? ERR_NOMEM : NULL;
}

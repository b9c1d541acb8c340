/* The agent's records as fields of the snapshot. A link that is missing (evicted, made
 * before the agent came, unreadable) ends its chain and is shown as what is known of it. */
#include "tasks/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Links of one chain that are shown: the nearest ones. */
#define CHAIN_MAX 256
/* Links that every chain may have. */
#define CHAIN_FREE 16

static const struct task *live_task(struct history *hi, uint64_t id)
{
	uint64_t i;
	return map_get(&hi->w->task_index, id, &i) ? &hi->w->s->tasks[i - 1] : NULL;
}

/* A task by serial, with what its record or itself says of its name. */
static struct task_ref ref(struct history *hi, uint64_t serial, uint64_t id, uint32_t name)
{
	struct agent_task t;
	struct task_ref r = {
		.id = id,
		.serial = serial ? (int64_t)serial : -1,
		.name = history_string(hi, name),
	};
	r.forgotten = !history_serial(hi, serial, &t);
	if (r.forgotten)
		return r;
	r.id = t.task;
	if (t.state == AGENT_ALIVE || t.state == AGENT_ENDING) {
		const struct task *live = live_task(hi, t.task);
		if (live && live->name)
			r.name = live->name;
	} else if (t.name) {
		r.name = history_string(hi, t.name);
	}
	return r;
}

static struct created *created(struct history *hi, const struct agent_task *t)
{
	struct created *c = arena_alloc(hi->w->arena, sizeof *c);
	if (!c || t->flags & AGENT_BEFORE)
		return NULL;
	c->at = history_time(hi, t->created_at);
	c->age = hi->w->s->taken_at - c->at;
	c->has_by = t->parent_serial != 0;
	if (c->has_by)
		c->by = ref(hi, t->parent_serial, 0, 0);
	c->stack = history_stack(hi, t->created_stack);
	return c;
}

/* A chain under construction, from its end to its root. */
struct links VEC(struct chain_link);

/* Whether a chain may have one more link. */
static bool link_room(struct history *hi, const struct links *l)
{
	return l->n < CHAIN_FREE || (l->n < CHAIN_MAX && reader_spend(&hi->w->r, sizeof l->v[0]));
}

static bool link_add(struct history *hi, struct links *l, struct task_ref task, uint32_t stack)
{
	if (!vec_push(l, (struct chain_link){ task, history_stack(hi, stack) }))
		hi->w->nomem = true;
	return !hi->w->nomem;
}

static const struct chain_link *links_take(struct history *hi, struct links *l, size_t *n)
{
	struct chain_link *v = arena_array(hi->w->arena, l->n, sizeof *v);
	*n = v ? l->n : 0;
	for (size_t i = 0; i < *n; i++)
		v[i] = l->v[l->n - 1 - i];
	vec_free(l);
	return v;
}

/* Who created it, and who that one, up to the root. A creator's serial is smaller than
 * that of what it created, so this ends. */
static const struct chain_link *ancestors(struct history *hi, const struct agent_task *task, size_t *n)
{
	struct links l = { 0 };
	struct agent_task t = *task;
	while (t.parent_serial && t.parent_serial < t.serial && link_room(hi, &l)) {
		if (!link_add(hi, &l, ref(hi, t.parent_serial, 0, 0), t.created_stack))
			break;
		if (!history_serial(hi, t.parent_serial, &t))
			break;
	}
	return links_take(hi, &l, n);
}

/* The last request to cancel a task that was made at `until` or before. */
static bool last_cancel(struct history *hi, const struct agent_task *t, uint64_t until,
			struct agent_cancel *c)
{
	uint32_t i = t->cancels;
	for (uint32_t n = 0; i && n <= hi->h.cancels_max && history_cancel(hi, i, c); n++, i = c->next) {
		if (c->owner != t->serial)
			return false;
		if (c->at <= until)
			return true;
	}
	return false;
}

static bool in_links(const struct links *l, uint64_t serial)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].task.serial == (int64_t)serial)
			return true;
	return false;
}

/* Who cancelled it, who had cancelled that one before, and so on; a task that cancels
 * itself, or one met before, ends it. */
static const struct chain_link *cancellers(struct history *hi, const struct agent_task *task, size_t *n)
{
	struct links l = { 0 };
	struct agent_task t = *task;
	struct agent_cancel c;
	uint64_t until = UINT64_MAX;
	while (last_cancel(hi, &t, until, &c)) {
		if (!history_by_task(&c) || !link_room(hi, &l))
			break;
		bool again = c.by_serial == task->serial || in_links(&l, c.by_serial);
		if (!link_add(hi, &l, ref(hi, c.by_serial, c.by, c.by_name), c.stack))
			break;
		until = c.at;
		if (again || !history_serial(hi, c.by_serial, &t))
			break;
	}
	return links_take(hi, &l, n);
}

static struct cancel cancel(struct history *hi, const struct agent_cancel *c)
{
	struct agent_task by, ended;
	struct agent_cancel asked;
	struct cancel out = {
		.at = history_time(hi, c->at),
		.has_by = history_by_task(c),
		.message = history_string(hi, c->message),
		.stack = history_stack(hi, c->stack),
	};
	if (out.has_by)
		out.by = ref(hi, c->by_serial, c->by, c->by_name);
	bool by_was_asked = history_serial(hi, c->by_serial, &by) && last_cancel(hi, &by, c->at, &asked);
	history_origin(hi, c, by_was_asked, &out);
	if (c->by == AGENT_BY_END) {
		out.because_ended = true;
		out.because = ref(hi, c->by_serial, 0, 0);
		if (history_serial(hi, c->by_serial, &ended) && ended.outcome == AGENT_FAILED)
			out.because_failed = history_failure(hi, &ended);
	}
	return out;
}

/* Every request, oldest first. */
static const struct cancel *cancels(struct history *hi, const struct agent_task *t, size_t *n)
{
	struct agent_cancel c;
	size_t many = 0;
	for (uint32_t i = t->cancels; i && many < hi->h.cancels_max + 1ull && history_cancel(hi, i, &c) &&
				      c.owner == t->serial; i = c.next)
		many++;
	*n = 0;
	/* Each is of one task: only forged records lead to some of them again and again. */
	bool room = many && reader_spend(&hi->w->r, many * sizeof c);
	struct cancel *v = room ? arena_array(hi->w->arena, many, sizeof *v) : NULL;
	if (!v)
		return NULL;
	*n = many;
	for (uint32_t i = t->cancels; many > 0 && history_cancel(hi, i, &c); i = c.next)
		v[--many] = cancel(hi, &c);
	return v;
}

static uint64_t asked(const struct agent_task *t, size_t kept)
{
	return t->ncancels > kept ? t->ncancels : kept;
}

static struct task_stats *stats(struct history *hi, const struct agent_task *t, bool alive)
{
	struct task_stats *s = arena_alloc(hi->w->arena, sizeof *s);
	if (!s)
		return NULL;
	s->polls = t->polls;
	s->busy = (double)t->busy / 1e9;
	s->longest_poll = (double)t->longest / 1e9;
	s->partial = t->flags & AGENT_BEFORE;
	/* The step it is in counts as far as it got. */
	double now = hi->w->clock_now, from = (double)t->step_start / 1e9;
	if (alive && t->step_start && now > from) {
		s->busy += now - from;
		if (now - from > s->longest_poll)
			s->longest_poll = now - from;
	}
	return s;
}

static void fill_task(struct history *hi, struct task *task)
{
	struct agent_task t;
	uint64_t i;
	bool alive = map_get(&hi->alive, task->id, &i);
	bool done = task->state == TASK_FINISHED || task->state == TASK_FAILED || task->state == TASK_CANCELLED;
	if (!alive && !(done && map_get(&hi->done, task->id, &i)))  {
		/* Made before the agent came, and not run since. */
		task->before_agent = !done;
		return;
	}
	if (!history_task(hi, (uint32_t)i, &t))
		return;
	task->serial = (int64_t)t.serial;
	task->persistent = t.flags & AGENT_PERSISTENT;
	task->before_agent = t.flags & AGENT_BEFORE;
	task->created = created(hi, &t);
	task->cancels = cancels(hi, &t, &task->ncancels);
	task->cancels_asked = asked(&t, task->ncancels);
	task->chain = ancestors(hi, &t, &task->nchain);
	task->stats = stats(hi, &t, alive);
	task->steps = history_steps(hi, t.profile);
}

/* When a task that the agent did not see made was alive at the latest. It saw all that were
 * made since it came, unless there was no room for some. */
static double seen_at(const struct history *hi, const struct agent_task *t)
{
	bool all = !hi->h.counters[AGENT_DROPPED_TASKS];
	return t->flags & AGENT_BEFORE && all ? hi->w->s->agent_since : history_time(hi, t->created_at);
}

static void fill_ended(struct history *hi, const struct agent_task *t, struct ended *e)
{
	*e = (struct ended){
		.serial = (int64_t)t->serial,
		.id = t->task,
		.name = history_string(hi, t->name),
		.coro = history_string(hi, t->coro),
		.outcome = t->outcome == AGENT_FINISHED	   ? TASK_FINISHED
			   : t->outcome == AGENT_CANCELLED ? TASK_CANCELLED : TASK_FAILED,
		.started_at = t->flags & AGENT_BEFORE ? NAN : history_time(hi, t->created_at),
		.seen_at = seen_at(hi, t),
		.ended_at = history_time(hi, t->ended_at),
		.exception = history_failure(hi, t),
		.persistent = t->flags & AGENT_PERSISTENT,
		.stack = history_stack(hi, t->end_stack),
		.created = created(hi, t),
	};
	hi->stood += (t->flags & AGENT_STOOD) != 0;
	e->cancels = cancels(hi, t, &e->ncancels);
	e->cancels_asked = asked(t, e->ncancels);
	e->chain = cancellers(hi, t, &e->nchain);
}

static int newest_first(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;
	if (x->ended_at != y->ended_at)
		return x->ended_at < y->ended_at ? 1 : -1;
	return x->serial < y->serial ? 1 : -1;
}

static void fill_all_ended(struct history *hi)
{
	struct snapshot *s = hi->w->s;
	struct agent_task t;
	size_t n = 0;
	for (uint32_t i = 1; i < hi->h.pools[POOL_TASKS].used; i++)
		n += history_task(hi, i, &t) && t.state == AGENT_DONE;
	if (!n)
		return;
	s->ended = arena_array(s->arena, n, sizeof *s->ended);
	if (!s->ended) {
		hi->w->nomem = true;
		return;
	}
	for (uint32_t i = 1; i < hi->h.pools[POOL_TASKS].used && s->nended < n && !walk_stop(hi->w); i++)
		if (history_task(hi, i, &t) && t.state == AGENT_DONE)
			fill_ended(hi, &t, &s->ended[s->nended++]);
	qsort(s->ended, s->nended, sizeof *s->ended, newest_first);
}

static void say_dropped(struct history *hi)
{
	static const struct { enum agent_counter c; bool ended; const char *text; } lost[] = {
		{ AGENT_DROPPED_TASKS, false, "tasks were not recorded by the agent: its memory is full" },
		{ AGENT_DROPPED_ANCESTORS, false, "ended ancestors of living tasks were dropped by the agent" },
		{ AGENT_DROPPED_CANCELS, false, "cancel requests were not recorded by the agent" },
		{ AGENT_DROPPED_STACKS, false, "stacks were not recorded by the agent" },
		{ AGENT_DROPPED_STRINGS, false, "names or messages were not recorded by the agent" },
		{ AGENT_DROPPED_ENDED, true, "older terminations are no longer in the agent's history" },
		{ AGENT_DROPPED_PRESERVED, true, "older preserved terminations are no longer in the agent's history" },
	};
	struct snapshot *s = hi->w->s;
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
		if (hi->h.counters[lost[i].c] && (!lost[i].ended || hi->w->what & SNAPSHOT_ENDED))
			snapshot_note(s, "%llu %s.", (unsigned long long)hi->h.counters[lost[i].c],
				      lost[i].text);
	if (hi->stood)
		snapshot_note(s, "Of tasks that awaited something after they were cancelled (%zu here) the last stack is where "
			      "the cancellation met them: Python 3.8 does not keep where they ended.", hi->stood);
}

void walk_history(struct walk *w)
{
	struct agent_header h;
	struct history hi;
	const char *why;
	if (!history_find(w, &h, &why)) {
		w->s->agent_unread = why;
		if (why)
			snapshot_note(w->s, "%s", why);
		return;
	}
	w->s->agent = true;
	history_begin(&hi, w, &h);
	w->s->agent_since = history_time(&hi, h.started_mono);
	w->s->steps = history_all_steps(&hi);
	w->s->events_from = h.version == AGENT_VERSION ? h.events.head : 0;
	for (size_t i = 0; i < w->s->ntasks && !walk_stop(w); i++)
		fill_task(&hi, &w->s->tasks[i]);
	if (w->what & SNAPSHOT_ENDED)
		fill_all_ended(&hi);
	say_dropped(&hi);
	history_free(&hi);
}

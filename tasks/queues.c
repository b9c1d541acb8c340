/* Who is at the other end of a queue: for one who waits for an item, those that could put one;
 * for one who waits for room or for join(), those that could take items and say so.
 *
 * That is everybody whose frames have the queue, or an object that has it two attributes away.
 * Nobody is said to be there only where no module and no thread has the queue either. */
#include "tasks/pools.h"

#include "unwind/pystack.h"

#define NAMED_MAX 64             /* tasks of one queue that are named */
#define HOPS 2

struct queue { uint64_t id; struct indexes ends; struct VEC(struct holder) who; bool elsewhere; };

struct queues {
	struct walk *w;
	struct VEC(struct queue) all;
	struct map by_id;        /* queue → index + 1 */
	struct map leads[HOPS + 1]; /* object → 1: it leads to none within so many attributes */
	/* Of the root that is being looked at. */
	const struct reach_root *root;
	int hops;
	bool found;
};

static bool of_queue(const struct wait *wait)
{
	return wait && wait->id && (wait->kind == WAIT_QUEUE_GET || wait->kind == WAIT_QUEUE_PUT ||
				    wait->kind == WAIT_QUEUE_JOIN);
}

/* Both ends of a memory stream of anyio's have its state. */
static uint64_t shared_part(struct walk *w, uint64_t queue)
{
	uint64_t state = attr_get(&w->r, queue, "_state");
	return is_none(&w->r, state) ? queue : state;
}

static void find_queues(struct queues *q)
{
	struct walk *w = q->w;
	uint64_t at;
	for (size_t i = 0; i < w->s->ntasks; i++) {
		const struct task *t = &w->s->tasks[i];
		if (t->state != TASK_WAITING || !of_queue(t->wait))
			continue;
		uint64_t id = shared_part(w, t->wait->id);
		if (!map_get(&q->by_id, id, &at)) {
			w->nomem |= !vec_push(&q->all, (struct queue){ .id = id }) || !map_set(&q->by_id, id, q->all.n);
			at = q->all.n;
		}
		if (w->nomem)
			return;
		w->nomem |= !vec_push(&q->all.v[at - 1].ends, (uint32_t)i);
	}
}

/* ---- who has them ---- */

static void has(struct queues *q, struct queue *of)
{
	const struct reach_root *r = q->root;
	q->found = true;
	if (!r) {
		of->elsewhere = true;
		return;
	}
	struct holder h = { .task = q->w->s->tasks[r->task].id, .place = r->place };
	/* The roots of a task lie together. */
	if (of->who.n && of->who.v[of->who.n - 1].task == h.task)
		of->who.v[of->who.n - 1] = h;
	else if (of->who.n < NAMED_MAX && !vec_push(&of->who, h))
		q->w->nomem = true;
}

static void look(struct queues *q, uint64_t obj, int hops);

static bool attribute(void *ctx, uint64_t name, uint64_t value)
{
	struct queues *q = ctx;
	int hops = q->hops;
	(void)name;
	if (!walk_visit(q->w))
		return false;
	look(q, value, hops - 1);
	q->hops = hops;
	return true;
}

static bool member(void *ctx, uint64_t value)
{
	return attribute(ctx, 0, value);
}

static void look(struct queues *q, uint64_t obj, int hops)
{
	struct walk *w = q->w;
	uint64_t at;
	bool outer = q->found;
	if (!obj || obj % 8)
		return;
	if (map_get(&q->by_id, obj, &at)) {
		has(q, &q->all.v[at - 1]);
		return;
	}
	if (!hops || map_get(&q->leads[hops], obj, NULL) || map_get(&w->loop_index, obj, NULL))
		return;
	q->hops = hops;
	q->found = false;
	if (object_kind(&w->r, obj) == KIND_METHOD)
		look(q, field_at(&w->r, obj, w->r.l->method_self), hops - 1);
	else if (!reach_members(w, obj, NAMED_MAX, member, q) && object_kind(&w->r, obj) == KIND_OTHER)
		attr_each(&w->r, obj, attribute, q);
	if (!q->found && !map_set(&q->leads[hops], obj, 1))
		w->nomem = true;
	q->found |= outer;
}

/* ---- where else one may be ---- */

static void look_in_modules(struct queues *q)
{
	struct walk *w = q->w;
	struct dict_iter modules, names;
	uint64_t key, module, value;
	q->root = NULL;
	for (size_t i = 0; i < w->interps.n; i++) {
		if (!dict_begin(&w->r, w->interps.v[i].modules, &modules))
			continue;
		while (!walk_stop(w) && dict_next(&w->r, &modules, &key, &module)) {
			if (object_kind(&w->r, module) != KIND_MODULE ||
			    !dict_begin(&w->r, field_at(&w->r, module, w->r.l->module_dict), &names))
				continue;
			while (dict_next(&w->r, &names, &key, &value))
				look(q, value, 1);
		}
	}
}

static void look_in_threads(struct queues *q)
{
	struct walk *w = q->w;
	struct roots found = { 0 };
	for (size_t i = 0; i < w->threads.n && !walk_stop(w); i++) {
		struct pystack ps;
		struct reach_root like = { 0 };
		if (!w->threads.v[i].thread || !walk_thread_frames(w, &w->threads.v[i], &ps))
			continue;
		for (size_t k = 0; k < ps.n; k++)
			if (ps.frames[k].code)
				roots_of_frame(w, &found, &ps.frames[k], &like);
	}
	q->root = NULL;
	for (size_t i = 0; i < found.n && !walk_stop(w); i++)
		look(q, found.v[i].obj, 1);
	roots_free(&found);
}

/* ---- what is said ---- */

/* Those that wait at the same end are not at the other. */
static void tell(struct queues *q, const struct queue *of, struct task *t, bool all)
{
	struct walk *w = q->w;
	struct holder *v = reader_spend(&w->r, of->who.n * sizeof *v) ? arena_array(w->arena, of->who.n + 1, sizeof *v) : NULL;
	struct wait *wait = v ? arena_dup(w->arena, t->wait, sizeof *wait) : NULL;
	uint64_t at;
	if (!wait)
		return;
	for (size_t i = 0; i < of->who.n; i++) {
		const struct task *other = map_get(&w->task_index, of->who.v[i].task, &at) ? &w->s->tasks[at - 1] : NULL;
		bool same = other && other->state == TASK_WAITING && of_queue(other->wait) &&
			    other->wait->kind == wait->kind && shared_part(w, other->wait->id) == of->id;
		if (!same && of->who.v[i].task != t->id)
			v[wait->nwakers++] = of->who.v[i];
	}
	wait->wakers = wait->nwakers || (all && !of->elsewhere) ? v : NULL;
	t->wait = wait;
}

void walk_queues(struct walk *w)
{
	struct queues q = { .w = w };
	struct roots roots = { 0 };
	find_queues(&q);
	if (q.all.n)
		roots_find(w, NULL, &roots);
	for (size_t i = 0; i < roots.n && !walk_stop(w); i++) {
		q.root = &roots.v[i];
		look(&q, roots.v[i].obj, HOPS);
	}
	if (q.all.n) {
		look_in_modules(&q);
		look_in_threads(&q);
	}
	for (size_t i = 0; i < q.all.n; i++) {
		for (size_t k = 0; k < q.all.v[i].ends.n && !walk_stop(w); k++)
			tell(&q, &q.all.v[i], &w->s->tasks[q.all.v[i].ends.v[k]],
			     !roots.cut && walk_visit(w));
		vec_free(&q.all.v[i].ends);
		vec_free(&q.all.v[i].who);
	}
	roots_free(&roots);
	vec_free(&q.all);
	map_free(&q.by_id);
	for (int i = 0; i <= HOPS; i++)
		map_free(&q.leads[i]);
}

/* loop-not-running: a loop that nobody runs though it has work. */
#include "query/findings.h"
#include "query/ring.h"
#include "query/shape.h"

#define DUE_S 1.0                /* a timer that is later than that is work */

/* Not so of a process that is stopped, nor of a loop that came by fork(). */
static bool idle_with_work(const struct snapshot *s, const struct loop *l)
{
	return l && !l->running && !l->copied && !s->stopped && (l->ready > 0 || l->overdue >= DUE_S);
}

void idle_check(struct checking *k)
{
	for (size_t i = 0; k->before && i < k->now->nloops; i++) {
		const struct loop *l = &k->now->loops[i];
		struct item x = { .of = l };
		if (!idle_with_work(k->now, l) || !idle_with_work(k->before, snapshot_loop(k->before, l->id)))
			continue;
		uint64_t *ids = arena_array(k->now->arena, k->now->ntasks + 1, sizeof *ids);
		for (size_t t = 0; ids && t < k->now->ntasks; t++)
			if (k->now->tasks[t].loop == l->id && task_alive(&k->now->tasks[t]))
				ids[x.ntasks++] = k->now->tasks[t].id;
		x.tasks = ids;
		k->nomem |= !ids;
		if (x.ntasks)
			item_add(k, &x);
	}
}

void idle_one(struct strbuf *b, const struct checking *k, const struct item *x)
{
	const struct loop *l = x->of;
	const struct task *t = snapshot_task(k->now, x->tasks[0]);
	strbuf_str(b, "The loop ");
	strbuf_hex(b, l->id);
	strbuf_str(b, " is not running, and ");
	say_count(b, x->ntasks);
	strbuf_str(b, x->ntasks == 1 ? " task waits in it" : " tasks wait in it");
	if (t) {
		strbuf_str(b, ", the first ");
		shape_name(b, t->name, t->id);
		say_where(b, t);
	}
	strbuf_str(b, ", though it has work that is due: none of them goes on until somebody runs it again");
	/* It had a thread, which is elsewhere now; where there is one only, it is that. */
	for (size_t i = 0, n = 0; i < k->now->nthreads && n < 4; i++) {
		const struct thread_stack *th = &k->now->threads[i];
		if (!th->python || th->loop)
			continue;
		strbuf_str(b, n++ ? "; " : ". Meanwhile ");
		say_waiter(b, (struct waiter){ .thread = th });
		if (th->wait) {
			strbuf_str(b, " waits for ");
			say_thread_wait(b, k->now, th->wait);
			if (th->wait->nholders) {
				strbuf_str(b, ", which ");
				shape_holder(b, k->now, &th->wait->holders[0]);
				strbuf_str(b, " has");
			}
		} else {
			strbuf_str(b, " is");
		}
		say_thread_place(b, k->now, th);
	}
	strbuf_char(b, '.');
}

void idle_summary(struct strbuf *b, const struct checking *k, const struct item *items, size_t n)
{
	(void)k;
	(void)items;
	say_count(b, n);
	strbuf_str(b, " loops are not running though they have work that is due");
}

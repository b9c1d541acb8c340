#include "query/ring.h"

#include <string.h>

#include "query/findings.h"
#include "query/shape.h"

#define RING_NAMED 8             /* members of a ring that are told */

const struct holder *held_by_task(const struct task *t, const struct task *by)
{
	const struct wait *w = t->wait;
	for (size_t k = 0; w && !w->ntasks && k < w->nholders; k++)
		if (w->holders[k].task == by->id)
			return &w->holders[k];
	return NULL;
}

void say_object(struct strbuf *b, const struct task *t)
{
	const struct wait *w = t->wait;
	const char *class = w->detail ? w->detail : wait_kind_name(w->kind);
	char text[64];
	size_t n = strcspn(class, ",");
	n = n < sizeof text - 1 ? n : sizeof text - 1;
	memcpy(text, class, n);
	text[n] = '\0';
	strbuf_str(b, text);
	if (w->id) {
		strbuf_char(b, ' ');
		strbuf_hex(b, w->id);
	}
}

void say_taken(struct strbuf *b, const struct holder *h)
{
	if (!h->place)
		return;
	strbuf_str(b, h->since ? " since " : " at ");
	shape_place(b, h->place->function, h->place->file, h->since ? h->since : h->place->line);
}

static void member(struct strbuf *b, const struct task *t, const struct task *by)
{
	const struct holder *h = held_by_task(t, by);
	shape_name(b, t->name, t->id);
	if (!h) {
		strbuf_str(b, " awaits ");
		shape_name(b, by->name, by->id);
		say_where(b, t);
		return;
	}
	strbuf_str(b, " waits for ");
	say_object(b, t);
	say_where(b, t);
	strbuf_str(b, ", which ");
	if (by == t)
		strbuf_str(b, "it has itself");
	else
		shape_name(b, by->name, by->id);
	strbuf_str(b, by == t ? "" : " has");
	say_taken(b, h);
}

void say_ring(struct strbuf *b, const struct snapshot *s, const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n && i < RING_NAMED; i++) {
		const struct task *t = snapshot_task(s, ids[i]), *by = snapshot_task(s, ids[(i + 1) % n]);
		if (i)
			strbuf_str(b, "; ");
		if (t && by)
			member(b, t, by);
	}
	if (n > RING_NAMED) {
		strbuf_str(b, "; and so on through ");
		say_count(b, n);
		strbuf_str(b, " tasks");
	}
}

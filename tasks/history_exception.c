/* What a task that ended failed with, from the agent's list of exceptions. */
#include "tasks/history.h"

#include <string.h>

struct list {
	struct agent_exception item[AGENT_EXCEPTIONS_MAX];
	struct exception *e[AGENT_EXCEPTIONS_MAX]; /* NULL for notes */
	size_t n;
};

/* Those of this task only: a list that was dropped meanwhile is another's. Whatever belongs to
 * an exception comes after it, so that nothing leads in a circle. */
static void list_read(struct history *hi, const struct agent_task *t, struct list *l)
{
	uint32_t i = t->exception;
	for (l->n = 0; i && l->n < AGENT_EXCEPTIONS_MAX; i = l->item[l->n++].next) {
		struct agent_exception *e = &l->item[l->n];
		bool first = l->n == 0;
		if (!history_exception(hi, i, e) || e->owner != t->serial || e->role > AGENT_NOTE ||
		    first != (e->role == AGENT_RAISED) || (!first && (e->of >= l->n || !l->e[e->of])))
			return;
		/* Each list is of one task: only forged records lead to some of them again and again. */
		bool room = l->n == 0 || reader_spend(&hi->w->r, sizeof **l->e);
		l->e[l->n] = e->role == AGENT_NOTE || !room ? NULL : arena_alloc(hi->w->arena, sizeof **l->e);
		if (e->role != AGENT_NOTE && !l->e[l->n])
			return;
	}
}

static size_t belonging(const struct list *l, size_t of, enum agent_exception_role role)
{
	size_t n = 0;
	for (size_t i = of + 1; i < l->n; i++)
		n += l->item[i].of == of && l->item[i].role == role;
	return n;
}

static void fill_notes(struct history *hi, const struct list *l, size_t of)
{
	size_t n = belonging(l, of, AGENT_NOTE), at = 0;
	const char **v = n ? arena_array(hi->w->arena, n, sizeof *v) : NULL;
	for (size_t i = of + 1; v && i < l->n; i++) {
		if (l->item[i].of != of || l->item[i].role != AGENT_NOTE)
			continue;
		const char *s = history_string(hi, l->item[i].message);
		v[at++] = s ? s : "?";
	}
	l->e[of]->notes = v;
	l->e[of]->nnotes = at;
}

static void fill_members(struct history *hi, const struct list *l, size_t of)
{
	size_t n = belonging(l, of, AGENT_MEMBER), at = 0;
	const struct exception **v = n ? arena_array(hi->w->arena, n, sizeof *v) : NULL;
	for (size_t i = of + 1; v && i < l->n; i++)
		if (l->item[i].of == of && l->item[i].role == AGENT_MEMBER)
			v[at++] = l->e[i];
	l->e[of]->exceptions = v;
	l->e[of]->nexceptions = at;
}

static const struct exception *related(const struct list *l, size_t of, enum agent_exception_role role)
{
	for (size_t i = of + 1; i < l->n; i++)
		if (l->item[i].of == of && l->item[i].role == role)
			return l->e[i];
	return NULL;
}

static void fill(struct history *hi, const struct list *l, size_t i, uint32_t stack)
{
	const struct agent_exception *a = &l->item[i];
	struct exception *e = l->e[i];
	*e = (struct exception){
		.type = history_string(hi, a->type),
		.message = history_string(hi, a->message),
		.repr = history_string(hi, a->repr),
		.cause = related(l, i, AGENT_CAUSE),
		.context = related(l, i, AGENT_CONTEXT),
		.suppressed = a->flags & AGENT_EXCEPTION_SUPPRESSES,
		.more = a->flags & AGENT_EXCEPTION_MORE,
		.stack = history_stack(hi, stack),
	};
	if (!e->message)
		e->message = e->repr;
	fill_notes(hi, l, i);
	fill_members(hi, l, i);
}

static const struct exception *from_texts(struct history *hi, const struct agent_task *t)
{
	struct exception *e = t->exc_type ? arena_alloc(hi->w->arena, sizeof *e) : NULL;
	if (e)
		*e = (struct exception){ .type = history_string(hi, t->exc_type),
					 .message = history_string(hi, t->exception),
					 .stack = history_stack(hi, t->end_stack) };
	return e;
}

static const struct exception *gone(struct history *hi)
{
	struct exception *e = arena_alloc(hi->w->arena, sizeof *e);
	if (e)
		*e = (struct exception){ .type = "GeneratorExit",
					 .message = "the task object went away while it was pending" };
	return e;
}

const struct exception *history_failure(struct history *hi, const struct agent_task *t)
{
	struct list l;
	if (t->outcome == AGENT_DESTROYED)
		return gone(hi);
	if (t->outcome != AGENT_FAILED)
		return NULL;
	if (hi->h.version == AGENT_VERSION_TEXTS)
		return from_texts(hi, t);
	list_read(hi, t, &l);
	for (size_t i = 0; i < l.n; i++)
		if (l.e[i])
			fill(hi, &l, i, i ? l.item[i].stack : t->end_stack);
	return l.n ? l.e[0] : NULL;
}

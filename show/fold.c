#include "show/fold.h"

#include <string.h>

#include "query/shape.h"

/* The functions that run a task or a callback, innermost, by CPython 3.8 to 3.15 and
 * uvloop (whose own are C). */
static const struct { const char *file, *function; } runners[] = {
	{ "asyncio/events.py", "_run" },
	{ "asyncio/base_events.py", "_run_once" },
	{ "asyncio/base_events.py", "run_forever" },
	{ "asyncio/base_events.py", "run_until_complete" },
	{ "asyncio/runners.py", "run" },
	{ "uvloop/__init__.py", "run" },
	/* of tasks in pure Python */
	{ "asyncio/tasks.py", "__step" },
	{ "asyncio/tasks.py", "__step_run_and_handle_result" },
	{ "asyncio/tasks.py", "__wakeup" },
};

static bool runs_a_loop(const struct frame *f)
{
	for (size_t i = 0; i < sizeof runners / sizeof *runners; i++)
		if (frame_is(f, runners[i].file, runners[i].function))
			return true;
	return false;
}

size_t fold_loop_frames(const struct stack *st)
{
	size_t n = st->n;
	while (n && !runs_a_loop(st->frames[n - 1]))
		n--;
	return n < st->n ? n : 0;
}

size_t fold_asyncio_frames(const struct stack *st)
{
	size_t n = st->n;
	while (n && shape_owner(st->frames[n - 1]) == CODE_ASYNCIO)
		n--;
	return n ? st->n - n : 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_stack(const struct stack *a, const struct stack *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct frame *f = a->frames[i], *g = b->frames[i];
		if (f != g && (f->line != g->line || !same_text(f->function, g->function) ||
			       !same_text(f->file, g->file)))
			return false;
	}
	return true;
}

size_t fold_cancels(const struct cancel *v, size_t n, size_t i, bool *shown, size_t *last)
{
	size_t alike = 0;
	for (size_t k = i + 1; k < n; k++) {
		if (shown[k] || v[k].origin != v[i].origin || !same_text(v[k].message, v[i].message) ||
		    !same_stack(&v[k].stack, &v[i].stack))
			continue;
		shown[k] = true;
		*last = k;
		alike++;
	}
	return alike;
}

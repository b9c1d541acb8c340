#include "show/fold.h"

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

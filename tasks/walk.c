/* One walk over an image into a fresh snapshot, stage by stage. */
#include "tasks/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach/hands.h"

void walk_torn(struct walk *w, const char *why)
{
	if (!w->torn++)
		w->torn_why = why;
}

bool walk_stop(struct walk *w)
{
	if (hands_late() || (w->limit.bytes && w->r.img->filled > w->limit.bytes))
		w->over_limit = true;
	return w->nomem || w->over_limit;
}

/* Some seconds: objects that have each other's attributes are a square of them. */
#define VISITS_MAX (1u << 25)

bool walk_visit(struct walk *w)
{
	if (w->visits < VISITS_MAX) {
		w->visits++;
		return true;
	}
	w->cut_lists += w->visits++ == VISITS_MAX;
	w->visits = VISITS_MAX + 1;
	return false;
}

void walk_free(struct walk *w)
{
	reader_free(&w->r);
	vec_free(&w->threads);
	map_free(&w->thread_states);
	map_free(&w->thread_objects);
	vec_free(&w->interps);
	map_free(&w->task_index);
	map_free(&w->loop_index);
	map_free(&w->current);
	map_free(&w->group_index);
	map_free(&w->deadlines);
	map_free(&w->rules);
	map_free(&w->keeps);
	map_free(&w->holds.first);
	map_free(&w->holds.generators);
	vec_free(&w->holds);
	vec_free(&w->contexts);
	map_free(&w->wrappers);
	map_free(&w->job_index);
	map_free(&w->workers);
	vec_free(&w->jobs);
	vec_free(&w->chain);
	memset(w, 0, sizeof *w);
}

static void head(struct snapshot *s, struct python *py)
{
	const struct py_version *v = &py->layout.version;
	static const char *const levels[] = { [0xA] = "a", [0xB] = "b", [0xC] = "rc" };
	s->source = py->target->kind == TARGET_CORE ? SNAPSHOT_OF_CORE : SNAPSHOT_OF_PROCESS;
	s->pid = py->target->pid;
	s->exe = py->target->exe ? arena_str(s->arena, py->target->exe) : NULL;
	int n = snprintf(s->python, sizeof s->python, "%u.%u.%u", v->major, v->minor, v->micro);
	if (v->level >= 0xA && v->level <= 0xC && n > 0)
		snprintf(s->python + n, sizeof s->python - (size_t)n, "%s%u", levels[v->level], v->serial);
	s->free_threaded = py->layout.free_threaded;
	s->layout = layout_source_name(py->layout.source);
	s->complete = true;
	s->cancels_counted = py->layout.task_num_cancels >= 0;
	s->agent_since = __builtin_nan("");
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	s->taken_at = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Also where NULL or a missing entry was taken for what is not known. */
static bool out_of_memory(const struct walk *w)
{
	return w->nomem || arena_failed(w->arena) || w->task_index.failed || w->loop_index.failed ||
	       w->current.failed || w->group_index.failed || w->deadlines.failed || w->job_index.failed;
}

struct snapshot *walk_once(struct python *py, struct walk *w, unsigned what, struct walk_limit limit,
			   const struct walk_times *at)
{
	struct snapshot *s = calloc(1, sizeof *s);
	if (!s || !(s->arena = arena_new())) {
		free(s);
		return NULL;
	}
	head(s, py);
	*w = (struct walk){ .s = s, .arena = s->arena, .what = what, .limit = limit };
	w->clock_now = at->now;
	w->born = at->born;
	err_free(reader_init(&w->r, py, s->arena));
	struct addrs tasks = { 0 };
	walk_interpreters(w);
	walk_folders(w);
	if (!(what & SNAPSHOT_NO_TASKS)) {
		walk_executors(w);
		walk_tables(w, &tasks);
	}
	if (!walk_stop(w) && walk_tasks_reserve(w, tasks.n))
		for (size_t i = 0; i < tasks.n && !walk_stop(w); i++)
			walk_task(w, tasks.v[i]);
	free(tasks.v);
	if (!(what & SNAPSHOT_NO_TASKS) && !walk_stop(w)) {
		walk_awaits(w);
		if (what & SNAPSHOT_THREADS)
			walk_thread_holds(w);
		walk_holders(w);
		walk_pools(w);
		if (what & SNAPSHOT_THREADS)
			walk_queues(w);
		walk_waits_finish(w);
		walk_loops_finish(w);
		walk_groups_finish(w);
		walk_scopes(w);
		walk_history(w);
	}
	if (what & (SNAPSHOT_THREADS | SNAPSHOT_NATIVE) && !walk_stop(w))
		walk_threads(w);
	if (out_of_memory(w)) {
		walk_free(w);
		snapshot_free(s);
		return NULL;
	}
	return s;
}

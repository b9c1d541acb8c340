/* Taking a snapshot: look unpaused to learn which memory matters, stop and copy it,
 * let go, and walk the copy. What turns out torn or missing is tried again. */
#include "attach/proc.h"
#include "base/clock.h"
#include "base/room.h"
#include "tasks/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A rehearsal is given up for a copy of everything when it has read so much, or met so
 * many tasks, that everything is not much more. */
#define REHEARSE_BYTES (4ull << 20)
#define REHEARSE_TASKS 1000
/* Up to this size everything is copied in an instant that few targets would notice. */
#define SMALL (256ull << 20)
/* So much is searched for tasks that no list leads to. */
#define SEARCH_BYTES (1ull << 30)
/* Of a larger one, a rehearsal may read this part and meet a task for so many bytes. */
#define REHEARSE_PART 8
#define TASK_BYTES 2048
#define ATTEMPTS 8
/* The top part of each C stack: far more than most threads use. Where it was not
 * enough, again with as much as a main thread's stack may be by default, twice. */
#define STACK_BYTES (256u << 10)
/* Of threads whose C frames are not wanted: where a system call was entered. */
#define STACK_TOP 1024
#define STACK_DEEP (16u << 20)
#define STACK_ATTEMPTS 3
#define RETRY_NS 1000000
/* Around what a large target's freeze missed: each further one copies so many times
 * as much, from one arena of CPython's (1 MiB) on. */
#define AROUND_FIRST (1ull << 20)
#define AROUND_TIMES 4
#define AROUND_MOST (16ull << 20)
/* A target that runs does not wait for us: what a rehearsal met is not all that there is a
 * millisecond later. So there is another one while it stands still, which reads only what
 * came since; where the first one took us little, and within this time. */
#define LOOK_NS 15000000
#define LOOK_REHEARSED_NS 12000000
/* The user's longest pause; and what is copied in a second at least, as a rule (the
 * copy ends in time where it is less). */
#define PAUSE_NS 1000000000ll
#define COPY_RATE 1500000000ull

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void say_missing(struct snapshot *s, const struct walk *w, uint64_t misses)
{
	if (w->torn)
		snapshot_lacks(s, "The target was met in the middle of a change at every try: %s.", w->torn_why);
	if (w->lost_tasks)
		snapshot_lacks(s, "%zu listed task%s could not be read.", w->lost_tasks, plural(w->lost_tasks));
	if (w->lost_fields)
		snapshot_lacks(s, "The name or the coroutine of %zu task%s could not be read.", w->lost_fields,
			       plural(w->lost_fields));
	if (w->lost_tables)
		snapshot_lacks(s, "%zu list%s of tasks could not be read.", w->lost_tables, plural(w->lost_tables));
	if (w->lost_records)
		snapshot_lacks(s, "%zu record%s of the agent's could not be read.", w->lost_records, plural(w->lost_records));
	if (w->broken_stacks)
		snapshot_lacks(s, "%zu await stack%s could not be read to the end.", w->broken_stacks,
			       plural(w->broken_stacks));
	if (w->broken_threads)
		snapshot_lacks(s, "The Python stack%s of %zu thread%s could not be read to the end.",
			       plural(w->broken_threads), w->broken_threads, plural(w->broken_threads));
	if (w->cut_stacks)
		snapshot_lacks(s, "%zu C stack%s could not be read to the end: not enough memory was captured.",
			       w->cut_stacks, plural(w->cut_stacks));
	if (w->cut_awaits)
		snapshot_lacks(s, "Not all awaiters are known: there are too many futures between the tasks.");
	if (w->r.cut)
		snapshot_lacks(s, "The answer is cut short in %zu place%s (names, stacks or lists): it would take more memory "
			       "than twice what was read of the target.", w->r.cut, plural(w->r.cut));
	if (w->cut_lists)
		snapshot_lacks(s, "In %zu place%s a list of timers, callbacks, calls or tasks is longer than what was read of it.",
			       w->cut_lists, plural(w->cut_lists));
	s->done_unseen = w->no_heap;
	if (w->no_heap && w->what & SNAPSHOT_DONE)
		snapshot_lacks(s, "Tasks that are done but alive cannot be found in this process: only live ones are listed.");
	const struct image *img = w->r.img;
	if (img->left_out_reads)
		snapshot_lacks(s, "Memory was asked for %llu time%s that lies in a mapping too large to be looked at here "
			       "(there %s %zu, the first of %llu GB).", (unsigned long long)img->left_out_reads,
			       plural(img->left_out_reads), img->nleft_out == 1 ? "is" : "are", img->nleft_out,
			       (unsigned long long)((img->left_out->end - img->left_out->start) >> 30));
	if (misses && s->complete)
		snapshot_lacks(s, "Memory that was not captured was asked for %llu time%s.", (unsigned long long)misses,
			       plural(misses));
}

static bool sound(const struct walk *w, uint64_t misses)
{
	return !w->torn && !misses && !w->lost_tasks && !w->lost_fields && !w->lost_tables && !w->lost_records &&
	       !w->broken_stacks && !w->broken_threads;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 32;
}

/* What a snapshot says of its tasks, as one number. Never 0. */
static uint64_t digest(const struct snapshot *s)
{
	uint64_t h = s->ntasks;
	for (size_t i = 0; i < s->ntasks; i++) {
		const struct task *t = &s->tasks[i];
		h = mix(mix(mix(h, t->id), t->coro_id), mix(t->state, t->fut_waiter));
		for (const char *c = t->name; c && *c; c++)
			h = mix(h, (uint8_t)*c);
		for (size_t k = 0; k < t->stack.n; k++)
			h = mix(h, (uint64_t)t->stack.frames[k]->line);
	}
	return h ? h : 1;
}

/* Clocks of another time namespace have an offset: deadlines would be wrong. */
static bool same_clock(pid_t pid)
{
	char path[64], ours[64], theirs[64];
	snprintf(path, sizeof path, "/proc/%d/ns/time", (int)pid);
	ssize_t n = readlink("/proc/self/ns/time", ours, sizeof ours);
	ssize_t m = readlink(path, theirs, sizeof theirs);
	return n == m && (n < 0 || memcmp(ours, theirs, (size_t)n) == 0);
}

struct taking {
	struct python *py;
	unsigned what, attempts;
	struct freeze_opts freeze;
	int64_t paused_us;
	int64_t pause_ns;        /* the longest it may be, all attempts together */
	uint64_t left;           /* bytes not copied for want of time, by the last */
	bool clocked;            /* its clock is ours */
	struct walk_times at;
	bool stopped;
	double t_rehearse, t_freeze, t_walk;
	uint64_t copied;
	unsigned threads;
	uint64_t before;         /* not paused: the digest of the look before, 0 none */
	bool light;              /* a look is so quick that the target may stand still for it */
	bool ran;                /* the target, during the rehearsal */
};

/* Whether a whole copy of so many bytes fits beside everything else here. */
static bool affordable(uint64_t whole)
{
	return whole <= memory_room("") / 2;
}

static bool in_time(const struct taking *k, uint64_t whole)
{
	return k->freeze.no_pause || whole <= COPY_RATE / 1000 * (uint64_t)(k->pause_ns / 1000000);
}

/* Done tasks that only the collector's lists know, or (free-threaded) a search (heap.c):
 * those go through all of the heap. */
static bool through_heap(const struct taking *k)
{
	const struct py_layout *l = &k->py->layout;
	return l->task_node >= 0 && k->what & (SNAPSHOT_DONE | (l->free_threaded ? 0 : SNAPSHOT_DONE_IF_CAN));
}

static bool searchable(const struct taking *k, uint64_t whole)
{
	return !k->py->layout.free_threaded || whole <= SEARCH_BYTES;
}

static int64_t our_time(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* For freeze_opts. */
static void look_held(void *arg)
{
	struct taking *k = arg;
	struct walk w = { 0 };
	struct snapshot *s = walk_once(k->py, &w, k->what | WALK_REHEARSAL, (struct walk_limit){ 0, 0 }, &k->at);
	walk_free(&w);
	snapshot_free(s);
}

/* Which way to copy, learnt by walking live memory. */
static err_t rehearse(struct taking *k)
{
	struct walk w = { 0 };
	int64_t ran = proc_ran_ns(k->py->target->pid), ours = our_time();
	struct target *t = k->py->target;
	uint64_t whole = t->ops->whole_size(t);
	double start = now_seconds();
	struct walk_limit limit = { REHEARSE_BYTES, REHEARSE_TASKS };
	if (whole > SMALL)
		limit = (struct walk_limit){ whole / REHEARSE_PART, whole / REHEARSE_PART / TASK_BYTES };
	limit.bytes += t->image->filled; /* by finding Python, and by snapshots before */
	bool fits = affordable(whole) && in_time(k, whole);
	if (!fits)
		limit = (struct walk_limit){ 0, 0 };
	struct snapshot *s = walk_once(k->py, &w, k->what | WALK_REHEARSAL, limit,
				       &(struct walk_times){ start, k->at.born });
	k->light = !w.over_limit && our_time() - ours < LOOK_REHEARSED_NS;
	k->ran = ran < 0 || proc_ran_ns(k->py->target->pid) != ran;
	k->freeze.whole = w.over_limit;
	if (through_heap(k) && fits && searchable(k, whole))
		k->freeze.whole = true;
	else if (through_heap(k))
		k->what |= WALK_NO_HEAP;
	bool nomem = !s;
	walk_free(&w);
	snapshot_free(s);
	k->t_rehearse = now_seconds() - start;
	return nomem ? ERR_NOMEM : NULL;
}

/* When the process began, on the clock of its loops, and whether it is stopped. */
static void origin(struct taking *k)
{
	struct proc_origin o;
	struct timespec boot;
	if (!proc_origin_read(k->py->target->pid, &o))
		return;
	k->stopped = o.state == 'T';
	if (o.forked && k->clocked && clock_gettime(CLOCK_BOOTTIME, &boot) == 0)
		k->at.born = o.born + now_seconds() - ((double)boot.tv_sec + (double)boot.tv_nsec / 1e9);
}

static err_t freeze(struct taking *k)
{
	struct freeze_stats st = { .paused_us = -1 };
	double start = now_seconds();
	k->at.now = k->clocked ? start : 0;
	k->freeze.pause_ns = k->pause_ns - (k->paused_us > 0 ? k->paused_us * 1000 : 0);
	bool look = k->light && (k->ran || k->attempts) && !k->freeze.whole && !k->freeze.no_pause;
	k->freeze.look = look ? look_held : NULL;
	k->freeze.look_arg = k;
	k->freeze.look_ns = LOOK_NS;
	TRY(target_freeze(k->py->target, &k->freeze, &st));
	k->t_freeze += now_seconds() - start;
	if (st.paused_us >= 0)
		k->paused_us = (k->paused_us < 0 ? 0 : k->paused_us) + st.paused_us;
	k->copied += st.bytes;
	k->left = st.left;
	if (st.look_failed)
		k->light = false;
	k->threads = st.threads;
	return NULL;
}

static err_t attempt(struct taking *k, struct walk *w, struct snapshot **out, bool *good)
{
	struct image *img = k->py->target->image;
	bool core = k->py->target->kind == TARGET_CORE;
	if (!core)
		TRY(freeze(k));
	img->misses = img->left_out_reads = 0;
	double start = now_seconds();
	unsigned what = k->what | (core || k->freeze.whole ? WALK_WHOLE : 0);
	*out = walk_once(k->py, w, what, (struct walk_limit){ 0, 0 }, &k->at);
	if (*out)
		(*out)->stopped = k->stopped;
	k->t_walk += now_seconds() - start;
	if (!*out)
		return ERR_NOMEM;
	*good = sound(w, img->misses);
	if (w->stale_stacks && !core && k->attempts < STACK_ATTEMPTS)
		*good = false; /* the next one reads the mappings anew */
	if (w->cut_stacks && k->attempts < STACK_ATTEMPTS) {
		k->freeze.stack_bytes = STACK_DEEP;
		/* Of a stack that a signal handler on its own interrupted, no more is copied
		 * than what lies around the first miss. */
		k->freeze.around = STACK_DEEP;
		*good = false;
	}
	return NULL;
}

/* Nothing is left of the pause that could help. */
static bool out_of_time(const struct taking *k)
{
	return k->left || k->pause_ns - k->paused_us * 1000 < k->pause_ns / 10;
}

/* What the limit on the pause cost. */
static void say_pause(const struct taking *k, struct snapshot *s)
{
	double most = (double)k->pause_ns / 1e9;
	if (k->left)
		snapshot_lacks(s, "The copy ended when the target had been stopped for %.3g s (--max-pause): %llu MB "
			       "of it are missing.", most, (unsigned long long)(k->left >> 20) + 1);
	else if (!s->complete && k->paused_us >= 0 && out_of_time(k))
		snapshot_note(s, "No further try was made: the target has been stopped for %.3g s (--max-pause).", most);
	s->done_unseen |= (k->what & WALK_NO_HEAP) != 0;
	if (k->what & WALK_NO_HEAP && k->what & SNAPSHOT_DONE)
		snapshot_lacks(s, "Tasks that are done are not listed: to find them its memory of %llu MB would have to be "
			       "copied, %s.", (unsigned long long)(k->py->target->ops->whole_size(k->py->target) >> 20),
			       in_time(k, k->py->target->ops->whole_size(k->py->target)) ?
			       "for which there is not enough here" : "which may take longer than --max-pause allows");
}

static err_t no_asyncio(const struct python *py)
{
	return err_new(E_NOASYNCIO, "process %d runs Python %u.%u.%u, which has not imported asyncio",
		       (int)py->target->pid, py->layout.version.major, py->layout.version.minor,
		       py->layout.version.micro);
}

/* Memory that the rehearsal did not foresee. All of it is taken where that is little; of
 * much, which would stand still for seconds, only what lies around. */
static void look_further(struct taking *k)
{
	uint64_t whole = k->py->target->ops->whole_size(k->py->target), around = k->freeze.around;
	if (whole <= SMALL && affordable(whole) && in_time(k, whole))
		k->freeze.whole = true;
	else
		k->freeze.around = !around ? AROUND_FIRST : around < AROUND_MOST ? around * AROUND_TIMES : around;
}

/* Whether a good look at a target that was not stopped counts: nothing vouches for one
 * instant of it but that two looks agree. */
static bool agrees(struct taking *k, const struct snapshot *s, struct walk *w, bool good)
{
	uint64_t seen = digest(s), before = k->before;
	k->before = seen;
	if (good && before && seen != before)
		walk_torn(w, "two looks at it do not agree");
	return good && seen == before;
}

/* The last attempt's snapshot, with what it lacks and what it cost: *out, or freed where
 * there is no asyncio. Frees what the walk holds. */
static err_t finish(struct taking *k, struct walk *w, struct snapshot *s, struct snapshot **out)
{
	struct target *t = k->py->target;
	bool asyncio = w->asyncio || k->what & SNAPSHOT_NO_TASKS;
	if (k->left) /* that is why */
		w->torn = 0;
	say_missing(s, w, t->image->misses);
	say_pause(k, s);
	walk_free(w);
	if (t->kind != TARGET_CORE)
		peers_ask(s);
	if (t->kind != TARGET_CORE && k->what & SNAPSHOT_WATCHED)
		watched_ask(s);
	if (!asyncio && s->complete) {
		snapshot_free(s);
		return no_asyncio(k->py);
	}
	s->paused_us = k->paused_us;
	s->stats.rehearse = k->t_rehearse;
	s->stats.freeze = k->t_freeze;
	s->stats.walk = k->t_walk;
	s->stats.bytes = t->image->filled;
	s->stats.copied = k->copied;
	s->stats.attempts = k->attempts;
	s->stats.threads = k->threads;
	if (k->what & SNAPSHOT_NO_PAUSE)
		snapshot_note(s, "Read without stopping the target: it changed while it was read.");
	for (size_t i = 0; i < t->nnotes; i++)
		snapshot_note(s, "%s", t->notes[i]);
	*out = s;
	return NULL;
}

err_t snapshot_take(struct python *py, unsigned what, struct snapshot **out)
{
	bool core = py->target->kind == TARGET_CORE;
	struct taking k = { .py = py, .what = what, .paused_us = -1, .at.born = __builtin_nan("") };
	k.pause_ns = py->target->pause_ns ? py->target->pause_ns : PAUSE_NS;
	k.clocked = !core && same_clock(py->target->pid);
	k.freeze.no_pause = what & SNAPSHOT_NO_PAUSE;
	k.freeze.stack_bytes = what & SNAPSHOT_NATIVE ? STACK_BYTES : what & SNAPSHOT_THREADS ? STACK_TOP : 0;
	if (!core) {
		origin(&k);
		TRY(target_thaw(py->target));
		TRY(rehearse(&k));
	}
	for (;;) {
		struct walk w = { 0 };
		struct snapshot *s = NULL;
		bool good = false;
		err_t e = attempt(&k, &w, &s, &good);
		if (e) {
			walk_free(&w);
			return e;
		}
		k.attempts++;
		if (k.freeze.no_pause)
			good = agrees(&k, s, &w, good);
		uint64_t misses = py->target->image->misses;
		if (good || core || k.attempts == ATTEMPTS || out_of_time(&k))
			return finish(&k, &w, s, out);
		walk_free(&w);
		snapshot_free(s);
		if (misses)
			look_further(&k);
		nanosleep(&(struct timespec){ 0, RETRY_NS }, NULL);
	}
}

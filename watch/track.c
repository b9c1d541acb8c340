#include "watch/track.h"

#include <math.h>

/* Keys beside those of turns, which are a double's bits or milliseconds. */
#define KEY_STOPPED 1u
#define KEY_STARVED 2u
/* Of a hold that has lasted for this part of the threshold, peeks look at the thread too. */
#define SAMPLE_PART 0.2
/* The kernel brings a thread's processor time up to date at its ticks only. */
#define STARVED_S 0.03
#define RAN_NS 3000000
/* Peeks that find a stopped thread running, before it is believed. */
#define DOUBTS 2

/* What keeps it from going round; 0: nothing does. */
static uint64_t key_of(struct track *t, struct glance *g, double now)
{
	if (g->where == PEEK_STEP && g->turn > KEY_STARVED)
		return g->turn;
	if (!t->peek.of.uv && !peek_thread(&t->peek, g))
		return 0;
	if (g->thread.state == 'T') {
		t->doubts = 0;
		return KEY_STOPPED;
	}
	/* By ourselves, for a look: what it was before, it is after it, though it runs for a
	 * moment until it stops again. */
	if ((g->thread.state == 't' && t->key <= KEY_STARVED) || (t->key == KEY_STOPPED && t->doubts++ < DOUBTS))
		return t->key;
	if (g->thread.state != 'R' || g->thread.in_call || g->thread.cpu_ns != t->cpu || t->moved == 0) {
		t->cpu = g->thread.cpu_ns;
		t->moved = now;
		return 0;
	}
	return now - t->moved > STARVED_S ? KEY_STARVED : 0;
}

static void begin(struct track *t, const struct glance *g, uint64_t key, double now)
{
	double from = t->last ? t->last : now, start = from + (now - from) / 2;
	/* The loop's own word, where it is about the time since the last peek. */
	if (g->where == PEEK_STEP && g->began >= from - 0.002 && g->began <= now)
		start = g->began;
	/* A watch that begins in the middle of a step. */
	else if (g->where == PEEK_STEP && !t->last && g->began <= now && g->began > now - 86400)
		start = g->began;
	else if (key == KEY_STARVED)
		start = t->moved;
	t->key = key;
	t->sampled = t->over = t->dropped = false;
	t->hold = (struct hold){ .of = t->peek.of, .start = start, .in_step = g->where == PEEK_STEP, .throttled = NAN,
				 .last_call = -1 };
}

/* Python's code moves on while it has a processor, one call of C code does not. Where there
 * is no schedstat, any time will do. */
static void judge_running(struct track *t, const struct glance *g, double dt)
{
	bool same = g->frame && g->frame == t->frame && g->instr == t->instr;
	t->unsure += dt;
	if (g->thread.cpu_ns && g->thread.cpu_ns - t->ran_to < RAN_NS)
		return;
	t->hold.parts[same ? PART_NATIVE : PART_PYTHON] += t->unsure;
	t->unsure = 0;
	t->frame = g->frame;
	t->instr = g->instr;
	t->ran_to = g->thread.cpu_ns;
}

static enum hold_part part_of(const struct track *t, const struct glance *g)
{
	if (g->thread.state == 'T')
		return PART_STOPPED;
	if (peek_wants_gil(&t->peek, g))
		return PART_GIL;
	/* Whoever collects garbage has the GIL. */
	if (g->collecting && (!t->peek.of.gil || g->owner == t->peek.of.tstate))
		return PART_GC;
	if (g->thread.in_call)
		return PART_SYSCALL;
	return PART_PYTHON; /* or native: judge_running() */
}

/* The time since the last peek is that which the thread is met in. */
static void sample(struct track *t, struct glance *g, double now)
{
	double dt = now - (t->sampled ? t->last : t->hold.start);
	if ((!t->peek.of.uv && g->where == PEEK_STEP && !peek_thread(&t->peek, g)) || dt < 0)
		return;
	/* Stopped by ourselves, for a look. */
	if (g->thread.state == 't')
		return;
	peek_frame(&t->peek, g);
	if (!t->sampled) {
		t->first = g->thread;
		t->first_at = now;
		t->throttled = eye_throttled(t->peek.eye.pid);
		t->frame = g->frame;
		t->instr = g->instr;
		t->ran_to = g->thread.cpu_ns;
		t->unsure = 0;
	}
	enum hold_part part = part_of(t, g);
	if (part == PART_PYTHON)
		judge_running(t, g, dt);
	else
		t->hold.parts[part] += dt;
	if (part == PART_SYSCALL)
		hold_add_call(&t->hold, &t->peek.eye, g->thread.call, g->thread.args[0], dt);
	if (part == PART_GIL && g->owner)
		hold_add_owner(&t->hold, g->owner, dt);
	t->hold.last_call = g->thread.call;
	t->before = g->thread;
	t->sampled = true;
}

/* Of the time that it was met running, the part in which it had no processor. */
static void settle(const struct track *t, struct hold *h)
{
	h->parts[h->parts[PART_NATIVE] > h->parts[PART_PYTHON] ? PART_NATIVE : PART_PYTHON] += t->unsure;
	double ran = h->parts[PART_PYTHON] + h->parts[PART_NATIVE] + h->parts[PART_GC];
	double cpu = (double)(t->before.cpu_ns - t->first.cpu_ns) / 1e9, seen = h->end - t->first_at;
	if (!t->sampled)
		return;
	h->major_faults = t->before.major_faults - t->first.major_faults;
	if (!isnan(t->throttled))
		h->throttled = eye_throttled(t->peek.eye.pid) - t->throttled;
	if (t->key == KEY_STARVED) {
		h->parts[PART_STARVED] = h->end - h->start;
		return;
	}
	double idle = ran < seen ? ran : seen;
	if (t->before.cpu_ns && idle - cpu > STARVED_S && ran > 0) {
		double lacked = idle - cpu;
		for (enum hold_part p = PART_PYTHON; p <= PART_GC; p++)
			if (p == PART_PYTHON || p == PART_NATIVE || p == PART_GC)
				h->parts[p] -= lacked * h->parts[p] / ran;
		h->parts[PART_STARVED] += lacked;
	}
}

void track_hold(const struct track *t, double now, struct hold *out)
{
	*out = t->hold;
	out->end = now;
	settle(t, out);
}

static bool finish(struct track *t, const struct glance *g, double now, double over, struct hold *ended)
{
	double end = t->last + (now - t->last) / 2;
	/* The next turn has begun since. */
	if (g->where == PEEK_STEP && g->began > t->last && g->began < end)
		end = g->began;
	track_hold(t, end, ended);
	ended->ended = true;
	t->key = 0;
	return !t->dropped && hold_seconds(ended) >= over;
}

enum track_news track_peek(struct track *t, double now, double over, struct hold *ended)
{
	struct glance g;
	enum track_news news = TRACK_NOTHING;
	peek_turn(&t->peek, &g);
	if (g.where == PEEK_UNKNOWN) {
		t->unseen++;
		return TRACK_NOTHING; /* a hold goes on until something else is seen */
	}
	t->unseen = 0;
	uint64_t key = key_of(t, &g, now);
	if (t->key && key != t->key && finish(t, &g, now, over, ended))
		news = TRACK_END;
	if (key && key != t->key)
		begin(t, &g, key, now);
	double held = t->key ? now - t->hold.start : 0;
	if (t->key && held > over * SAMPLE_PART)
		sample(t, &g, now);
	t->last = now;
	if (news || !t->key || held < over || t->dropped)
		return news;
	if (t->over && held < 2 * t->marked)
		return TRACK_NOTHING;
	news = t->over ? TRACK_STILL : TRACK_OVER;
	t->over = true;
	t->marked = held;
	return news;
}

bool track_close(const struct track *t, double now, double over)
{
	double held = t->key ? now - t->hold.start : 0;
	return held > over * SAMPLE_PART && held < 20 * over;
}

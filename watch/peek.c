#include "watch/peek.h"

#include <string.h>
#include <sys/syscall.h>

/* How far up a stack the frame of _run_once() is looked for; of deeper ones it is not known. */
#define FRAMES_MAX 512
/* uv_loop_t.time, in milliseconds: behind the timers' heap and counter (libuv's uv/unix.h
 * from 1.42 on, which all of uvloop 0.15 and later have in them). */
#define UV_TIME 544

err_t peek_open(struct peek *p, const struct python *py, const struct turning *of)
{
	*p = (struct peek){ .of = *of, .l = &py->layout, .runtime = py->runtime };
	return eye_open(py->target, of->thread, &p->eye);
}

static bool word(struct peek *p, uint64_t addr, int32_t offset, uint64_t *v)
{
	struct eye_part part = { addr + (uint64_t)offset, v, sizeof *v };
	return offset >= 0 && eye_read(&p->eye, &part, 1);
}

static uint64_t untagged(const struct peek *p, uint64_t bits)
{
	return p->l->stackref_mask > 0 ? bits & ~(uint64_t)p->l->stackref_mask : bits;
}

static int32_t code_offset(const struct py_layout *l)
{
	return l->frame_objects ? l->frame_code : l->iframe_executable;
}

static bool top_frame(struct peek *p, uint64_t *frame)
{
	const struct py_layout *l = p->l;
	uint64_t cframe;
	if (l->tstate_frame >= 0)
		return word(p, p->of.tstate, l->tstate_frame, frame);
	if (l->tstate_current_frame >= 0)
		return word(p, p->of.tstate, l->tstate_current_frame, frame);
	return word(p, p->of.tstate, l->tstate_cframe, &cframe) && word(p, cframe, l->cframe_current_frame, frame);
}

/* The frame of _run_once() on the thread's stack, where it is not where it was. */
static bool find_frame(struct peek *p)
{
	int32_t back = p->l->frame_objects ? p->l->frame_back : p->l->iframe_previous;
	uint64_t frame, code;
	if (!top_frame(p, &frame))
		return false;
	for (int i = 0; frame && frame % 8 == 0 && i < FRAMES_MAX; i++) {
		uint64_t next;
		struct eye_part parts[] = {
			{ frame + (uint64_t)code_offset(p->l), &code, sizeof code },
			{ frame + (uint64_t)back, &next, sizeof next },
		};
		if (!eye_read(&p->eye, parts, 2))
			return false;
		if (untagged(p, code) == p->of.code) {
			p->of.frame = frame;
			return true;
		}
		frame = next;
	}
	return false;
}

/* Appends what says who has the GIL; how many parts. */
static size_t owner_parts(const struct peek *p, struct eye_part *parts, uint64_t *holder, int32_t *locked)
{
	const struct py_layout *l = p->l;
	*holder = 0;
	*locked = 1;
	if (!p->of.gil)
		return 0;
	if (l->interp_gil < 0) {
		if (l->runtime_tstate_current < 0)
			return 0;
		parts[0] = (struct eye_part){ p->runtime + (uint64_t)l->runtime_tstate_current, holder, sizeof *holder };
		return 1;
	}
	parts[0] = (struct eye_part){ p->of.gil + (uint64_t)l->gil_last_holder, holder, sizeof *holder };
	parts[1] = (struct eye_part){ p->of.gil + (uint64_t)l->gil_locked, locked, sizeof *locked };
	return 2;
}

/* What is read of every loop; `parts` has room for more before it. */
static bool read_with(struct peek *p, struct eye_part *parts, size_t n, struct glance *g)
{
	uint64_t holder;
	int32_t locked, collecting = 0;
	n += owner_parts(p, parts + n, &holder, &locked);
	if (p->of.collecting)
		parts[n++] = (struct eye_part){ p->of.collecting, &collecting, sizeof collecting };
	if (!eye_read(&p->eye, parts, n))
		return false;
	g->owner = locked > 0 ? holder : 0;
	g->collecting = collecting == 1;
	return true;
}

static void uv_turn(struct peek *p, struct glance *g)
{
	struct eye_part parts[EYE_PARTS] = { { p->of.uv + UV_TIME, &g->turn, sizeof g->turn } };
	if (!read_with(p, parts, 1, g) || !peek_thread(p, g))
		return;
	g->began = (double)g->turn / 1e3;
	/* It waits in epoll alone, and what runs in a step of it as good as never does. */
	g->where = g->thread.call == SYS_epoll_wait || g->thread.call == SYS_epoll_pwait ? PEEK_REST : PEEK_STEP;
}

void peek_turn(struct peek *p, struct glance *g)
{
	uint64_t code = 0, end_time = 0;
	*g = (struct glance){ .where = PEEK_UNKNOWN, .began = __builtin_nan(""), .thread.call = -1 };
	if (p->of.uv) {
		uv_turn(p, g);
		return;
	}
	for (int tries = 0; tries < 2; tries++) {
		struct eye_part parts[EYE_PARTS] = {
			{ p->of.frame + (uint64_t)code_offset(p->l), &code, sizeof code },
			{ p->of.frame + (uint64_t)p->of.end_time, &end_time, sizeof end_time },
		};
		if (read_with(p, parts, 2, g) && untagged(p, code) == p->of.code)
			break;
		if (tries || !find_frame(p))
			return;
	}
	end_time = untagged(p, end_time);
	g->where = PEEK_REST;
	if (!end_time)
		return;
	g->where = word(p, end_time, p->l->float_value, &g->turn) ? PEEK_STEP : PEEK_UNKNOWN;
	memcpy(&g->began, &g->turn, sizeof g->began);
}

bool peek_thread(struct peek *p, struct glance *g)
{
	return eye_thread(&p->eye, &g->thread);
}

void peek_frame(struct peek *p, struct glance *g)
{
	const struct py_layout *l = p->l;
	int32_t lasti;
	g->frame = g->instr = 0;
	if (!top_frame(p, &g->frame) || !g->frame)
		return;
	struct eye_part part = { g->frame + (uint64_t)l->frame_lasti, &lasti, sizeof lasti };
	if (!l->frame_objects)
		word(p, g->frame, l->iframe_instr, &g->instr);
	else if (eye_read(&p->eye, &part, 1))
		g->instr = (uint32_t)lasti;
}

bool peek_wants_gil(const struct peek *p, const struct glance *g)
{
	/* The condition that it sleeps for is part of the GIL. */
	return p->of.gil && g->thread.call == SYS_futex && g->thread.args[0] - p->of.gil < p->of.gil_size;
}

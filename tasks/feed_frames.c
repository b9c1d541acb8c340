/* The frames and stacks that events refer to. Code objects are read out of the running
 * process: what was read of it before is forgotten first, once for all the events that are read
 * in one go. */
#include "tasks/feed_inside.h"

#include <stdlib.h>

#include "attach/act.h"

#define FRAMES_MAX (1u << 16)    /* that are remembered; of more, nothing is known */
#define STACKS_MAX (1u << 16)
#define DEPTH_MAX 128            /* as deep as the agent's are */

err_t feed_scratch_begin(struct feed *f)
{
	struct snapshot *s = calloc(1, sizeof *s);
	if (!s || !(s->arena = arena_new())) {
		free(s);
		return ERR_NOMEM;
	}
	s->folders = f->folders;
	f->scratch = (struct walk){ .s = s, .arena = s->arena };
	f->scratch_open = true;
	return reader_init(&f->scratch.r, f->py, s->arena);
}

void feed_scratch_end(struct feed *f)
{
	struct snapshot *s = f->scratch.s;
	if (!f->scratch_open)
		return;
	walk_free(&f->scratch);
	snapshot_free(s);
	f->scratch_open = false;
}

static const char *own(struct feed *f, const char *s)
{
	return s ? arena_str(f->arena, s) : NULL;
}

void feed_scratch_folders(struct feed *f)
{
	walk_interpreters(&f->scratch);
	walk_folders(&f->scratch);
	f->folders.asyncio = own(f, f->scratch.s->folders.asyncio);
	f->folders.stdlib = own(f, f->scratch.s->folders.stdlib);
}

static bool refresh(struct feed *f)
{
	if (f->refreshed && f->scratch_open)
		return true;
	feed_scratch_end(f);
	err_t e = target_thaw(f->target);
	if (!e)
		e = feed_scratch_begin(f);
	f->refreshed = !e;
	err_free(e);
	return f->refreshed;
}

static struct frame *read_frame(struct feed *f, uint64_t packed)
{
	uint64_t half = packed >> AGENT_FRAME_LASTI_SHIFT;
	int64_t lasti = half == AGENT_FRAME_LASTI_NONE ? -1 : (int64_t)half * 2;
	const struct code *c = refresh(f) ? code_at(&f->scratch.r, AGENT_CODE(packed)) : NULL;
	const struct frame *found = c ? walk_frame(&f->scratch, c, lasti) : NULL;
	struct frame *frame = found ? arena_dup(f->arena, found, sizeof *found) : NULL;
	if (frame) {
		frame->function = own(f, found->function);
		frame->file = own(f, found->file);
	}
	return frame;
}

const struct frame *feed_frame(struct feed *f, uint64_t packed)
{
	uint64_t known = 0;
	if (!packed || map_get(&f->frames, packed, &known))
		return (const struct frame *)(uintptr_t)known;
	if (f->frames.n >= FRAMES_MAX || arena_used(f->arena) > 64u << 20)
		return NULL;
	struct frame *frame = read_frame(f, packed);
	map_set(&f->frames, packed, (uint64_t)(uintptr_t)frame);
	return frame;
}

void feed_nodes_seen(struct feed *f, uint32_t used, uint64_t started)
{
	/* Nodes are given up only when there is no other left. */
	bool move = used >= f->header.pools[POOL_NODES].capacity || started != f->header.started_mono;
	if (move || f->nodes_move)
		map_free(&f->stacks);
	f->nodes_move = move;
}

static struct stack *read_stack(struct feed *f, uint32_t node)
{
	const struct agent_pool *p = &f->header.pools[POOL_NODES];
	const struct frame *frames[DEPTH_MAX];
	struct agent_node n;
	size_t depth = 0;
	for (uint32_t i = node; i && depth < DEPTH_MAX; i = n.parent) {
		if (i >= p->capacity || !target_peek(f->target, p->addr + (uint64_t)i * sizeof n, &n, sizeof n) || !n.code)
			break;
		uint64_t half = n.lasti >= 0 && n.lasti / 2 < (int32_t)AGENT_FRAME_LASTI_NONE ? (uint64_t)n.lasti / 2
											    : AGENT_FRAME_LASTI_NONE;
		const struct frame *frame = feed_frame(f, AGENT_CODE(n.code) | half << AGENT_FRAME_LASTI_SHIFT);
		if (frame)
			frames[depth++] = frame;
	}
	struct stack *s = arena_alloc(f->arena, sizeof *s);
	const struct frame **v = arena_array(f->arena, depth, sizeof *v);
	for (size_t i = 0; v && i < depth; i++)
		v[i] = frames[depth - 1 - i];
	if (s)
		*s = (struct stack){ .frames = v, .n = v ? depth : 0 };
	return s;
}

const struct stack *feed_stack(struct feed *f, uint32_t node)
{
	static const struct stack none;
	uint64_t known;
	if (!node)
		return &none;
	if (map_get(&f->stacks, node, &known))
		return (const struct stack *)(uintptr_t)known;
	if (f->stacks.n >= STACKS_MAX || arena_used(f->arena) > 64u << 20)
		return &none;
	struct stack *s = read_stack(f, node);
	if (!s)
		return &none;
	map_set(&f->stacks, node, (uint64_t)(uintptr_t)s);
	return s;
}

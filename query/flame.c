#include "query/flame.h"

#include <string.h>

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

static uint64_t hash_text(uint64_t h, const char *s)
{
	for (; s && *s; s++)
		h = mix(h, (uint8_t)*s);
	return mix(h, s ? 256 : 257);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_frame(const struct flame_frame *a, const struct flame_frame *b)
{
	return a->line == b->line && same_text(a->name, b->name) && same_text(a->file, b->file);
}

err_t flame_make(struct flame *f, const char *title, const char *unit)
{
	*f = (struct flame){ .title = title, .unit = unit };
	return vec_push(&f->nodes, (struct flame_node){ 0 }) ? NULL : ERR_NOMEM;
}

void flame_free(struct flame *f)
{
	vec_free(&f->frames);
	vec_free(&f->nodes);
	vec_free(&f->same_hash);
	map_free(&f->by_frame);
	map_free(&f->by_step);
}

static err_t frame_index(struct flame *f, const struct flame_frame *frame, uint32_t *out)
{
	uint64_t h = hash_text(hash_text(mix(1, (uint64_t)frame->line), frame->name), frame->file) | 1, last = 0;
	map_get(&f->by_frame, h, &last);
	for (uint64_t i = last; i; i = f->same_hash.v[i - 1])
		if (same_frame(&f->frames.v[i - 1], frame)) {
			*out = (uint32_t)(i - 1);
			return NULL;
		}
	*out = (uint32_t)f->frames.n;
	if (!vec_push(&f->frames, *frame) || !vec_push(&f->same_hash, (uint32_t)last) ||
	    !map_set(&f->by_frame, h, f->frames.n))
		return ERR_NOMEM;
	return NULL;
}

err_t flame_step(struct flame *f, uint32_t *node, struct flame_frame frame)
{
	uint32_t index, from = *node;
	uint64_t to;
	if (f->nodes.v[from].depth >= FLAME_DEPTH_MAX) {
		f->cut = true;
		return NULL;
	}
	TRY(frame_index(f, &frame, &index));
	uint64_t key = (uint64_t)from << 32 | (index + 1);
	if (map_get(&f->by_step, key, &to)) {
		*node = (uint32_t)to;
		return NULL;
	}
	if (f->nodes.n >= UINT32_MAX)
		return ERR_NOMEM;
	*node = (uint32_t)f->nodes.n;
	struct flame_node n = { .parent = from, .frame = index, .depth = f->nodes.v[from].depth + 1 };
	return vec_push(&f->nodes, n) && map_set(&f->by_step, key, *node) ? NULL : ERR_NOMEM;
}

void flame_weigh(struct flame *f, uint32_t node, uint64_t weight)
{
	f->nodes.v[node].self += weight;
}

err_t flame_add(struct flame *f, const struct flame_frame *stack, size_t n, uint64_t weight)
{
	uint32_t node = 0;
	for (size_t i = 0; i < n; i++)
		TRY(flame_step(f, &node, stack[i]));
	flame_weigh(f, node, weight);
	return NULL;
}

/* Heavier ones first, those alike in the order in which they came. Merging lists takes no
 * memory, and siblings can be very many. */
static uint32_t merge(struct flame_node *v, uint32_t a, uint32_t b)
{
	uint32_t first = 0, *at = &first;
	while (a && b) {
		uint32_t *less = v[b].total > v[a].total ? &b : &a;
		*at = *less;
		at = &v[*less].next;
		*less = *at;
	}
	*at = a ? a : b;
	return first;
}

static uint32_t sort_siblings(struct flame_node *v, uint32_t first)
{
	uint32_t runs[32] = { 0 };
	while (first) {
		uint32_t one = first, i = 0;
		first = v[one].next;
		v[one].next = 0;
		for (; i < 31 && runs[i]; i++) {
			one = merge(v, runs[i], one);
			runs[i] = 0;
		}
		runs[i] = merge(v, runs[i], one);
	}
	uint32_t all = 0;
	for (size_t i = 0; i < 32; i++)
		all = merge(v, runs[i], all);
	return all;
}

void flame_finish(struct flame *f)
{
	struct flame_node *v = f->nodes.v;
	for (size_t i = f->nodes.n; i-- > 0;) {
		v[i].total += v[i].self;
		if (!i)
			break;
		v[v[i].parent].total += v[i].total;
		v[i].next = v[v[i].parent].first;
		v[v[i].parent].first = (uint32_t)i;
	}
	for (size_t i = 0; i < f->nodes.n; i++)
		v[i].first = sort_siblings(v, v[i].first);
}

/* How long steps took, as the agent counted them. */
#include "tasks/history.h"

#include <math.h>

_Static_assert(HISTOGRAM_BUCKETS == AGENT_BUCKETS, "buckets");

static bool sane(const struct agent_header *h)
{
	const struct agent_profiles *p = &h->profiles;
	return p->item_size == sizeof(struct agent_profile) && p->used <= AGENT_PROFILES && p->addr >= h->self &&
	       p->addr - h->self <= h->total && AGENT_PROFILES * sizeof(struct agent_profile) <= h->total - (p->addr - h->self);
}

static bool add(struct history *hi, uint32_t i, struct histogram *to)
{
	struct agent_profile p;
	if (!image_read(hi->w->r.img, hi->h.profiles.addr + (uint64_t)i * sizeof p, &p, sizeof p))
		return false;
	to->count += p.steps;
	to->sum += (double)p.busy / 1e9;
	for (int b = 0; b < HISTOGRAM_BUCKETS; b++)
		to->buckets[b] += p.buckets[b];
	return true;
}

const struct histogram *history_steps(struct history *hi, uint8_t profile)
{
	struct histogram *h;
	if (!profile || hi->h.version != AGENT_VERSION || !sane(&hi->h) || profile >= hi->h.profiles.used)
		return NULL;
	if (!hi->steps[profile] && (h = arena_alloc(hi->w->arena, sizeof *h)) && add(hi, profile, h))
		hi->steps[profile] = h;
	return hi->steps[profile];
}

const struct histogram *history_all_steps(struct history *hi)
{
	struct histogram *h = NULL;
	if (hi->h.version != AGENT_VERSION || !sane(&hi->h) || !(h = arena_alloc(hi->w->arena, sizeof *h)))
		return NULL;
	for (uint32_t i = 0; i < hi->h.profiles.used; i++)
		if (!add(hi, i, h))
			return NULL;
	return h;
}

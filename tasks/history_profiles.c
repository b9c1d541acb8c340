/* How long steps took, as the agent counted them. */
#include "tasks/history.h"

static bool sane(const struct agent_header *h)
{
	const struct agent_profiles *p = &h->profiles;
	return p->item_size == sizeof(struct agent_profile) && p->used <= AGENT_PROFILES && p->addr >= h->self &&
	       p->addr - h->self <= h->total && AGENT_PROFILES * sizeof(struct agent_profile) <= h->total - (p->addr - h->self);
}

/* A histogram and its buckets in one piece. */
struct steps { struct histogram h; uint64_t buckets[AGENT_BUCKETS]; };

static struct steps *steps_new(struct history *hi)
{
	struct steps *s = arena_alloc(hi->w->arena, sizeof *s);
	if (s)
		s->h = (struct histogram){ .buckets = s->buckets, .nbuckets = AGENT_BUCKETS };
	return s;
}

static bool add(struct history *hi, uint32_t i, struct steps *to)
{
	struct agent_profile p;
	if (!image_read(hi->w->r.img, hi->h.profiles.addr + (uint64_t)i * sizeof p, &p, sizeof p))
		return false;
	to->h.count += p.steps;
	to->h.sum += (double)p.busy / 1e9;
	for (int b = 0; b < AGENT_BUCKETS; b++)
		to->buckets[b] += p.buckets[b];
	return true;
}

const struct histogram *history_steps(struct history *hi, uint8_t profile)
{
	struct steps *s;
	if (!profile || hi->h.version != AGENT_VERSION || !sane(&hi->h) || profile >= hi->h.profiles.used)
		return NULL;
	if (!hi->steps[profile] && (s = steps_new(hi)) && add(hi, profile, s))
		hi->steps[profile] = &s->h;
	return hi->steps[profile];
}

const struct histogram *history_all_steps(struct history *hi)
{
	struct steps *s = NULL;
	if (hi->h.version != AGENT_VERSION || !sane(&hi->h) || !(s = steps_new(hi)))
		return NULL;
	for (uint32_t i = 0; i < hi->h.profiles.used; i++)
		if (!add(hi, i, s))
			return NULL;
	return &s->h;
}

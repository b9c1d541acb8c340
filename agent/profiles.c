/* How long steps take, by the code of the task's coroutine: a table of fixed size, whose first
 * entry takes what there is no room for. All under the lock. */
#include "agent/agent.h"

#include <string.h>

static uint32_t place_of(uint64_t code)
{
	return (uint32_t)(code * 0x9e3779b97f4a7c15ull >> 48) & (PROFILE_PLACES - 1);
}

uint8_t profile_of(uint64_t code)
{
	struct agent_profiles *all = &agent->profiles;
	uint32_t at = place_of(code);
	if (!code)
		return 0;
	/* There are more places than profiles. */
	for (; agent_private->profile_places[at]; at = (at + 1) & (PROFILE_PLACES - 1))
		if (profile_at(agent_private->profile_places[at])->code == code)
			return agent_private->profile_places[at];
	if (all->used == AGENT_PROFILES)
		return 0;
	/* Kept for ever, so that its address means the same code. */
	Py_IncRef((PyObject *)(uintptr_t)code);
	uint8_t i = (uint8_t)all->used;
	*profile_at(i) = (struct agent_profile){ .code = code };
	agent_private->profile_places[at] = i;
	__atomic_store_n(&all->used, i + 1u, __ATOMIC_RELEASE);
	return i;
}

void profile_stepped(uint8_t i, uint64_t took)
{
	struct agent_profile *p = profile_at(i);
	unsigned bucket = took < AGENT_BUCKET_FIRST ? 0 : 64u - (unsigned)__builtin_clzll(took / AGENT_BUCKET_FIRST);
	p->steps++;
	p->busy += took;
	p->buckets[bucket < AGENT_BUCKETS ? bucket : AGENT_BUCKETS - 1]++;
}

void profiles_reset(void)
{
	memset(agent_private->profile_places, 0, sizeof agent_private->profile_places);
	agent->profiles.used = 1;
}

#include "base/oom.h"

#include <stdatomic.h>

static atomic_bool noted;

void oom_note(void)
{
	atomic_store(&noted, true);
}

bool oom_noted(void)
{
	return atomic_exchange(&noted, false);
}

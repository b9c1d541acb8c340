#include "attach/urgent.h"

#include <pthread.h>
#include <sched.h>

#include "base/clock.h"

/* Some copies of what is copied whole without a second thought (tasks/take.c). */
#define URGENT_NS 50000000ll

static _Thread_local int64_t until;   /* 0: as everybody */

void urgent_begin(void)
{
	struct sched_param first = { .sched_priority = 1 };
	if (until || pthread_setschedparam(pthread_self(), SCHED_RR, &first) == 0)
		until = now_ns() + URGENT_NS;
}

void urgent_check(void)
{
	struct sched_param none = { 0 };
	if (until && now_ns() > until) {
		pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
		until = 0;
	}
}

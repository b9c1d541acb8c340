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
	if (until || pthread_setschedparam(pthread_self(), SCHED_RR | SCHED_RESET_ON_FORK, &first) == 0)
		until = now_ns() + URGENT_NS;
}

void urgent_end(void)
{
	struct sched_param none = { 0 };
	/* That flag stays: without CAP_SYS_NICE it cannot be taken back. */
	if (until)
		pthread_setschedparam(pthread_self(), SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
	until = 0;
}

bool urgent_is(void)
{
	return until != 0;
}

void urgent_check(void)
{
	if (until && now_ns() > until)
		urgent_end();
}

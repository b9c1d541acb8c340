/* CLOCK_MONOTONIC, at half the price: the time stamp counter, set right by the clock once
 * a second, where the kernel itself keeps time by it. Each thread has its own base. */
#include "agent/agent.h"

#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define LEARN_NS 20000000u       /* the counter's rate is taken over at least this */
#define BASELINE_NS 4000000000u  /* and at most about this */
#define RESYNC_NS 1000000000u

static bool tsc_is_the_clock;
static __thread struct {
	uint64_t tsc, ns, ticks; /* base; how many ticks it is good for, 0: not yet */
	uint64_t mult;           /* nanoseconds a tick << 32 */
	uint64_t first_tsc, first_ns;
} base;

void clock_begin(void)
{
	char name[8] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		/* No /sys: at least the counter says that it ticks at one rate. */
		unsigned a, b, c, d = 0;
		tsc_is_the_clock = __get_cpuid(0x80000007, &a, &b, &c, &d) && d & 1u << 8;
		return;
	}
	tsc_is_the_clock = read(fd, name, sizeof name - 1) >= 4 && memcmp(name, "tsc\n", 4) == 0;
	close(fd);
}

uint64_t clock_ns(int clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline)) uint64_t resync(void)
{
	uint64_t tsc = __rdtsc(), ns = clock_ns(CLOCK_MONOTONIC);
	if (!tsc_is_the_clock)
		return ns;
	uint64_t dt = tsc - base.first_tsc, dn = ns - base.first_ns;
	/* The first time, after a long rest, or when the counter went back. */
	if (!base.first_tsc || dn > 4ull * BASELINE_NS || tsc < base.first_tsc) {
		base.first_tsc = tsc;
		base.first_ns = ns;
		base.ticks = 0;
	} else if (dn >= LEARN_NS && dt) {
		base.mult = (uint64_t)(((unsigned __int128)dn << 32) / dt);
		base.ticks = (uint64_t)((unsigned __int128)dt * RESYNC_NS / dn);
		if (dn > BASELINE_NS) {
			base.first_tsc = tsc;
			base.first_ns = ns;
		}
	}
	base.tsc = tsc;
	base.ns = ns;
	return ns;
}

uint64_t agent_now(void)
{
	uint64_t d = __rdtsc() - base.tsc;
	if (likely(d < base.ticks))
		return base.ns + (uint64_t)((unsigned __int128)d * base.mult >> 32);
	return resync();
}

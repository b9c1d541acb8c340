/* CLOCK_MONOTONIC, at a fraction of the price: the time stamp counter, set right by the
 * clock ten times a second, where the processor says that it ticks at one rate and the
 * kernel keeps time by it. Each thread has its own base. What the counter predicted is
 * compared with the clock each time: one that is wrong again and again is not used any
 * more (counters of processors that differ, a virtual machine that was moved). */
#include "agent/agent.h"

#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define LEARN_NS 20000000u       /* the counter's rate is taken over at least this */
#define BASELINE_NS 4000000000u  /* and at most about this */
#define RESYNC_NS 100000000u
#define SLACK_NS 100000u         /* how wrong a prediction may be, */
#define SLACK_RATE 1000          /* and one part in so many more: clocks are slewed */
#define WRONG_MAX 3u
#define NARROW 20000u            /* ticks: a reading of both that was not interrupted */

static bool counter_is_good;
static unsigned wrong;
static __thread struct {
	uint64_t tsc, ns, ticks; /* base; how many ticks it is good for, 0: not yet */
	uint64_t mult;           /* nanoseconds a tick << 32 */
	uint64_t first_tsc, first_ns;
} base;

/* Clocks of the kernel that are the counter, scaled. */
static bool kernel_uses_counter(void)
{
	static const char *const by_counter[] = { "tsc\n", "kvm-clock\n", "hyperv_clocksource_tsc_page\n" };
	char name[64];
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true; /* no /sys: the processor's word, and the comparisons */
	ssize_t n = read(fd, name, sizeof name);
	close(fd);
	for (size_t i = 0; i < sizeof by_counter / sizeof *by_counter; i++)
		if (n == (ssize_t)strlen(by_counter[i]) && memcmp(name, by_counter[i], (size_t)n) == 0)
			return true;
	return false;
}

void clock_begin(void)
{
	unsigned a, b, c, d = 0;
	counter_is_good = __get_cpuid(0x80000007, &a, &b, &c, &d) && d & 1u << 8 && kernel_uses_counter();
}

uint64_t clock_ns(int clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Both at one instant, as well as can be. */
static uint64_t read_both(uint64_t *tsc)
{
	uint64_t ns = *tsc = 0, narrowest = UINT64_MAX;
	for (int i = 0; i < 4 && narrowest > NARROW; i++) {
		uint64_t before = __rdtsc(), now = clock_ns(CLOCK_MONOTONIC), width = __rdtsc() - before;
		if (width < narrowest) {
			narrowest = width;
			*tsc = before + width / 2;
			ns = now;
		}
	}
	return ns;
}

static inline uint64_t predicted(uint64_t ticks)
{
	return base.ns + (uint64_t)((unsigned __int128)ticks * base.mult >> 32);
}

static bool is_wrong(uint64_t tsc, uint64_t ns)
{
	if (!base.ticks)
		return false;
	int64_t off = (int64_t)(predicted(tsc - base.tsc) - ns);
	uint64_t slack = SLACK_NS + (ns - base.ns) / SLACK_RATE;
	return tsc < base.tsc || (uint64_t)(off < 0 ? -off : off) > slack;
}

static void learn(uint64_t tsc, uint64_t ns)
{
	uint64_t dt = tsc - base.first_tsc, dn = ns - base.first_ns;
	if (dn < LEARN_NS || !dt)
		return;
	base.mult = (uint64_t)(((unsigned __int128)dn << 32) / dt);
	base.ticks = (uint64_t)((unsigned __int128)dt * RESYNC_NS / dn);
	if (dn > BASELINE_NS) {
		base.first_tsc = tsc;
		base.first_ns = ns;
	}
}

static __attribute__((noinline)) uint64_t resync(void)
{
	uint64_t tsc, ns;
	if (!counter_is_good)
		return clock_ns(CLOCK_MONOTONIC);
	ns = read_both(&tsc);
	bool bad = is_wrong(tsc, ns);
	if (bad && ++wrong >= WRONG_MAX)
		counter_is_good = false;
	/* The first time, after a long rest, or when the counter is another one. */
	if (bad || !base.first_tsc || tsc < base.first_tsc || ns - base.first_ns > 4ull * BASELINE_NS) {
		base.first_tsc = tsc;
		base.first_ns = ns;
		base.ticks = 0;
	} else {
		learn(tsc, ns);
	}
	if (!counter_is_good)
		base.ticks = 0;
	base.tsc = tsc;
	base.ns = ns;
	return ns;
}

uint64_t agent_now(void)
{
	uint64_t d = __rdtsc() - base.tsc;
	if (likely(d < base.ticks))
		return predicted(d);
	return resync();
}

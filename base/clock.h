/* The clock that all waiting, and all measuring of ourselves, goes by. */
#ifndef ASYNCMON_BASE_CLOCK_H
#define ASYNCMON_BASE_CLOCK_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

/* Of CLOCK_MONOTONIC. */
static inline int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static inline int64_t now_ms(void)
{
	return now_ns() / 1000000;
}

static inline double now_seconds(void)
{
	return (double)now_ns() / 1e9;
}

/* All of it, whatever signals are handled meanwhile. */
static inline void sleep_seconds(double s)
{
	struct timespec left = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

#endif

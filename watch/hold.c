#include "watch/hold.h"

#include <math.h>
#include <string.h>
#include <sys/syscall.h>

const char *hold_state_name(enum hold_state s)
{
	static const char *const names[] = { "python", "native", "syscall", "gil", "gc", "stopped", "throttled", "starved" };
	return names[s];
}

enum hold_state hold_state(const struct hold *h)
{
	static const enum hold_state of[] = {
		[PART_PYTHON] = HOLD_PYTHON, [PART_NATIVE] = HOLD_NATIVE, [PART_SYSCALL] = HOLD_SYSCALL,
		[PART_GIL] = HOLD_GIL, [PART_GC] = HOLD_GC, [PART_STOPPED] = HOLD_STOPPED,
	};
	enum hold_part most = PART_PYTHON;
	double ran = 0;
	for (enum hold_part p = 0; p < PART_STARVED; p++) {
		if (h->parts[p] > h->parts[most])
			most = p;
		ran += h->parts[p];
	}
	/* Throttled time is summed over processors, and counts only where this thread lacked one. */
	double lacked = h->parts[PART_STARVED];
	if (!isnan(h->throttled) && h->throttled >= lacked / 2 && lacked > h->parts[most])
		return HOLD_THROTTLED;
	return ran == 0 && lacked > 0 && !h->in_step ? HOLD_STARVED : of[most];
}

/* Those whose first argument is a descriptor that they may wait for. */
static bool on_descriptor(long number)
{
	static const long calls[] = {
		SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
		SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_sendfile, SYS_connect, SYS_accept, SYS_accept4,
		SYS_fsync, SYS_fdatasync, SYS_flock, SYS_fcntl, SYS_ioctl, SYS_epoll_wait, SYS_epoll_pwait,
		SYS_ftruncate, SYS_fallocate, SYS_getdents64, SYS_splice, SYS_recvmmsg, SYS_sendmmsg,
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (calls[i] == number)
			return true;
	return false;
}

void hold_add_call(struct hold *h, const struct eye *eye, long number, uint64_t arg, double seconds)
{
	int fd = on_descriptor(number) ? (int)arg : -1;
	size_t i = 0, least = 0;
	for (; i < h->ncalls; i++) {
		if (h->calls[i].number == number && h->calls[i].fd == fd)
			break;
		if (h->calls[i].seconds < h->calls[least].seconds)
			least = i;
	}
	if (i == HOLD_CALLS)
		i = least;
	if (i == h->ncalls || h->calls[i].number != number || h->calls[i].fd != fd) {
		h->ncalls += i == h->ncalls;
		h->calls[i] = (struct hold_call){ .number = number, .fd = fd };
		if (fd < 0 || !eye_fd(eye, fd, h->calls[i].on, sizeof h->calls[i].on))
			h->calls[i].on[0] = '\0';
	}
	h->calls[i].seconds += seconds;
}

void hold_add_owner(struct hold *h, uint64_t tstate, double seconds)
{
	size_t i = 0;
	while (i < h->nowners && h->owners[i].tstate != tstate)
		i++;
	if (i == HOLD_CALLS)
		return;
	if (i == h->nowners) {
		h->owners[i].tstate = tstate;
		h->owners[i].seconds = 0;
		h->nowners++;
	}
	h->owners[i].seconds += seconds;
}

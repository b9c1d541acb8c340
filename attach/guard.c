#include "attach/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How soon the guardian notices that we were stopped. */
#define LOOK_MS 10
/* How long the end of the tracer thread is waited for before we die. */
#define LET_GO_NS 200000000
#define LET_GO_STEP_NS 100000

/* Ends the tracer thread, whatever it does. */
#define SIG_LET_GO (SIGRTMAX - 3)

/* Seen by both processes. */
struct shared {
	atomic_bool held;
	atomic_bool continued;   /* we were stopped, and continued by the guardian */
};

static struct shared *shared;
static pid_t guardian_pid, guardian_of;
static int wake_fd = -1;
static _Atomic pid_t tracer;
static int dumpable_before;

static const int fatal[] = { SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGTERM, SIGSYS,
			     SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGTRAP };
#define FATAL_N (sizeof fatal / sizeof *fatal)
static struct sigaction before[FATAL_N];

/* True when the process of that /proc/PID/stat is stopped by a signal. */
static bool stopped(const char *stat_path)
{
	char text[512];
	int fd = open(stat_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *p = strrchr(text, ')');
	return p && p[1] == ' ' && p[2] == 'T';
}

/* The guardian: a copy of a process with threads, so it makes system calls and no more. */
static void guardian(int fd, pid_t us, const char *stat_path)
{
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "asyncmon-guard");
	if (fd != 0)
		dup2(fd, 0);
	close_range(1, ~0u, 0);
	for (;;) {
		char c;
		struct pollfd p = { .fd = 0, .events = POLLIN };
		int n = poll(&p, 1, atomic_load(&shared->held) ? LOOK_MS : -1);
		/* The other end is closed when we end. */
		if (n > 0 && read(0, &c, 1) <= 0)
			_exit(0);
		if (n == 0 && atomic_load(&shared->held) && stopped(stat_path)) {
			atomic_store(&shared->continued, true);
			kill(us, SIGCONT);
		}
	}
}

/* It is collected by us where that can be: a container's first process may collect none. */
static void guardian_end(void)
{
	if (guardian_pid <= 0 || guardian_of != getpid())
		return;
	kill(guardian_pid, SIGKILL);
	while (waitpid(guardian_pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

void guard_start(void)
{
	int ends[2];
	char stat_path[32];
	pid_t us = getpid();
	if (guardian_of == us)
		return;
	guardian_of = us;
	wake_fd = -1;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		shared = NULL;
	if (!shared || pipe2(ends, O_CLOEXEC) < 0)
		return;
	snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", (int)us);
	/* Without a signal at its end: nobody who waits for children of his meets it. */
	guardian_pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
	if (guardian_pid == 0)
		guardian(ends[0], us, stat_path);
	close(ends[0]);
	wake_fd = ends[1];
	fcntl(wake_fd, F_SETFL, O_NONBLOCK);
	atexit(guardian_end);
}

static void on_let_go(int sig)
{
	(void)sig;
	/* The kernel lets go of all that a thread traced when it ends. */
	if (atomic_load(&tracer) == (pid_t)syscall(SYS_gettid))
		syscall(SYS_exit, 0);
}

static void on_fatal(int sig)
{
	pid_t us = getpid(), tid = atomic_load(&tracer);
	signal(sig, SIG_DFL);
	if (tid == (pid_t)syscall(SYS_gettid)) {
		syscall(SYS_tgkill, us, us, sig);
		on_let_go(sig);
	}
	for (long ns = 0; tid && syscall(SYS_tgkill, us, tid, ns ? 0 : SIG_LET_GO) == 0 && ns < LET_GO_NS;
	     ns += LET_GO_STEP_NS)
		nanosleep(&(struct timespec){ .tv_nsec = LET_GO_STEP_NS }, NULL);
	/* Blocked until this returns; a fault happens again then. */
	syscall(SYS_tgkill, us, syscall(SYS_gettid), sig);
}

void guard_hold(void)
{
	struct sigaction ours = { .sa_handler = on_fatal };
	sigfillset(&ours.sa_mask);
	dumpable_before = prctl(PR_GET_DUMPABLE);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIG_LET_GO, on_let_go);
	for (size_t i = 0; i < FATAL_N; i++) {
		/* Who handles it himself goes on, and the target is let go in time. */
		sigaction(fatal[i], NULL, &before[i]);
		if (before[i].sa_handler == SIG_DFL)
			sigaction(fatal[i], &ours, NULL);
	}
	if (!shared)
		return;
	atomic_store(&shared->held, true);
	if (wake_fd >= 0 && write(wake_fd, "", 1) < 0 && errno == EPIPE)
		wake_fd = -1;
}

void guard_release(void)
{
	for (size_t i = 0; i < FATAL_N; i++)
		if (before[i].sa_handler == SIG_DFL)
			sigaction(fatal[i], &before[i], NULL);
	if (dumpable_before == 1)
		prctl(PR_SET_DUMPABLE, 1);
	if (!shared)
		return;
	atomic_store(&shared->held, false);
	if (atomic_exchange(&shared->continued, false))
		kill(getpid(), SIGSTOP);
}

void guard_tracer_begin(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIG_LET_GO);
	atomic_store(&tracer, (pid_t)syscall(SYS_gettid));
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void guard_tracer_end(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIG_LET_GO);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	atomic_store(&tracer, 0);
}

#include "cmd/lookers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/capture.h"
#include "cmd/command.h"

/* How long to wait for a looker that was killed: one that hangs in the kernel does not end. */
#define KILLED_NS 2000000000ll
#define POLL_MS 20

#define WORDS_MAX 8

struct ask { uint32_t seq; pid_t pid; int look; };
struct reply { uint32_t seq; int outcome; bool agent; };

const char *const look_commands[] = {
	"why", "check", "stacktrace --native --coalesce", "tree --coalesce", "ps-terminated --head 100", NULL
};

/* What the looker has open, for several looks at one process. */
static struct {
	struct capture *cap;
	pid_t pid;
	bool agent;
} opened;

/* As capture_take() would do it; what was seen of the agent is kept. */
static err_t take(struct capture *cap, unsigned what, struct snapshot **out)
{
	TRY(snapshot_take(cap->python, what, out));
	opened.agent = (*out)->agent;
	return NULL;
}

static enum look_outcome open_process(pid_t pid)
{
	static const struct target_opts none;
	char word[24];
	capture_close(opened.cap);
	opened.cap = NULL;
	opened.agent = false;
	opened.pid = pid;
	snprintf(word, sizeof word, "%d", (int)pid);
	err_t e = capture_open(word, &none, &opened.cap);
	if (!e) {
		opened.cap->take = take;
		return LOOK_DONE;
	}
	enum look_outcome out = status_of(e) == STATUS_UNREADABLE ? LOOK_UNREADABLE : LOOK_FAILED;
	command_fail(e, 0, NULL);
	return out;
}

static enum look_outcome look_at(int look)
{
	char line[64], *words[WORDS_MAX], *save = NULL;
	int n = 0;
	snprintf(line, sizeof line, "%s", look_commands[look]);
	for (char *w = strtok_r(line, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	int status = command_run(NULL, opened.cap, n, words);
	/* A finding and a gap in the answer are answers. */
	return status == STATUS_UNREADABLE ? LOOK_UNREADABLE
	     : status == STATUS_ATTACH || status == STATUS_USAGE ? LOOK_FAILED : LOOK_DONE;
}

static void serve(const struct ask *a, int reply_fd)
{
	struct reply r = { .seq = a->seq, .outcome = LOOK_DONE };
	if (a->look == LOOK_OPEN || opened.pid != a->pid)
		r.outcome = open_process(a->pid);
	if (a->look != LOOK_OPEN && r.outcome == LOOK_DONE)
		r.outcome = look_at(a->look - LOOK);
	r.agent = opened.agent;
	if (write(reply_fd, &r, sizeof r) != sizeof r)
		_exit(0);
}

/* Collects all that has ended; false once the next looker has. */
static bool collect(struct lookers_shared *s, pid_t next)
{
	bool lives = next;
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == next)
			lives = false;
		if (pid == atomic_load(&s->command)) {
			atomic_store(&s->status, status);
			atomic_store(&s->ended, true);
		}
	}
	return lives;
}

static _Noreturn void be_looker(struct lookers_shared *s, int level, pid_t next, int ask_fd, int reply_fd,
				int report_fd)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	prctl(PR_SET_NAME, "asyncmon-look");
	for (;;) {
		struct signalfd_siginfo si;
		struct ask a;
		while (read(signals, &si, sizeof si) > 0)
			;
		if (!collect(s, next) && next) {
			next = 0;
			atomic_store(&s->top, level);
		}
		if (!next && atomic_load(&s->ended) && !atomic_load(&s->over))
			_exit(0);
		/* One that has another below it is idle: what is asked is asked of that one. */
		struct pollfd p[] = { { .fd = signals, .events = POLLIN }, { .fd = next ? -1 : ask_fd, .events = POLLIN } };
		if (poll(p, 2, -1) <= 0 || !p[1].revents)
			continue;
		if (read(ask_fd, &a, sizeof a) != sizeof a)
			_exit(0);
		dup2(report_fd, STDOUT_FILENO);
		dup2(report_fd, STDERR_FILENO);
		setenv("PAGER", "", 1);
		serve(&a, reply_fd);
	}
}

/* In the first looker: forks the others and the command. Returns in the latter. */
static void chain(struct lookers_shared *s, int ask_fd, int reply_fd, int report_fd)
{
	for (int level = 0;; level++) {
		bool last = level == LOOKERS - 1;
		atomic_store(&s->pid[level], getpid());
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		pid_t pid = fork();
		if (pid == 0 && last) {
			/* It may end before its parent goes on. */
			atomic_store(&s->command, getpid());
			return;
		}
		if (pid < 0)
			atomic_store(&s->command, -1);
		if (pid > 0 && last)
			atomic_store(&s->command, pid);
		if (pid != 0)
			be_looker(s, level, last || pid < 0 ? 0 : pid, ask_fd, reply_fd, report_fd);
	}
}

err_t lookers_start(struct lookers *l, int report_fd, bool *in_command)
{
	int ask[2] = { -1, -1 }, reply[2] = { -1, -1 };
	*l = (struct lookers){ .ask_fd = -1, .reply_fd = -1 };
	void *p = mmap(NULL, sizeof *l->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	l->shared = p;
	atomic_store(&l->shared->top, LOOKERS - 1);
	bool piped = pipe2(ask, O_CLOEXEC) == 0 && pipe2(reply, O_CLOEXEC) == 0;
	pid_t pid = piped ? fork() : -1;
	int errnum = errno;
	if (pid == 0) {
		close(ask[1]);
		close(reply[0]);
		chain(l->shared, ask[0], reply[1], report_fd);
		*in_command = true;
		return NULL;
	}
	l->ask_fd = ask[1];
	l->reply_fd = reply[0];
	if (ask[0] >= 0)
		close(ask[0]);
	if (reply[1] >= 0)
		close(reply[1]);
	return pid < 0 ? err_errno(E_IO, errnum, "starting the command") : NULL;
}

bool lookers_is_one(const struct lookers *l, pid_t pid)
{
	for (int i = 0; i < LOOKERS; i++)
		if (atomic_load(&l->shared->pid[i]) == pid)
			return true;
	return false;
}

void lookers_collected(struct lookers *l, pid_t pid, int status)
{
	struct lookers_shared *s = l->shared;
	if (pid == atomic_load(&s->pid[0]))
		atomic_store(&s->top, -1);
	if (pid != atomic_load(&s->command))
		return;
	atomic_store(&s->status, status);
	atomic_store(&s->ended, true);
}

/* Only what we wait for: the first looker's end, where it is not collected yet, else
 * nobody's. */
static void notice_first(struct lookers *l)
{
	siginfo_t si = { 0 };
	pid_t first = atomic_load(&l->shared->pid[0]);
	int status;
	if (first > 0 && waitid(P_PID, (id_t)first, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == first &&
	    waitpid(first, &status, WNOHANG) == first)
		lookers_collected(l, first, status);
}

/* The looker that was asked is given up. True: there is another. */
static bool give_up(struct lookers *l, int top)
{
	struct lookers_shared *s = l->shared;
	int64_t end = now_ns() + KILLED_NS;
	if (atomic_load(&s->top) == top)
		kill(atomic_load(&s->pid[top]), SIGKILL);
	while (atomic_load(&s->top) == top && now_ns() < end) {
		poll(NULL, 0, POLL_MS);
		notice_first(l);
	}
	return atomic_load(&s->top) < top && atomic_load(&s->top) >= 0;
}

enum look_outcome lookers_ask(struct lookers *l, pid_t pid, int look, int64_t deadline, bool *agent)
{
	struct ask a = { .seq = ++l->seq, .pid = pid, .look = look };
	int top = atomic_load(&l->shared->top);
	if (top < 0 || write(l->ask_fd, &a, sizeof a) != sizeof a)
		return LOOK_NO_LOOKER;
	while (now_ns() < deadline && atomic_load(&l->shared->top) == top) {
		struct pollfd p = { .fd = l->reply_fd, .events = POLLIN };
		struct reply r;
		if (poll(&p, 1, POLL_MS) > 0) {
			if (read(l->reply_fd, &r, sizeof r) != sizeof r)
				return LOOK_NO_LOOKER;
			if (r.seq != a.seq)
				continue;
			*agent = r.agent;
			return (enum look_outcome)r.outcome;
		}
		notice_first(l);
	}
	return give_up(l, top) ? LOOK_LATE : LOOK_NO_LOOKER;
}

void lookers_end(struct lookers *l)
{
	for (int i = 0; l->shared && i <= atomic_load(&l->shared->top); i++) {
		pid_t pid = atomic_load(&l->shared->pid[i]);
		if (pid > 0)
			kill(pid, SIGKILL);
	}
	if (l->ask_fd >= 0)
		close(l->ask_fd);
	if (l->reply_fd >= 0)
		close(l->reply_fd);
	l->ask_fd = l->reply_fd = -1;
}

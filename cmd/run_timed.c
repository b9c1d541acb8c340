/* run --timeout: the time, the signals, and the end of a command. */
#include "cmd/run_timed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "cmd/lookers.h"
#include "cmd/procs.h"
#include "cmd/run_report.h"
#include "query/shape.h"

#define STATUS_OVER 124     /* as timeout(1) has it */
#define ROUND_MS 20
/* How long to wait for processes that were sent SIGKILL. */
#define KILLED_NS 5000000000ll

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

struct supervisor {
	const struct timed *t;
	struct lookers l;
	int signals;             /* a signalfd */
	int report;
	bool ours;               /* the report is a regular file that we made */
	bool rung;               /* SIGALRM: the time is over, as timeout(1) has it */
	bool over;
	int interrupted;         /* the signal that came when the time was over, or 0 */
	sigset_t mask_before;
	struct sigaction child_before;
};

static err_t open_report(struct supervisor *s)
{
	struct stat st;
	const char *path = s->t->report;
	s->report = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666) : STDERR_FILENO;
	if (s->report < 0)
		return err_errno(E_IO, errno, path);
	s->ours = path && fstat(s->report, &st) == 0 && S_ISREG(st.st_mode);
	return NULL;
}

/* Nothing was told: there is no file then, nor one of an earlier run. */
static void drop_report(struct supervisor *s)
{
	if (s->ours)
		unlink(s->t->report);
}

static err_t take_signals(struct supervisor *s)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGALRM);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&set, forwarded[i]);
	/* Where SIGCHLD was ignored, no status of a child would be told. */
	sigaction(SIGCHLD, &dfl, &s->child_before);
	sigprocmask(SIG_BLOCK, &set, &s->mask_before);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? err_errno(E_IO, errno, "signalfd") : NULL;
}

static void restore_signals(const struct supervisor *s)
{
	sigaction(SIGCHLD, &s->child_before, NULL);
	sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
}

static void collect(struct supervisor *s)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		lookers_collected(&s->l, pid, status);
}

/* What the terminal sends goes to all of its foreground group, the command too. Only what
 * was sent to us is passed on. */
static void pass_on(struct supervisor *s, const struct signalfd_siginfo *si)
{
	pid_t command = atomic_load(&s->l.shared->command);
	s->rung |= si->ssi_signo == SIGALRM;
	if (si->ssi_signo == SIGCHLD || si->ssi_signo == SIGALRM)
		return;
	if (s->over)
		s->interrupted = (int)si->ssi_signo;
	if (si->ssi_code != SI_KERNEL && command > 0 && !atomic_load(&s->l.shared->ended))
		kill(command, (int)si->ssi_signo);
}

static void take_signals_in(struct supervisor *s)
{
	struct signalfd_siginfo si;
	while (read(s->signals, &si, sizeof si) == sizeof si)
		pass_on(s, &si);
}

static bool interrupted(void *arg)
{
	struct supervisor *s = arg;
	take_signals_in(s);
	return s->interrupted;
}

/* Sleeps until a signal or then. */
static void sleep_until(struct supervisor *s, int64_t then)
{
	int64_t left = (then - now_ns() + 999999) / 1000000;
	struct pollfd p = { .fd = s->signals, .events = POLLIN };
	if (left > 0)
		poll(&p, 1, left < 3600000 ? (int)left : 3600000);
	take_signals_in(s);
	collect(s);
}

/* True: the command has ended in time. */
static bool await_command(struct supervisor *s)
{
	const struct lookers_shared *sh = s->l.shared;
	double ns = s->t->timeout * 1e9;
	int64_t then = ns < 9e18 - (double)now_ns() ? now_ns() + (int64_t)ns : INT64_MAX;
	/* The last looker ends when it has collected the command, and then those above it. */
	while (!s->rung && now_ns() < then && atomic_load(&sh->top) >= 0)
		sleep_until(s, then);
	while (!s->rung && now_ns() < then && !atomic_load(&sh->ended))
		sleep_until(s, then);
	return atomic_load(&sh->ended);
}

static bool seen(struct pids *p, pid_t pid)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == pid)
			return true;
	return !vec_push(p, pid);
}

/* Sends it to all that have not had it. The number of those that live, or SIZE_MAX. */
static size_t signal_all(struct supervisor *s, int signum, struct pids *had)
{
	struct pids pids = { 0 };
	err_t e = run_processes(&s->l, &pids);
	size_t n = e ? SIZE_MAX : pids.n;
	for (size_t i = 0; !e && i < pids.n; i++) {
		if (signum != SIGKILL && seen(had, pids.v[i]))
			continue;
		kill(pids.v[i], signum);
		/* A stopped process would not get to it. */
		kill(pids.v[i], SIGCONT);
	}
	err_free(e);
	vec_free(&pids);
	return n;
}

/* True: all have ended. */
static bool end_by(struct supervisor *s, int signum, int64_t ns)
{
	struct pids had = { 0 };
	int64_t start = now_ns();
	bool none;
	while (!(none = signal_all(s, signum, &had) == 0) && now_ns() - start < ns) {
		poll(NULL, 0, ROUND_MS);
		collect(s);
	}
	vec_free(&had);
	return none;
}

static void end_all(struct supervisor *s)
{
	struct strbuf after = { 0 };
	double patience = s->t->kill_after < 1e9 ? s->t->kill_after : 1e9;
	lookers_end(&s->l);
	collect(s);
	if (end_by(s, SIGTERM, (int64_t)(patience * 1e9))) {
		run_say(s->report, "all processes ended by SIGTERM");
		return;
	}
	shape_seconds(&after, patience);
	bool none = end_by(s, SIGKILL, KILLED_NS);
	run_say(s->report, none ? "%s after SIGTERM, those that were left were ended by SIGKILL"
				: "%s after SIGTERM, SIGKILL was sent, and not all processes have ended", after.s);
	strbuf_free(&after);
	collect(s);
}

static void time_is_over(struct supervisor *s)
{
	struct strbuf took = { 0 };
	char command[400];
	process_command(atomic_load(&s->l.shared->command), command, sizeof command);
	shape_seconds(&took, s->t->timeout);
	run_say(s->report, "not done after %s: %s", took.s, command);
	if (s->t->report)
		run_say(STDERR_FILENO, "not done after %s; what its processes were doing is in %s", took.s, s->t->report);
	strbuf_free(&took);
	run_report(&s->l, s->report, s->t->agent, interrupted, s);
	run_say(s->report, "the report ends here; ending all processes");
	end_all(s);
}

/* As a shell has it. */
static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void supervise(struct supervisor *s, int *status)
{
	const struct lookers_shared *sh = s->l.shared;
	if (!await_command(s)) {
		s->over = true;
		atomic_store(&s->l.shared->over, true);
	}
	/* It may have ended just now. */
	if (atomic_load(&sh->ended)) {
		*status = exit_status(atomic_load(&sh->status));
		drop_report(s);
		lookers_end(&s->l);
	} else {
		time_is_over(s);
		*status = STATUS_OVER;
	}
	collect(s);
}

err_t run_timed(const struct timed *t, bool *in_command, int *status)
{
	struct supervisor s = { .t = t, .signals = -1 };
	*in_command = false;
	TRY(open_report(&s));
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	err_t e = take_signals(&s);
	if (!e)
		e = lookers_start(&s.l, s.report, in_command);
	if (*in_command) {
		restore_signals(&s);
		return NULL;
	}
	if (!e)
		supervise(&s, status);
	restore_signals(&s);
	if (s.signals >= 0)
		close(s.signals);
	if (s.report > STDERR_FILENO)
		close(s.report);
	return e;
}

/* Children of a test that stand for targets. They are forks, so the test knows where
 * a child's variables are: where its own are. */
#ifndef TESTS_UNIT_CHILD_H
#define TESTS_UNIT_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/act.h"
#include "attach/proc.h"
#include "attach/target.h"

#define UNUSED __attribute__((unused))

struct child { pid_t pid; int to, from; char first; };

static UNUSED void nap(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000l }, NULL);
}

static UNUSED void child_say(int out, char c)
{
	if (write(out, &c, 1) != 1)
		_exit(3);
}

static pid_t children[64]; /* that live; for the teardown after a test that failed */

static UNUSED void children_note(pid_t pid, bool lives)
{
	for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
		if (children[i] == (lives ? 0 : pid)) {
			children[i] = lives ? pid : 0;
			return;
		}
	}
}

static UNUSED int children_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
		if (children[i]) {
			kill(children[i], SIGKILL);
			waitpid(children[i], NULL, 0);
		}
		children[i] = 0;
	}
	return 0;
}

/* The next byte from the test; ends the child when the test is gone. */
static UNUSED char child_hear(int in)
{
	char c;
	ssize_t n;
	while ((n = read(in, &c, 1)) < 0)
		;
	if (n == 0)
		_exit(0);
	return c;
}

/* Says it is ready and answers each byte with itself, for ever. */
static UNUSED void child_idle(int in, int out)
{
	for (char c = 'r';; c = child_hear(in))
		child_say(out, c);
}

static UNUSED char child_wait(struct child *c)
{
	struct pollfd p = { .fd = c->from, .events = POLLIN };
	char what = 0;
	if (poll(&p, 1, 60000) != 1 || read(c->from, &what, 1) != 1)
		fail_msg("the child does not answer");
	return what;
}

static UNUSED char child_ask(struct child *c, char what)
{
	if (write(c->to, &what, 1) != 1)
		fail_msg("the child does not listen");
	return child_wait(c);
}

static UNUSED struct child child_start(void (*body)(int in, int out))
{
	int to[2], from[2];
	assert_int_equal(pipe(to) | pipe(from), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		close(from[0]);
		body(to[0], from[1]);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	struct child c = { pid, to[1], from[0], 0 };
	children_note(pid, true);
	c.first = child_wait(&c);
	return c;
}

static UNUSED void child_kill(struct child *c)
{
	children_note(c->pid, false);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->to);
	close(c->from);
}

static UNUSED pid_t tracer_of(pid_t tid)
{
	struct proc_status st;
	return proc_status_read(tid, &st) ? st.tracer : -1;
}

static UNUSED void ok(err_t e)
{
	if (e)
		fail_msg("%s: %s", err_code_name(e->code), e->msg);
}

static UNUSED void is_error(err_t e, enum err_code code, const char *part)
{
	if (!e)
		fail_msg("no error where %s was expected", err_code_name(code));
	if (e->code != code || !strstr(e->msg, part))
		fail_msg("%s: %s; expected %s: %s", err_code_name(e->code), e->msg,
			 err_code_name(code), part);
	err_free(e);
}

static UNUSED struct target *target_of(struct child *c)
{
	struct target *t = NULL;
	ok(target_open_process(c->pid, NULL, &t));
	return t;
}

static UNUSED struct freeze_stats freeze(struct target *t, struct freeze_opts o)
{
	struct freeze_stats st;
	ok(target_freeze(t, &o, &st));
	return st;
}

/* Lives on, untraced: neither stopped nor held. */
static UNUSED void assert_free(pid_t pid)
{
	struct proc_status st;
	assert_true(proc_status_read(pid, &st));
	assert_int_equal(st.tracer, 0);
	assert_true(st.state != 't' && st.state != 'Z');
}

#endif

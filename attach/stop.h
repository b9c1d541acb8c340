/* Stopping every thread of a process and letting all of them go unharmed.
 *
 * A tracer is a thread of our own that does the ptrace work. The kernel lets go of
 * everything a tracer thread held the moment that thread ends, also threads that
 * cannot be detached because they never came to a halt (uninterruptible sleep): so
 * tracer_end() always leaves the target free, whatever went wrong before. Our own
 * death does the same; nothing in the target is ever changed that could remain. */
#ifndef ASYNCMON_ATTACH_STOP_H
#define ASYNCMON_ATTACH_STOP_H

#include "attach/target.h"

enum held_phase {
	HELD_SEIZED,    /* traced, running */
	HELD_ASKED,     /* interrupt sent */
	HELD_STOPPED,
	HELD_ASLEEP,    /* in the kernel, uninterruptible or without a processor; halts before it
			 * runs user code again */
	HELD_GONE
};

struct held {
	pid_t tid;
	enum held_phase phase;
	char state;     /* for messages: what /proc said when it would not stop */
	int signal;     /* a signal it was about to receive; delivered when let go */
	bool seen;      /* it was there when all stood still */
	bool have_regs;
	struct user_regs_struct regs;
};

struct stop {
	pid_t pid;
	int task_dir;             /* /proc/PID/task, borrowed */
	struct held *v;
	size_t n, cap;
	bool was_stopped;         /* in a group stop before and after */
	bool exec;                /* it became another program under our hands */
	int64_t began, halted, released; /* now_ns(): first interrupt, all halted, all let go */
};

/* Empties s for another stop. */
void stop_begin(struct stop *s, pid_t pid, int task_dir);
/* The next four on the tracer thread. */
/* Makes all threads tracees; they keep running. */
err_t stop_seize(struct stop *s);
/* Halts all threads, new ones too. E_BUSY when one does not within `patience_ns`;
 * E_GONE. Whatever it returns, stop_release() or tracer_end() lets them go. */
err_t stop_halt(struct stop *s, int64_t patience_ns);
void stop_regs(struct stop *s);
void stop_release(struct stop *s);
/* After tracer_end(): waits until the kernel has let go of those that stop_release()
 * could not detach (some microseconds). On any thread. */
void stop_await_free(const struct stop *s);
void stop_free(struct stop *s);

struct tracer;
err_t tracer_start(struct tracer **out);
/* Runs fn on the tracer thread and waits for it. E_BUSY after its alarm. */
err_t tracer_run(struct tracer *tr, err_t (*fn)(void *), void *arg);
/* At `when` (now_ns()), should it have nothing else to do then, the thread calls fn and
 * ends, whatever those who started it are stuck in. */
void tracer_alarm(struct tracer *tr, int64_t when, void (*fn)(void *), void *arg);
/* Around what is done to the target while the tracer holds it. False: its alarm went.
 * It waits a moment for one that has begun. */
bool tracer_enter(struct tracer *tr);
void tracer_leave(struct tracer *tr);
void tracer_end(struct tracer *tr);

#endif

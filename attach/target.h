/* A target: a living process or a core dump, behind one face.
 *
 * Flow: open (all that can be known unpaused) → look at target->image, which for
 * a process reads live memory on demand → target_freeze() (stop all threads, copy,
 * let go) → target->image is now one instant and stays so until the next freeze.
 * For a core the image is that instant from the start; freezing it does nothing.
 *
 * A freeze copies the pages that were asked of the image since the target was
 * opened or thawed, whether they were there (looked at while it ran) or not (missed in an
 * earlier freeze, with 64 KiB around them). So: walk, freeze, walk; when the second
 * walk misses something, freeze again, or take everything (`whole`).
 *
 * The target owns its image, mappings, threads and strings; they live until
 * target_close(). target_freeze() and target_thaw() may replace threads and mappings
 * and make every pointer into the image void. */
#ifndef ASYNCMON_ATTACH_TARGET_H
#define ASYNCMON_ATTACH_TARGET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/user.h>
#include <time.h>

#include "attach/image.h"
#include "base/arena.h"
#include "base/err.h"

enum target_kind { TARGET_PROCESS, TARGET_CORE };

struct mapping {
	uint64_t start, end;
	uint64_t offset;          /* in the file */
	bool read, write, exec, shared;
	uint32_t dev_major, dev_minor;
	uint64_t inode;           /* 0: anonymous */
	const char *path;         /* as the target sees it, without " (deleted)"; "" if none */
	bool deleted;
};

struct thread {
	pid_t tid;                /* in our pid namespace (cores: as dumped) */
	pid_t ns_tid;             /* in the target's own (what Python calls native_id) */
	char comm[16];
	char state;               /* from /proc: R S D T t Z, or 0 */
	bool have_regs;           /* set by a freeze, and in cores */
	struct user_regs_struct regs;
	uint64_t fs_base;         /* 0 when unknown */
};

struct freeze_opts {
	/* Copy every private writable page of the process (within budget), not only
	 * the pages that were looked at since it was opened. */
	bool whole;
	/* Read without stopping: the copy is not of one instant. */
	bool no_pause;
	/* Copy this many bytes from each thread's stack pointer upwards as well
	 * (0: none), and take all registers. */
	size_t stack_bytes;
	/* The longest stop, in nanoseconds; 0: a second. What was not copied by then is not. */
	int64_t pause_ns;
	/* Of what an earlier freeze missed, copy so much around (a power of two; 0: 64 KiB). */
	uint64_t around;
	/* NULL, or called once what was planned is copied, while the target still stands: what
	 * is asked of the image beyond that is read then and belongs to the same instant. It
	 * runs on a hand (attach/hands.h), for look_ns at most: hands_late() says when that is
	 * over, and reads give nothing more then. What it keeps for itself may be lost with
	 * that hand, and the freeze fails then. */
	void (*look)(void *arg);
	void *look_arg;
	int64_t look_ns;
};

struct freeze_stats {
	int64_t paused_us;        /* first thread stopped until last let go, attempts to stop it
				   * that failed included; -1: not paused */
	int64_t stop_us;          /* of that: until all threads had stopped */
	uint64_t bytes;           /* copied while stopped */
	uint64_t left;            /* not copied: there was no time */
	unsigned threads;
	bool look_failed;         /* it did not end in time, or there was no processor for it */
	bool was_stopped;         /* the process was in a group stop (SIGSTOP) and stays so */
};

struct target {
	enum target_kind kind;
	pid_t pid, ns_pid;        /* ns_pid: as the target itself sees it */
	const char *exe;          /* path as the target sees it */
	struct mapping *mappings; /* sorted by address */
	size_t nmappings;
	struct thread *threads;   /* main thread first, while it lives */
	size_t nthreads;
	struct image *image;
	int signal;               /* cores: the signal that ended it, else 0 */
	/* By the clock of the day: nothing that it runs was loaded before that. Cores, whose
	 * start is not known: when the core was written. 0: unknown. */
	struct timespec since;
	pid_t current;            /* cores: the thread that met it (dumped first), else 0 */
	const char **notes;       /* sentences on what could not be had; grows while reading */
	size_t nnotes;
	int64_t pause_ns;         /* the user's: the longest it may be stopped for; 0: a second */
	const struct target_ops *ops;
};

struct target_ops {
	/* A read-only descriptor of the file behind m as the target sees it (through
	 * /proc/PID/map_files, /proc/PID/exe or /proc/PID/root; cores: --exe, --sysroot),
	 * which the caller closes. E_NOTFOUND when there is no such file any more. */
	err_t (*open_file)(struct target *t, const struct mapping *m, int *fd);
	/* A file of that path in the target's root (source files, debug files) if it is a
	 * regular one that the target could open itself, and what fstat() says of it.
	 * copy_up_to: not 0 where all its bytes are wanted, which are so many at most; then
	 * *fd is a copy of them. E_BUSY: its file system does not answer. */
	err_t (*open_path)(struct target *t, const char *path, uint64_t copy_up_to, int *fd, struct stat *st);
	err_t (*freeze)(struct target *t, const struct freeze_opts *o, struct freeze_stats *st);
	/* Back to looking at the running process; NULL for cores. */
	err_t (*thaw)(struct target *t);
	/* What was read of a running process is forgotten, its mappings and threads are listed
	 * again; NULL for cores. Pointers into the image are void after it. */
	err_t (*renew)(struct target *t);
	/* Bytes of private writable memory that a whole copy would take; 0 for cores. */
	uint64_t (*whole_size)(struct target *t);
	void (*close)(struct target *t);
};

struct target_opts {
	const char *exe, *sysroot, *debug_dir; /* for cores; each may be NULL */
};

/* E_NOPROC, E_PERM, E_TRACED, E_GONE: with a message for the user. Nothing is
 * stopped, attached or written yet. */
err_t target_open_process(pid_t pid, const struct target_opts *o, struct target **out);
err_t target_open_core(const char *path, const struct target_opts *o, struct target **out);
/* A PID when all digits, else a core file. */
err_t target_open(const char *what, const struct target_opts *o, struct target **out);
void target_close(struct target *t);

static inline err_t target_freeze(struct target *t, const struct freeze_opts *o,
				  struct freeze_stats *st)
{
	return t->ops->freeze(t, o, st);
}
/* After a freeze, before another one: the image shows the running process again, and what
 * is asked of it from now on is what the next freeze copies. For cores, and before the
 * first freeze, this does nothing. E_GONE. */
static inline err_t target_thaw(struct target *t)
{
	return t->ops->thaw ? t->ops->thaw(t) : NULL;
}
/* Looks at a running process from the start, without stopping it. For cores this does
 * nothing. E_GONE. */
static inline err_t target_renew(struct target *t)
{
	return t->ops->renew ? t->ops->renew(t) : NULL;
}
/* A sentence for the user, once; in the arena. For the targets' own files. */
void target_note(struct target *t, struct arena *a, const char *fmt, va_list ap);
/* The mapping that holds addr, or NULL. */
const struct mapping *target_mapping(const struct target *t, uint64_t addr);

#endif

/* The live process behind struct target: what the files of this folder share.
 *
 * Pages are of two kinds. Fixed: of file mappings that are not writable; read once,
 * right for ever. Mutable: everything else; what was read of them unpaused is
 * forgotten at a freeze, which reads again those that were asked for. */
#ifndef ASYNCMON_ATTACH_PROCESS_H
#define ASYNCMON_ATTACH_PROCESS_H

#include <signal.h>

#include "attach/copy.h"
#include "attach/opener.h"
#include "attach/proc.h"
#include "attach/stop.h"
#include "attach/target.h"
#include "base/arena.h"
#include "base/map.h"

struct process {
	struct target t;          /* first: a struct target * is a struct process * */
	struct image img;
	struct arena *strings;    /* exe, notes */
	struct opener *opener;    /* of files by the target's rights; NULL before the first */
	struct arena *maps_arena; /* t.mappings and their paths */
	struct strbuf maps, maps_next; /* text behind t.mappings; the one being read */
	struct strbuf mounts;     /* mountinfo, read when it is first needed */
	char *root;               /* the target's root as we see it, "/" mostly */
	pid_t mem_tid;            /* a live thread: /proc and process_vm_readv go by it */
	int task_dir, mem_fd, root_fd, pidfd;
	int pagemap_fd;           /* -1 but while a copy is planned: process_pagemap() */

	/* Mutable pages that were asked for, by address: PAGE_LOOKED or PAGE_MISSED. */
	struct map wanted;
	struct map bad;           /* pages that the last freeze could not read */
	bool copied;              /* by a freeze: what the image shows of mutable memory is old */
	bool frozen;              /* the image is one instant; mutable pages are not filled */
	bool whole;               /* and holds all private memory that exists */

	struct tracer *tracer;    /* between target_stop() and target_resume() */
	sigset_t mask;            /* before that, of the thread that called it */
	struct stop stop;
	int64_t deadline;         /* now_ns(): the stop must be over */
	int64_t paused_ns;        /* by the last hold, all its attempts */
	_Atomic bool by_mem;             /* process_vm_readv() is refused, /proc/PID/mem is not */
};

enum { PAGE_LOOKED = 1, PAGE_MISSED = 2 };

static inline struct process *process_of(struct target *t) { return (struct process *)t; }

/* Does the image show this mapping at all? Not device memory, not what cannot be
 * read. */
bool mapping_visible(const struct mapping *m);
/* May its bytes change while the mapping lives? */
bool mapping_mutable(const struct mapping *m);
/* Is it part of a whole copy? */
bool mapping_private(const struct mapping *m);

/* Brings mappings and image in step with /proc/PID/maps. *changed may be NULL.
 * Pointers into the image are void when they changed. E_GONE. */
err_t process_sync_maps(struct process *p, bool *changed);
err_t process_sync_threads(struct process *p);
/* Empties the image of all that may have changed. */
void process_forget(struct process *p);
/* Is the address space that was opened still the process's? (False after its end
 * and after an exec.) */
bool process_same_space(const struct process *p);
/* E_GONE when it is not. */
err_t process_check_space(const struct process *p);
/* A descriptor of its pagemap, until process_pagemap_close(); -1 where there is none. A
 * session with many processes has none for most of the time. */
int process_pagemap(struct process *p);
void process_pagemap_close(struct process *p);
/* Reads from the living process; how many bytes. */
size_t process_read(struct process *p, uint64_t addr, void *buf, size_t len);
/* process_vm_readv(), or the same by /proc/PID/mem where a filter forbids that. May hang. */
ssize_t process_readv(struct process *p, const struct iovec *local, const struct iovec *remote, size_t n);
/* Writes to writable memory; all of it or an error. */
ssize_t process_put(struct process *p, uint64_t addr, const void *buf, size_t len);
/* Stops the process and does `then` on the tracer thread, which has to let it go. It is
 * stopped for pause_ns at most (0: a second), all attempts together: p->deadline,
 * p->paused_ns. On success the tracer is still there; then NULL: the process stays
 * stopped. process_let_go() ends both. */
err_t process_hold(struct process *p, int64_t pause_ns, err_t (*then)(void *), void *arg);
void process_let_go(struct process *p);
size_t process_fill(void *ctx, struct image_range *r, uint64_t addr, size_t len);

err_t process_freeze(struct target *t, const struct freeze_opts *o, struct freeze_stats *st);
uint64_t process_whole_size(struct target *t);
err_t process_thaw(struct target *t);
err_t process_open_file(struct target *t, const struct mapping *m, int *fd);
err_t process_open_path(struct target *t, const char *path, uint64_t copy_up_to, int *fd, struct stat *st);

#endif

/* Acting on a living process: stop it, look and write, let it go. For those commands
 * that change the target when asked to; looking alone is target_freeze().
 *
 * Between target_stop() and target_resume() every thread stands still; keep it short.
 * Nothing but the bytes given to target_write() is changed, so that our death at any
 * instant leaves a target that runs on. */
#ifndef ASYNCMON_ATTACH_ACT_H
#define ASYNCMON_ATTACH_ACT_H

#include "attach/target.h"

/* E_UNSUPPORTED for cores; E_BUSY, E_GONE, E_TRACED, E_PERM: nothing is held then.
 * A stop of what is stopped already does nothing. */
err_t target_stop(struct target *t);
void target_resume(struct target *t);
/* Did the last stop find it stopped by a signal (SIGSTOP, job control)? */
bool target_was_stopped(struct target *t);
/* Writes into writable memory of a stopped target. */
err_t target_write(struct target *t, uint64_t addr, const void *buf, size_t len);
/* Writes 8 bytes into writable memory of the living process without stopping it. For memory
 * that is there for others to write to (agent/wire.h): E_GONE, E_IO. */
err_t target_put_word(struct target *t, uint64_t addr, uint64_t v);
/* Reads the living process now, past the image. */
bool target_peek(struct target *t, uint64_t addr, void *buf, size_t len);
/* The process as a descriptor, the target's own (do not close); -1 before Linux 5.3. */
int target_pidfd(const struct target *t);
/* Has the whole process ended? Its main thread alone may end before others do. */
bool target_ended(const struct target *t);

#endif

/* Calls into the kernel that may never come back, and threads of ours to make them.
 *
 * Reading another process can hang: memory behind userfaultfd that nobody serves, a
 * file on a server that is gone, a page swapped out to a disk that does not answer, a
 * lock of the address space that a thread holds which itself waits for such a thing.
 * Whoever holds a target stopped must not wait for that. So hands do it, and who
 * waits for them waits up to a deadline. A hand that is still in the kernel when it
 * is given up is lost: should its call ever return, it does nothing any more. What
 * the call writes to must then never be used again, nor freed.
 *
 * The main thread makes such calls too (hang_begin/hang_end), while the target runs.
 * Nobody can bring it back, so a watch ends this process when one takes too long. */
#ifndef ASYNCMON_ATTACH_HANDS_H
#define ASYNCMON_ATTACH_HANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Around a call that may hang. at: what it reads, for the message; 0 unknown. On a hand
 * that was given up meanwhile, hang_end() does not return; in between the target may have
 * been closed, so a hand does nothing there but that call. */
void hang_begin(uint64_t at);
void hang_end(void);

/* Seconds that a call of the main thread may take; then `said` is called with a
 * sentence, and the process ends with its result as exit status. */
void hang_watch(int (*said)(const char *message));

struct hands;
/* Threads, waiting. */
err_t hands_start(size_t n, struct hands **out);
/* fn(arg, i) on n of them at most, i below the number of those that were started. fn
 * returns when nothing is left to do: a hand that gets no processor until then is not
 * waited for. Waits until those that began are done, or a little longer than the deadline
 * (now_ns()), which fn is to heed by hands_late(): it returns soon after. False: some are
 * still out, or none began; hands_settle() then. */
bool hands_run(struct hands *h, size_t n, void (*fn)(void *, size_t), void *arg, int64_t deadline);
/* Whether any has begun with what was run last. */
bool hands_began(struct hands *h);
/* On a hand: it is time to stop. What a call gave that was out when it became so is
 * not to be used: the target may run already. */
bool hands_late(void);
/* Waits for those that are out. False: some are lost; *at is what one of them reads. */
bool hands_settle(struct hands *h, uint64_t *at);
/* Ends them. After a loss it leaves behind what lost ones need. */
void hands_end(struct hands *h);

#endif

/* Whether Python can begin a text where its threads stand now. A pending call that
 * fails before its first instruction, for want of recursion, memory or C stack, is an error
 * without an exception (or a crash) for the program: such a moment is waited out. */
#ifndef ASYNCMON_INJECT_HEADROOM_H
#define ASYNCMON_INJECT_HEADROOM_H

#include "inject/inject.h"

/* Of a stopped target: NULL, or E_BUSY. Threads that cannot run the text do not count. */
err_t headroom_check(struct target *t, const struct inject_site *s);

#endif

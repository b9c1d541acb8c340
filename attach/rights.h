/* What a process may do with files: its credentials, as another process can take them. */
#ifndef ASYNCMON_ATTACH_RIGHTS_H
#define ASYNCMON_ATTACH_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct rights {
	uid_t uid;               /* those that the kernel asks for files: fsuid */
	gid_t gid;               /* fsgid */
	gid_t *groups;           /* supplementary ones */
	size_t ngroups;
	uint64_t caps;           /* effective capabilities, in its user namespace */
	pid_t tid;               /* whose they are; its user namespace is entered where that
				  * is not ours. 0: of nobody that lives */
};

/* Those of a thread, by /proc/TID/status. E_GONE, E_NOMEM. */
err_t rights_read(pid_t tid, struct rights *r);
/* Those of a user without capabilities; of root, ours. */
void rights_of_user(uid_t uid, gid_t gid, struct rights *r);
void rights_free(struct rights *r);
bool rights_same(const struct rights *a, const struct rights *b);

/* Makes them the calling thread's, for good: from then on it opens what their owner could
 * open, and no more. False where it cannot be done: then nothing may be opened.
 * Allocates nothing. Only for a process that was forked for it. */
bool rights_take(const struct rights *r);

#endif

#include "serve/drop.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
#define FILES 512

static err_t become_nobody(void)
{
	if (geteuid() != 0)
		return NULL;
	/* Sockets that are open stay where they are; new ones would be in a network without
	 * devices. Where that is not allowed, it is one wall less. */
	(void)!unshare(CLONE_NEWNET);
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return err_errno(E_PERM, errno, "becoming nobody, to speak HTTP");
	if (setuid(0) == 0)
		return err_new(E_PERM, "root's rights could not be given up, to speak HTTP");
	return NULL;
}

err_t drop_rights(void)
{
	pid_t parent = getppid();
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	const struct rlimit no_core = { 0, 0 }, files = { FILES, FILES };
	TRY(become_nobody());
	syscall(SYS_capset, &head, none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_errno(E_PERM, errno, "prctl");
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_NOFILE, &files);
	/* The kernel forgets this when the user changes. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	return NULL;
}

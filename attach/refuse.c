#include "attach/refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/proc.h"
#include "base/descriptors.h"

#define CAP_SYS_PTRACE_BIT 19

bool other_threads_live(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	struct proc_tids tids = { 0 };
	bool live = false;
	err_t e = proc_tids_read(pid, dir, &tids);
	for (size_t i = 0; i < tids.n && !e && !live; i++) {
		char state = proc_state(pid, tids.v[i]);
		live = state && state != 'Z' && state != 'X';
	}
	err_free(e);
	vec_free(&tids);
	close(dir);
	return live;
}

err_t unfit(pid_t pid)
{
	struct proc_status st;
	if (access("/proc/self/status", R_OK) != 0)
		return err_new(E_UNSUPPORTED, "/proc is not mounted here");
	if (!proc_status_read(pid, &st) && errno_is_ours(errno))
		return err_ours(errno, "looking at a process");
	if (!st.exists)
		return err_new(E_NOPROC, "no process has the id %d", (int)pid);
	if (st.tgid != pid)
		return err_new(E_NOPROC, "%d is a thread of process %d; use that id",
			       (int)pid, (int)st.tgid);
	if (pid == getpid())
		return err_new(E_UNSUPPORTED, "%d is asyncmon itself", (int)pid);
	if (st.kthread)
		return err_new(E_UNSUPPORTED, "%d (%s) is a kernel thread", (int)pid, st.name);
	if ((st.state == 'Z' || st.state == 'X') && !other_threads_live(pid))
		return err_new(E_GONE, "process %d (%s) has ended; its parent has not collected it yet",
			       (int)pid, st.name);
	return NULL;
}

static int yama_scope(void)
{
	char c = '0';
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c - '0';
}

/* Not to be read, as a rule, when it is another one. */
static bool other_user_namespace(pid_t pid)
{
	char ours[64], theirs[64];
	if (!proc_link(getpid(), "ns/user", ours, sizeof ours))
		return false;
	if (proc_link(pid, "ns/user", theirs, sizeof theirs))
		return strcmp(ours, theirs) != 0;
	/* The first namespace maps every id to itself. */
	struct strbuf map = { 0 };
	unsigned long from = 0, to = 0, n = 0;
	bool first = proc_slurp(getpid(), "uid_map", &map) &&
		     sscanf(map.s, "%lu %lu %lu", &from, &to, &n) == 3 && n == 4294967295ul;
	free(map.s);
	return !first;
}

/* The kernel gives /proc/PID to root where the process may not be dumped. */
static bool not_dumpable(pid_t pid, const struct proc_status *st)
{
	char path[32];
	struct stat sb;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	return stat(path, &sb) == 0 && sb.st_uid != st->uid[1];
}

static err_t traced(pid_t pid, pid_t tracer)
{
	struct proc_status st;
	if (!proc_status_read(tracer, &st))
		return err_new(E_TRACED, "process %d is traced by process %d already", (int)pid, (int)tracer);
	return err_new(E_TRACED, "process %d is traced by process %d (%s) already; "
		       "end that, or read without stopping (--no-pause)",
		       (int)pid, (int)st.tgid, st.name);
}

/* What would give asyncmon the right. Root of a container lacks it as a rule. */
static const char *remedy(void)
{
	if (geteuid() != 0)
		return "run asyncmon as root (it needs the capability CAP_SYS_PTRACE)";
	return "asyncmon runs as root, but without the capability CAP_SYS_PTRACE, as in a container: "
	       "start that with docker run --cap-add=SYS_PTRACE, enter it with docker exec --privileged, "
	       "or use kubectl debug --profile=general --target=CONTAINER";
}

static err_t other_user(pid_t pid, const struct proc_status *st)
{
	struct passwd *pw = getpwuid(st->uid[0]);
	if (st->uid[0] == getuid())
		return err_new(E_PERM, "process %d runs with other user or group ids than asyncmon; %s", (int)pid,
			       remedy());
	if (pw)
		return err_new(E_PERM, "process %d belongs to user %s; run asyncmon as that user, or: %s", (int)pid,
			       pw->pw_name, remedy());
	return err_new(E_PERM, "process %d belongs to uid %u; run asyncmon as that user, or: %s", (int)pid, st->uid[0],
		       remedy());
}

static bool same_ids(const struct proc_status *a, const struct proc_status *b)
{
	for (int i = 0; i < 3; i++)
		if (a->uid[i] != b->uid[0] || a->gid[i] != b->gid[0])
			return false;
	return true;
}

static err_t by_yama(pid_t pid, int scope, bool able)
{
	static const char knob[] = "kernel.yama.ptrace_scope";
	if (scope == 3)
		return err_new(E_PERM, "%s is 3: no process may be attached to until the next boot", knob);
	if (scope == 2 && !able)
		return err_new(E_PERM, "%s is 2: only who has CAP_SYS_PTRACE may attach; %s", knob, remedy());
	if (scope == 1 && !able)
		return err_new(E_PERM, "%s is 1: process %d is not a descendant of this one; "
			       "let the program call prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY), or: %s", knob,
			       (int)pid, remedy());
	return NULL;
}

err_t refusal(pid_t pid, int errnum)
{
	struct proc_status st, me;
	if (errno_is_ours(errnum))
		return err_ours(errnum, "looking at a process");
	err_t e = unfit(pid);
	if (e)
		return e;
	proc_status_read(getpid(), &me);
	if (!proc_status_read(pid, &st) || errnum == ESRCH || errnum == ENOENT)
		return err_new(E_GONE, "process %d has gone", (int)pid);
	if (errnum == ENOSYS)
		return err_new(E_UNSUPPORTED, "this system does not let asyncmon read other processes "
			       "(process_vm_readv: not implemented; a seccomp filter?)");
	if (st.tracer)
		return traced(pid, st.tracer);
	bool able = me.cap_effective >> CAP_SYS_PTRACE_BIT & 1;
	if (!able && !same_ids(&st, &me))
		return other_user(pid, &st);
	if (!able && not_dumpable(pid, &st))
		return err_new(E_PERM, "process %d is protected (not dumpable: it changed its user, has file "
			       "capabilities, or asked for it); %s", (int)pid, remedy());
	if (!able && (st.cap_permitted & ~me.cap_permitted))
		return err_new(E_PERM, "process %d has capabilities that asyncmon lacks; %s", (int)pid, remedy());
	e = by_yama(pid, yama_scope(), able);
	if (e)
		return e;
	if (other_user_namespace(pid))
		return err_new(E_PERM, "process %d is in another user namespace, in which asyncmon has no "
			       "CAP_SYS_PTRACE; run asyncmon as root outside of it", (int)pid);
	return err_new(E_PERM, "the system refuses access to process %d (%s): a seccomp filter or a "
		       "security module such as AppArmor or SELinux may forbid it",
		       (int)pid, strerror(errnum));
}

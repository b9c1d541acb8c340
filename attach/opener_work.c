#include "attach/opener_work.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "attach/openfile.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define FILES_MAX 65536      /* to close one by one, before Linux 5.9 */
/* Of a file system that may stop to answer, a larger file is not copied. */
#define FAR_MAX (256ull << 20)

enum place { FAR, NEAR, NEVER };
/* By statfs(2), linux/magic.h and the sources of those that are not there. NEAR: on this
 * machine, so that a descriptor may be read by whoever waits. NEVER: files of the kernel
 * itself, which mean another thing to each reader, or do something when they are opened. */
static const struct { uint64_t magic; enum place place; } kinds[] = {
	{ EXT4_SUPER_MAGIC, NEAR }, { XFS_SUPER_MAGIC, NEAR }, { BTRFS_SUPER_MAGIC, NEAR },
	{ TMPFS_MAGIC, NEAR }, { RAMFS_MAGIC, NEAR }, { OVERLAYFS_SUPER_MAGIC, NEAR },
	{ SQUASHFS_MAGIC, NEAR }, { F2FS_SUPER_MAGIC, NEAR }, { EROFS_SUPER_MAGIC_V1, NEAR },
	{ ISOFS_SUPER_MAGIC, NEAR }, { MSDOS_SUPER_MAGIC, NEAR }, { HUGETLBFS_MAGIC, NEAR },
	{ 0x2fc12fc1 /* zfs */, NEAR }, { 0xca451a4e /* bcachefs */, NEAR },
	{ 0x3153464a /* jfs */, NEAR }, { 0x2011bab0 /* exfat */, NEAR },
	{ PROC_SUPER_MAGIC, NEVER }, { SYSFS_MAGIC, NEVER }, { DEBUGFS_MAGIC, NEVER },
	{ TRACEFS_MAGIC, NEVER }, { CGROUP_SUPER_MAGIC, NEVER }, { CGROUP2_SUPER_MAGIC, NEVER },
	{ SECURITYFS_MAGIC, NEVER }, { SELINUX_MAGIC, NEVER }, { BPF_FS_MAGIC, NEVER },
	{ EFIVARFS_MAGIC, NEVER }, { PSTOREFS_MAGIC, NEVER }, { BINFMTFS_MAGIC, NEVER },
	{ DEVPTS_SUPER_MAGIC, NEVER }, { 0x62656570 /* configfs */, NEVER },
	{ 0x19800202 /* mqueue */, NEVER },
};

static bool place_of(int fd, enum place *p)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) != 0)
		return false;
	*p = FAR;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if ((uint64_t)(uint32_t)fs.f_type == kinds[i].magic)
			*p = kinds[i].place;
	return true;
}

bool opener_send(int sock, struct iovec *iov, size_t n, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	if (fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	ssize_t sent;
	while ((sent = sendmsg(sock, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return sent >= 0;
}

size_t opener_receive(int sock, void *buf, size_t size, int *fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof *fd)];
	struct iovec iov = { buf, size };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control,
	};
	ssize_t got;
	*fd = -1;
	while ((got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof *fd))
		memcpy(fd, CMSG_DATA(c), sizeof *fd);
	return got > 0 ? (size_t)got : 0;
}

/* The bytes of the file in a nameless one in memory; -1 with errno set. */
static int copy_of(int from, uint64_t most)
{
	static char buf[256u << 10];
	uint64_t sum = 0;
	int to = memfd_create("asyncmon-file", MFD_CLOEXEC), err = 0;
	for (ssize_t got = 1; to >= 0 && !err && got > 0; ) {
		got = pread(from, buf, sizeof buf, (off_t)sum);
		if (got < 0)
			err = errno;
		for (ssize_t put, at = 0; at < got && !err; at += put)
			if ((put = write(to, buf + at, (size_t)(got - at))) <= 0)
				err = put < 0 ? errno : EIO;
		sum += got > 0 ? (uint64_t)got : 0;
		if (sum > most)
			err = EFBIG;
	}
	if (err) {
		close(to);
		errno = err;
	}
	return err ? -1 : to;
}

/* What is to be sent, or -1 and the error in the answer. */
static int file_for(int opened, uint64_t copy_up_to, struct opener_answer *a)
{
	enum place place = NEVER;
	int fd = -1;
	if (opened < 0) {
		a->error = errno;
		return -1;
	}
	/* A path alone so far: no FIFO waits, no device acts. */
	if (fstat(opened, &a->st) < 0 || !place_of(opened, &place)) {
		a->error = errno;
	} else if (!S_ISREG(a->st.st_mode) || place == NEVER) {
		a->error = OPENER_NOT_REGULAR;
	} else if ((fd = reopen(opened)) < 0) {
		a->error = errno;
	}
	close(opened);
	if (a->error || (place == NEAR && !copy_up_to))
		return fd;
	uint64_t most = copy_up_to ? copy_up_to : FAR_MAX;
	int copy = -1;
	if ((uint64_t)a->st.st_size > most || (copy = copy_of(fd, most)) < 0)
		a->error = copy < 0 && (uint64_t)a->st.st_size <= most ? errno : EFBIG;
	close(fd);
	return copy;
}

/* Without the rights that were wanted, `may` is false and nothing is opened. */
static void answer_all(int sock, bool may)
{
	static struct { struct opener_head head; char path[PATH_MAX + 1]; } ask;
	size_t n;
	int root;
	while ((n = opener_receive(sock, &ask, sizeof ask, &root)) > sizeof ask.head) {
		struct opener_answer a = { .turn = ask.head.turn };
		struct iovec iov = { &a, sizeof a };
		ask.path[sizeof ask.path - 1] = '\0';
		errno = may ? EBADF : EPERM;
		int path_fd = !may ? -1 : !ask.head.below ? open(ask.path, O_PATH | O_CLOEXEC)
			    : root >= 0 ? path_below(root, ask.path) : -1;
		int fd = file_for(path_fd, ask.head.copy_up_to, &a);
		bool sent = opener_send(sock, &iov, 1, fd);
		if (fd >= 0)
			close(fd);
		if (root >= 0)
			close(root);
		if (!sent)
			return;
	}
}

/* Nothing of ours but the socket: who waits for the end of our output shall not wait for a
 * process that hangs. */
static int close_others(int sock)
{
	int high = fcntl(sock, F_DUPFD, 4), null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	dup2(high, 3);
	if (syscall(SYS_close_range, 4, ~0u, 0) != 0)
		for (int i = 4; i < FILES_MAX; i++)
			close(i);
	return 3;
}

_Noreturn void opener_work(int sock, pid_t parent, const struct rights *r)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	sock = close_others(sock);
	prctl(PR_SET_NAME, "asyncmon-open");
	bool may = !r || rights_take(r);
	/* Taking other credentials unsets the one, and sets the other as a rule. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	if (getppid() == parent)
		answer_all(sock, may);
	_exit(0);
}

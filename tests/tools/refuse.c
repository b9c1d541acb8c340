/* refuse ERRNO CALL... -- COMMAND...: runs the command under a filter that answers
 * these system calls with the errno, as kernels that lack them and containers that
 * forbid them do. CALL: a name below, or its number; "pagemap-scan" is that ioctl. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct { const char *name; int nr; } calls[] = {
	{ "process_vm_readv", SYS_process_vm_readv }, { "process_vm_writev", SYS_process_vm_writev },
	{ "pidfd_open", 434 }, { "pidfd_getfd", 438 }, { "openat2", 437 }, { "ptrace", SYS_ptrace },
};
static const struct { const char *name; int value; } errors[] = {
	{ "ENOSYS", ENOSYS }, { "EPERM", EPERM }, { "ENOTTY", ENOTTY }, { "EACCES", EACCES },
};
#define PAGEMAP_SCAN 0xc0606610u

static int call_number(const char *s)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(calls[i].name, s) == 0)
			return calls[i].nr;
	return atoi(s);
}

static unsigned error_value(const char *s)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(errors[i].name, s) == 0)
			return (unsigned)errors[i].value;
	return (unsigned)atoi(s);
}

int main(int argc, char **argv)
{
	struct sock_filter f[128];
	unsigned short n = 0;
	int i = 2;
	if (argc < 4)
		return 2;
	unsigned deny = SECCOMP_RET_ERRNO | error_value(argv[1]);
	for (; i < argc && strcmp(argv[i], "--") != 0 && n < 110; i++) {
		int scan = strcmp(argv[i], "pagemap-scan") == 0;
		unsigned nr = scan ? SYS_ioctl : (unsigned)call_number(argv[i]);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, scan ? 3 : 1);
		if (scan) {
			f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							      offsetof(struct seccomp_data, args[1]));
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PAGEMAP_SCAN, 0, 1);
		}
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { n, f };
	if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		perror("refuse");
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}

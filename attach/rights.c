/* A path that a target names is opened by what the target may open. Root reads anything:
 * a user could have root print him /etc/shadow by giving his code that file name. */
#include "attach/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/proc.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX */
#define CAP(n) (1ull << (n))
/* Those that pass over what the permissions of a file say. */
#define CAPS_OF_FILES (CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH))

static bool add_groups(const char *text, struct rights *r)
{
	size_t most = 1;
	for (const char *p = text; *p && *p != '\n'; p++)
		most += *p == ' ';
	r->groups = calloc(most < GROUPS_MAX ? most : GROUPS_MAX, sizeof *r->groups);
	for (char *end; r->groups && r->ngroups < most && r->ngroups < GROUPS_MAX; text = end) {
		unsigned long g = strtoul(text, &end, 10);
		if (end == text || memchr(text, '\n', (size_t)(end - text)))
			break;
		r->groups[r->ngroups++] = (gid_t)g;
	}
	return r->groups;
}

/* "Uid:	real	effective	saved	for files" */
static bool fourth(const char *text, unsigned *id)
{
	return text && sscanf(text, "%*u %*u %*u %u", id) == 1;
}

err_t rights_read(pid_t tid, struct rights *r)
{
	struct strbuf text = { 0 };
	unsigned uid, gid;
	*r = (struct rights){ .tid = tid };
	if (!proc_slurp(tid, "status", &text)) {
		strbuf_free(&text);
		return err_new(E_GONE, "process %d has gone", (int)tid);
	}
	const char *groups = proc_field(text.s, "Groups"), *caps = proc_field(text.s, "CapEff");
	bool known = fourth(proc_field(text.s, "Uid"), &uid) && fourth(proc_field(text.s, "Gid"), &gid) &&
		     groups && caps;
	if (known) {
		r->uid = uid;
		r->gid = gid;
		r->caps = strtoull(caps, NULL, 16);
	}
	err_t e = !known ? err_new(E_GONE, "the credentials of process %d could not be read", (int)tid)
		  : add_groups(groups, r) ? NULL : ERR_NOMEM;
	strbuf_free(&text);
	return e;
}

void rights_of_user(uid_t uid, gid_t gid, struct rights *r)
{
	*r = (struct rights){ .uid = uid, .gid = gid, .caps = uid == 0 ? UINT64_MAX : 0 };
}

void rights_free(struct rights *r)
{
	free(r->groups);
	*r = (struct rights){ 0 };
}

bool rights_same(const struct rights *a, const struct rights *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->caps == b->caps && a->tid == b->tid &&
	       a->ngroups == b->ngroups &&
	       (!a->ngroups || memcmp(a->groups, b->groups, a->ngroups * sizeof *a->groups) == 0);
}

static bool caps_get(struct __user_cap_data_struct v[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &head, v) == 0;
}

/* Those of ours that are among `keep`, and no others ever again. */
static bool caps_limit(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct v[2];
	if (!caps_get(v))
		return false;
	for (int i = 0; i < 2; i++) {
		v[i].permitted &= (uint32_t)(keep >> (32 * i));
		v[i].effective = v[i].permitted;
		v[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, v) == 0;
}

static bool may_set_groups(void)
{
	struct __user_cap_data_struct v[2];
	return !caps_get(v) || v[0].effective & (1u << CAP_SETGID);
}

static bool take_groups(const struct rights *r)
{
	if (syscall(SYS_setgroups, r->ngroups, r->groups) == 0)
		return true;
	/* Who may not change them acts for a process of his own user. */
	return errno == EPERM && !may_set_groups() && r->uid == geteuid();
}

static bool take_ids(const struct rights *r)
{
	setfsgid(r->gid);
	setfsuid(r->uid);
	/* They return what was before, and no error. */
	return (gid_t)setfsgid((gid_t)-1) == r->gid && (uid_t)setfsuid((uid_t)-1) == r->uid;
}

/* The user namespace of the process: a descriptor, -1 where it is ours, -2 unknown. */
static int other_namespace(const struct rights *r)
{
	char path[48];
	struct stat ours, theirs;
	if (!r->tid)
		return -1;
	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)r->tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool known = fd >= 0 && fstat(fd, &theirs) == 0 && stat("/proc/self/ns/user", &ours) == 0;
	if (known && (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino))
		return fd;
	if (fd >= 0)
		close(fd);
	return known ? -1 : -2;
}

bool rights_take(const struct rights *r)
{
	int ns = other_namespace(r);
	uint64_t caps = ns == -2 ? 0 : r->caps & CAPS_OF_FILES;
	if (!take_groups(r) || !take_ids(r))
		return false;
	/* In a user namespace of its own a process has its capabilities over files of owners
	 * that are known there. Inside of it ours are the same; outside none may stay. */
	if (ns >= 0) {
		if (setns(ns, CLONE_NEWUSER) != 0)
			caps = 0;
		close(ns);
	}
	return caps_limit(caps);
}

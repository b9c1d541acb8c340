#include "base/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static struct rlimit given;
static bool raised;

void descriptors_raise(void)
{
	struct rlimit r;
	if (raised || getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= r.rlim_max)
		return;
	given = r;
	r.rlim_cur = r.rlim_max;
	raised = setrlimit(RLIMIT_NOFILE, &r) == 0;
}

void descriptors_restore(void)
{
	if (raised)
		setrlimit(RLIMIT_NOFILE, &given);
}

bool errno_is_ours(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EAGAIN || errnum == ENOBUFS;
}

err_t err_ours(int errnum, const char *of)
{
	if (errnum == ENOMEM)
		return ERR_NOMEM;
	if (errnum == EMFILE)
		return err_new(E_IO, "%s: asyncmon has too many files open (ulimit -n)", of);
	return err_new(E_IO, "%s: %s", of, strerror(errnum));
}

#include "attach/target.h"

#include <errno.h>
#include <stdlib.h>

err_t target_open(const char *what, const struct target_opts *o, struct target **out)
{
	size_t digits = strspn(what, "0123456789");
	if (digits && !what[digits]) {
		errno = 0;
		long pid = strtol(what, NULL, 10);
		if (errno || pid <= 0 || pid > INT32_MAX)
			return err_new(E_NOPROC, "no process has the id %s", what);
		return target_open_process((pid_t)pid, o, out);
	}
	return target_open_core(what, o, out);
}

void target_close(struct target *t)
{
	if (t)
		t->ops->close(t);
}
